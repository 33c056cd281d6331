//! The open outputs of a running stack, grouped by the rendering of their lines.

use std::{io, path::Path, sync::Arc};

use spanwise_appender::{
    Background, BackgroundBuilder, FlushGuard, OpenError, OpenErrorKind, RollingFile,
};
use spanwise_core::{
    SelfReport,
    internal::{LayerId, SinkCounters},
};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::{TestWriter, writer::BoxMakeWriter};

use crate::{
    Output, Preset, Stack, conceal,
    config::Config,
    file_paths,
    rendering::{Rendering, add_lines},
    router::Router,
    settings::LOG_FILE_PER_PROCESS,
    sink_settings::{FileSettings, Routing, SinkKind, SinkSettings},
    sinks,
    tee::{Tee, TeeOutput},
};

/// The open outputs, while the program logs.
#[derive(Default)]
pub(crate) struct Outputs {
    pub(crate) opened: Vec<OpenOutput>,
    /// The guards of the newly opened outputs, files first. The guards of outputs that a reload
    /// keeps are in [`Guards`](crate::telemetry::Guards).
    pub(crate) guards: Vec<OutputGuard>,
}

/// An output behind a [`Background`], which may write directly.
#[derive(Clone)]
pub(crate) struct OpenOutput {
    pub(crate) id: OutputId,
    /// The output before the reload that this output continues: see [`Opener::predecessor`].
    #[cfg_attr(
        not(feature = "config"),
        expect(dead_code, reason = "only a reload has outputs to continue")
    )]
    pub(crate) predecessor: Option<OutputId>,
    /// The sink that the output belongs to.
    pub(crate) sink: SinkSettings,
    pub(crate) rendering: Rendering,
    pub(crate) background: Background,
    pub(crate) file: Option<RollingFile>,
    /// Whether lines go to stderr while the file cannot be written.
    #[cfg_attr(
        not(feature = "config"),
        expect(dead_code, reason = "only a reload changes it for an open file")
    )]
    falls_back_to_stderr: bool,
}

/// Distinguishes outputs that were open at different times under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutputId(LayerId);

/// The guard of an output. Dropping the guard closes the output.
#[derive(Debug)]
pub(crate) struct OutputGuard {
    #[cfg_attr(
        not(feature = "config"),
        expect(dead_code, reason = "only a reload closes single outputs")
    )]
    pub(crate) id: OutputId,
    pub(crate) is_file: bool,
    pub(crate) guard: FlushGuard,
}

/// How outputs are opened.
pub(crate) struct OpenOptions<'a> {
    /// Whether the stack has a router.
    pub(crate) has_routes: bool,
    /// Whether a reload may change the sinks. If true, each [`Rendering`] names its sampler, even
    /// the sampler of the program, so that a reload notices a change of that sampler.
    pub(crate) is_reloadable: bool,
    /// The outputs that are open before a reload.
    pub(crate) previous: &'a [OpenOutput],
    /// Whether the start has already failed. If it has failed, paths are checked, and nothing is
    /// opened.
    pub(crate) has_start_failed: bool,
    pub(crate) report: &'a SelfReport,
}

/// Opens outputs, and collects all problems.
struct Opener<'a> {
    config: &'a Config,
    options: OpenOptions<'a>,
    /// The sinks of the configuration.
    sinks: &'a [SinkSettings],
    outputs: Outputs,
    problems: Vec<String>,
    /// Whether all enabled sinks are files, and code sets no writer. If so, a file that cannot be
    /// written falls back to stderr.
    all_are_files: bool,
}

impl Outputs {
    /// Opens every output, or returns all problems. If there already are `problems`, or if the
    /// start has failed for another reason, nothing is opened.
    pub(crate) fn open(
        config: &Config,
        sinks: &[SinkSettings],
        record_sinks: Vec<(String, BackgroundBuilder)>,
        problems: Vec<String>,
        options: OpenOptions<'_>,
    ) -> Result<Self, Vec<String>> {
        let mut opener = Opener {
            config,
            options,
            sinks,
            outputs: Self::default(),
            problems,
            all_are_files: false,
        };
        let enabled = || sinks.iter().filter(|sink| sink.enabled);
        for sink in enabled() {
            opener.check_options(sink);
        }
        let has_others = enabled().any(|sink| !matches!(sink.kind, SinkKind::File(_)));
        opener.all_are_files = !has_others && !config.lines.has_writer;
        // Files first, because a shutdown closes the outputs in this order, and the reader of a
        // standard stream may delay the shutdown.
        for sink in enabled() {
            if let SinkKind::File(file) = &sink.kind {
                opener.open_file(sink, file);
            }
        }
        for (name, builder) in record_sinks {
            let sink = opener.record_sink(&name);
            let builder = in_background(builder.name(&name), &sink);
            opener.start(&name, builder, &sink, None);
        }
        let previous = opener.options.previous.iter();
        for output in previous.filter(|output| output.is_set_in_code()) {
            let sink = opener.record_sink(&output.sink.name);
            opener.keep_record_sink(output, &sink);
        }
        for sink in enabled() {
            match sink.kind {
                SinkKind::Stdout => opener.open_stream(sink, Output::Stdout),
                SinkKind::Stderr => opener.open_stream(sink, Output::Stderr),
                SinkKind::File(_) | SinkKind::None | SinkKind::Code | SinkKind::Exporter(_) => {}
            }
        }
        if opener.problems.is_empty() {
            Ok(opener.outputs)
        } else {
            Err(opener.problems)
        }
    }

    /// Returns the counters of the sink of this name.
    fn counters(&self, sink: &str) -> Option<Arc<SinkCounters>> {
        let output = self.opened.iter().find(|output| output.sink.name == sink)?;
        Some(output.background.counters())
    }

    /// Adds the layers that write lines. Outputs with the same rendering share a layer.
    pub(crate) fn add_layers(&self, mut stack: Stack, config: &Config, has_routes: bool) -> Stack {
        for (rendering, outputs) in self.by_rendering() {
            let levels = stack.handle();
            let outputs = outputs.into_iter().map(OpenOutput::tee_output).collect();
            let tee = Tee::new(outputs, has_routes);
            let sink = rendering.line_sink(config, tee.level(), Arc::new(tee.bits().into()));
            stack = add_lines(stack, config, levels, rendering, sink, tee, &silent());
        }
        stack
    }

    /// Copies the router bits of the sinks from the routing to the outputs.
    pub(crate) fn copy_bits_from(&mut self, routing: &Routing) {
        for output in &mut self.opened {
            output.sink.bit = routing.bit(&output.sink.name);
        }
    }

    /// Sets for each open file whether it falls back to stderr, because a reload may have changed
    /// this.
    #[cfg(feature = "config")]
    pub(crate) fn set_fallbacks(&self) {
        for output in &self.opened {
            if let Some(file) = &output.file {
                file.set_fallback_to_stderr(output.falls_back_to_stderr);
            }
        }
    }

    /// Makes the router count, in the counters of the sinks, the events that its filters drop.
    pub(crate) fn count_with(&self, router: &mut Router, report: &SelfReport) {
        router.count_with(|sink| {
            let exporter_counters = |kind| report.counters_of(sinks::name_in_stats(kind));
            let counters = self.counters(&sink.name);
            counters.or_else(|| sink.exporter.and_then(exporter_counters))
        });
    }

    /// Returns each rendering with its outputs.
    pub(crate) fn by_rendering(&self) -> Vec<(&Rendering, Vec<&OpenOutput>)> {
        let mut groups: Vec<(&Rendering, Vec<&OpenOutput>)> = Vec::new();
        for output in &self.opened {
            let mut known = groups.iter_mut();
            match known.find(|(rendering, _)| rendering.is_same(&output.rendering)) {
                Some((_, outputs)) => outputs.push(output),
                None => groups.push((&output.rendering, vec![output])),
            }
        }
        groups
    }
}

/// Returns a report for the layers of outputs. Its counts are not read, because the outputs count
/// each line.
pub(crate) fn silent() -> SelfReport {
    SelfReport::silent()
}

/// Adds the layer of the writer set with `Builder`, or of the output of tests. Does nothing if
/// there is neither.
pub(crate) fn add_writer_layer(
    stack: Stack,
    config: &Config,
    bit: u64,
    is_reloadable: bool,
    writer: Option<BoxMakeWriter>,
    report: &SelfReport,
) -> Stack {
    let writer = match (writer, config.lines.output) {
        (Some(writer), _) => writer,
        (None, Output::TestHarness) => BoxMakeWriter::new(TestWriter::new),
        (None, _) => return stack,
    };
    let settings = config.main_sink();
    let rendering = Rendering::for_writer(&settings, config);
    let level = match is_reloadable {
        // The router applies the current level, which a reload may change.
        true => LevelFilter::TRACE,
        false => settings.level.most_verbose(),
    };
    let sink = rendering.line_sink(config, level, Arc::new(bit.into()));
    let levels = stack.handle();
    add_lines(stack, config, levels, &rendering, sink, writer, report)
}

impl OpenOutput {
    /// Returns the output with the router bit of its sink.
    pub(crate) fn tee_output(&self) -> TeeOutput {
        TeeOutput {
            bit: self.sink.bit,
            level: self.level(),
            background: self.background.clone(),
        }
    }

    pub(crate) fn level(&self) -> LevelFilter {
        self.sink.level.most_verbose()
    }

    /// Returns whether the output is a record sink that code adds.
    pub(crate) fn is_set_in_code(&self) -> bool {
        matches!(self.sink.kind, SinkKind::Code)
    }
}

/// The name of the sink of `LOG_OUTPUT`.
pub(crate) const MAIN: &str = "main";

impl SinkSettings {
    /// Returns the name of the sink in counters and reports. For [`MAIN`], this is the name of the
    /// stream.
    fn name_in_stats(&self) -> &str {
        match self.kind {
            SinkKind::Stdout if self.name == MAIN => Output::Stdout.name(),
            SinkKind::Stderr if self.name == MAIN => Output::Stderr.name(),
            _ => &self.name,
        }
    }
}

impl<'a> Opener<'a> {
    /// Reports a fallback that the sink cannot have.
    fn check_options(&mut self, sink: &SinkSettings) {
        let is_file = matches!(sink.kind, SinkKind::File(_));
        let is_supported = is_file && sink.fallback == ["stderr"];
        if !sink.fallback.is_empty() && !is_supported {
            self.problem(format!(
                "{}.fallback={:?} is not available yet: a file can have fallback=[\"stderr\"]",
                sink.shown_name, sink.fallback
            ));
        }
    }

    /// Keeps the open output of the sink, if the sink writes to the same output as before the
    /// reload. Returns whether an output was kept.
    fn keep_same(&mut self, sink: &SinkSettings) -> bool {
        let mut previous = self.options.previous.iter();
        let same_output = previous.find(|output| output.sink.is_same_output(sink));
        if let Some(output) = same_output {
            self.keep(output, sink);
        }
        same_output.is_some()
    }

    /// Keeps an open output, with the new settings of its sink.
    fn keep(&mut self, output: &OpenOutput, sink: &SinkSettings) {
        self.outputs.opened.push(OpenOutput {
            predecessor: Some(output.id),
            sink: sink.clone(),
            rendering: self.rendering(sink, Some(output)),
            falls_back_to_stderr: self.falls_back_to_stderr(sink),
            ..output.clone()
        });
    }

    /// Returns the sink of a record sink: that of the configuration file, whose kind is `none`
    /// there, or else one with the options of all lines.
    fn record_sink(&self, name: &str) -> SinkSettings {
        let mut sinks = self.sinks.iter();
        let in_file = sinks.find(|sink| sink.name == name && sink.kind == SinkKind::Code);
        in_file.map_or_else(|| SinkSettings::for_code(name, self.config), Clone::clone)
    }

    /// Keeps a record sink in a reload. Reports options that an open output cannot change.
    fn keep_record_sink(&mut self, output: &OpenOutput, sink: &SinkSettings) {
        if !sink.enabled {
            // A sink that is switched off has no options, so the open output keeps its own.
            let kept = SinkSettings {
                background: output.sink.background,
                buffer: output.sink.buffer,
                when_full: output.sink.when_full,
                ..sink.clone()
            };
            return self.keep(output, &kept);
        }
        if !output.sink.is_same_output(sink) {
            self.problem(format!(
                "{}: background, buffer and when_full of a record sink need a restart: undo this \
                 change, or restart the program",
                sink.shown_name
            ));
        }
        self.keep(output, sink);
    }

    /// Returns whether the lines of a file go to stderr while the file cannot be written.
    fn falls_back_to_stderr(&self, sink: &SinkSettings) -> bool {
        self.all_are_files || !sink.fallback.is_empty()
    }

    /// Opens the file of a sink, or keeps it if it is already open.
    fn open_file(&mut self, sink: &SinkSettings, file: &FileSettings) {
        if self.keep_same(sink) {
            return;
        }
        let path = &file.path;
        let mut previous = self.options.previous.iter();
        let already_open = previous.find_map(|output| match &output.sink.kind {
            SinkKind::File(open) if open.path == *path => Some((open, output.file.as_ref()?)),
            _ => None,
        });
        if already_open.is_some_and(|(settings, _)| settings != file) {
            // A reload has already reported changed options: see `State::changed_files`.
            if !self.problems.is_empty() {
                return;
            }
            self.problem(format!(
                "{}: the options of an open file need a restart: {path:?} is open with others",
                sink.shown_name
            ));
            return;
        }
        if already_open.is_none()
            && let Err(error) = file.check()
        {
            self.problem(not_usable(&sink.shown_name, path, &error));
        }
        if !self.opens_outputs() {
            return;
        }
        let open_result = match already_open {
            Some((_, file)) => Ok(file.clone()),
            None => file.open(self.options.report, self.falls_back_to_stderr(sink)),
        };
        match open_result {
            Ok(file) => {
                let builder = Background::builder(file.clone()).name(&sink.name);
                self.start(&sink.name, in_background(builder, sink), sink, Some(file));
            }
            Err(error) => {
                let name = &sink.shown_name;
                let in_use = error.kind() == OpenErrorKind::InUse;
                let problem = match self.sink_with_file(path).filter(|_| in_use) {
                    // Does not show the old path, which may be the content of a secret file.
                    Some(open) => format!(
                        "{name}: {path:?} is open under another path, which the sink {open} had: \
                         write that path, or restart the program"
                    ),
                    None => not_opened(self.config, name, path, &error),
                };
                self.problem(problem);
            }
        }
    }

    /// Returns the name of the sink that had the file at `path` before a reload, under any path.
    fn sink_with_file(&self, path: &Path) -> Option<&'a str> {
        let mut previous = self.options.previous.iter();
        previous.find_map(|output| match &output.sink.kind {
            SinkKind::File(open) if file_paths::are_same(&open.path, path) => {
                Some(&*output.sink.name)
            }
            _ => None,
        })
    }

    /// Opens a standard stream, unless code sets a writer in place of the sink `main`.
    fn open_stream(&mut self, sink: &SinkSettings, output: Output) {
        let lines = &self.config.lines;
        let has_writer = lines.has_writer || lines.output == Output::TestHarness;
        if has_writer && sink.name == MAIN || self.keep_same(sink) {
            return;
        }
        let mut builder = match output {
            Output::Stderr => Background::builder(io::stderr()),
            _ => Background::builder(io::stdout()),
        };
        builder = builder.name(sink.name_in_stats());
        let in_background = sink.background;
        if !in_background.unwrap_or(self.config.preset == Preset::Prod) {
            builder = builder.direct();
        }
        self.start(output.name(), builder, sink, None);
    }

    /// Starts the background writer of an output, unless outputs are only checked. `name` is its
    /// name in an error.
    fn start(
        &mut self,
        name: &str,
        builder: BackgroundBuilder,
        sink: &SinkSettings,
        file: Option<RollingFile>,
    ) {
        if !self.opens_outputs() {
            return;
        }
        let builder = builder.when_full(sink.when_full);
        let builder = match sink.buffer {
            Some(bytes) => builder.capacity(bytes),
            None => builder,
        };
        match builder.report(self.options.report).build() {
            Ok((background, guard)) => {
                let id = OutputId(LayerId::unique());
                let is_file = file.is_some();
                let predecessor = self.predecessor(sink);
                self.outputs.guards.push(OutputGuard { id, is_file, guard });
                self.outputs.opened.push(OpenOutput {
                    id,
                    predecessor: predecessor.map(|output| output.id),
                    sink: sink.clone(),
                    rendering: self.rendering(sink, predecessor),
                    background,
                    file,
                    falls_back_to_stderr: self.falls_back_to_stderr(sink),
                });
            }
            Err(error) => self.problem(format!(
                "no thread can be started that writes to {name}: {error}; raise the limit of \
                 threads"
            )),
        }
    }

    /// Returns the output before the reload that the output of `sink` continues: the output of the
    /// same name. If there is none, the sink may have a new name. In that case, it is an output of
    /// the same kind and format whose name no sink has any more. Each output has at most one
    /// successor.
    fn predecessor(&self, sink: &SinkSettings) -> Option<&'a OpenOutput> {
        let previous = self.options.previous;
        let of_name = |name: &str| previous.iter().find(|output| output.sink.name == name);
        let is_like = |other: &SinkSettings| other.kind == sink.kind && other.format == sink.format;
        of_name(&sink.name).or_else(|| {
            let mut new = self
                .sinks
                .iter()
                .filter(|other| other.enabled && of_name(&other.name).is_none() && is_like(other));
            let mut gone = previous.iter().filter(|output| {
                let has_name = |other: &SinkSettings| other.name == output.sink.name;
                !self.sinks.iter().any(has_name) && is_like(&output.sink)
            });
            // Several sinks may write to a stream. They are matched in their order.
            gone.nth(new.position(|other| other.name == sink.name)?)
        })
    }

    /// Returns the rendering of the output of a sink, which continues `predecessor`.
    fn rendering(&self, sink: &SinkSettings, predecessor: Option<&OpenOutput>) -> Rendering {
        let predecessor = predecessor.map(|output| &output.rendering);
        let mut rendering = Rendering::for_output(sink, self.options.has_routes, predecessor);
        if self.options.is_reloadable {
            let program_sampler = || self.config.sampler.clone();
            rendering.sampler = Some(rendering.sampler.unwrap_or_else(program_sampler));
        }
        rendering
    }

    /// Returns whether outputs are opened. After a problem, the remaining outputs are only checked,
    /// so that all problems are reported.
    fn opens_outputs(&self) -> bool {
        !self.options.has_start_failed && self.problems.is_empty()
    }

    fn problem(&mut self, problem: String) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}

/// Returns the builder of an output that a background thread writes, unless the sink does not want
/// one.
fn in_background(builder: BackgroundBuilder, sink: &SinkSettings) -> BackgroundBuilder {
    match sink.background {
        Some(false) => builder.direct(),
        Some(true) | None => builder,
    }
}

/// Returns the problem of a file that cannot be opened.
fn not_opened(config: &Config, name: &str, path: &Path, error: &OpenError) -> String {
    if error.kind() == OpenErrorKind::InUse {
        let per_process = config.name_of(&LOG_FILE_PER_PROCESS.def);
        return format!(
            "{name}: cannot log to {path:?}: another logger has it open already; name another \
             path, or give each process a file of its own with {per_process}=1, with per_process = \
             true in the sink of a configuration file, or with `Builder::file_per_process()`"
        );
    }
    not_usable(name, path, &error.to_string())
}

/// Returns the problem of a path that cannot be used. Hides the path if it may be a secret.
fn not_usable(name: &str, path: &Path, error: &str) -> String {
    let path = path.to_string_lossy();
    if conceal::may_show_path(&path) {
        return format!("{name}: {error}");
    }
    let error = conceal::message(error, &path);
    format!("{name}: {error}")
}

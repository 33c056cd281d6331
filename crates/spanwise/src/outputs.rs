//! The open outputs of a running stack: files, standard streams and record sinks.
//!
//! Each output belongs to a sink. Outputs whose lines have the same [`Rendering`] share a layer, so
//! that a line is encoded only once. A reload keeps the outputs that do not change.

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
    /// The outputs, including those that a reload keeps open.
    pub(crate) opened: Vec<OpenOutput>,
    /// The guards of the newly opened outputs, files first. The guards of outputs that a reload
    /// keeps open are in [`Guards`](crate::telemetry::Guards).
    pub(crate) guards: Vec<OutputGuard>,
}

/// An output behind a [`Background`], which writes on a background thread or directly.
#[derive(Clone)]
pub(crate) struct OpenOutput {
    pub(crate) id: OutputId,
    /// The output that was open before the reload and that this output continues. A kept output is
    /// its own predecessor. See [`Opener::predecessor`].
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

/// Options for opening outputs.
pub(crate) struct OpenOptions<'a> {
    /// Whether the stack has a router.
    pub(crate) has_routes: bool,
    /// Whether a reload may change the sinks. If true, each [`Rendering`] names its sampler, also
    /// if it is the sampler of the program, so that a reload notices a change of that sampler.
    pub(crate) is_reloadable: bool,
    /// The outputs that are open when a reload begins. Empty at the start.
    pub(crate) previous: &'a [OpenOutput],
    /// Whether the start has already failed. If it has, paths are only checked, and nothing is
    /// opened.
    pub(crate) has_start_failed: bool,
    pub(crate) report: &'a SelfReport,
}

/// Opens outputs, and collects all problems.
struct Opener<'a> {
    config: &'a Config,
    options: OpenOptions<'a>,
    /// All sinks of the configuration, also those that are switched off.
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
        let has_other_kinds = enabled().any(|sink| !matches!(sink.kind, SinkKind::File(_)));
        opener.all_are_files = !has_other_kinds && !config.lines.has_writer;
        // Files first, because a shutdown closes the outputs in this order, and the reader of a
        // standard stream may delay the shutdown.
        for sink in enabled() {
            if let SinkKind::File(file) = &sink.kind {
                opener.open_file(sink, file);
            }
        }
        for (name, builder) in record_sinks {
            let sink = opener.record_sink(&name);
            let builder = apply_background(builder.name(&name), &sink);
            opener.start_output(&name, builder, &sink, None);
        }
        // In a reload, `record_sinks` is empty. The record sinks of the start stay open.
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

    /// Makes the router count the events that its filters drop, in the counters of their sinks.
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
            let mut existing = groups.iter_mut();
            match existing.find(|(rendering, _)| rendering.is_same(&output.rendering)) {
                Some((_, outputs)) => outputs.push(output),
                None => groups.push((&output.rendering, vec![output])),
            }
        }
        groups
    }
}

/// Returns a report for layers whose outputs count each line themselves. The counts of the layers
/// are not read.
pub(crate) fn silent() -> SelfReport {
    SelfReport::silent()
}

/// Adds the layer for the writer that code sets, or for the output of tests. Does nothing if there
/// is neither. `bit` is the router bit of the sink [`MAIN`], whose options the lines have.
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

    /// Returns the most verbose level of the sink.
    pub(crate) fn level(&self) -> LevelFilter {
        self.sink.level.most_verbose()
    }

    /// Returns whether the output is a record sink, which code adds.
    pub(crate) fn is_set_in_code(&self) -> bool {
        matches!(self.sink.kind, SinkKind::Code)
    }
}

/// The name of the sink for `LOG_OUTPUT`, or for the writer that code sets in its place.
pub(crate) const MAIN: &str = "main";

impl SinkSettings {
    /// Returns the name of the sink in counters and reports. If [`MAIN`] is a standard stream, this
    /// is the name of the stream.
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
            self.add_problem(format!(
                "{}.fallback={:?} is not available yet: a file can have fallback=[\"stderr\"]",
                sink.shown_name, sink.fallback
            ));
        }
    }

    /// Keeps the output of the sink open, if the sink writes to the same output as before the
    /// reload. Returns whether it does.
    fn keep_if_same(&mut self, sink: &SinkSettings) -> bool {
        let mut previous = self.options.previous.iter();
        let same_output = previous.find(|output| output.sink.is_same_output(sink));
        if let Some(output) = same_output {
            self.keep(output, sink);
        }
        same_output.is_some()
    }

    /// Keeps an output open, with the new settings of its sink.
    fn keep(&mut self, output: &OpenOutput, sink: &SinkSettings) {
        self.outputs.opened.push(OpenOutput {
            predecessor: Some(output.id),
            sink: sink.clone(),
            rendering: self.rendering(sink, Some(output)),
            falls_back_to_stderr: self.falls_back_to_stderr(sink),
            ..output.clone()
        });
    }

    /// Returns the settings of a record sink. A table of its name in the configuration file, with
    /// `kind = "none"`, has them. Without a table, they are the options that all sinks share.
    fn record_sink(&self, name: &str) -> SinkSettings {
        let mut sinks = self.sinks.iter();
        let in_file = sinks.find(|sink| sink.name == name && sink.kind == SinkKind::Code);
        in_file.map_or_else(|| SinkSettings::for_code(name, self.config), Clone::clone)
    }

    /// Keeps a record sink open in a reload. Reports changed options that an open output cannot
    /// adopt.
    fn keep_record_sink(&mut self, output: &OpenOutput, sink: &SinkSettings) {
        if !sink.enabled {
            // A sink that is switched off has no options, so the open output keeps those it has.
            let kept = SinkSettings {
                background: output.sink.background,
                buffer: output.sink.buffer,
                when_full: output.sink.when_full,
                ..sink.clone()
            };
            return self.keep(output, &kept);
        }
        if !output.sink.is_same_output(sink) {
            self.add_problem(format!(
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
        if self.keep_if_same(sink) {
            return;
        }
        let path = &file.path;
        let mut previous = self.options.previous.iter();
        let already_open = previous.find_map(|output| match &output.sink.kind {
            SinkKind::File(open) if open.path == *path => Some((open, output.file.as_ref()?)),
            _ => None,
        });
        if already_open.is_some_and(|(settings, _)| settings != file) {
            // If there are problems, the reload may have reported the changed options already: see
            // `State::changed_files`.
            if !self.problems.is_empty() {
                return;
            }
            self.add_problem(format!(
                "{}: the options of an open file need a restart: {path:?} is open with others",
                sink.shown_name
            ));
            return;
        }
        if already_open.is_none()
            && let Err(error) = file.check()
        {
            self.add_problem(not_usable(&sink.shown_name, path, &error));
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
                let builder = apply_background(builder, sink);
                self.start_output(&sink.name, builder, sink, Some(file));
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
                self.add_problem(problem);
            }
        }
    }

    /// Returns the name of the sink that wrote to the file at `path` before the reload, even if the
    /// sink named the file by another path.
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
        if has_writer && sink.name == MAIN || self.keep_if_same(sink) {
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
        self.start_output(output.name(), builder, sink, None);
    }

    /// Starts the [`Background`] of an output, unless outputs are only checked. `name` is the name
    /// of the output in an error.
    fn start_output(
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
            Err(error) => self.add_problem(format!(
                "no thread can be started that writes to {name}: {error}; raise the limit of \
                 threads"
            )),
        }
    }

    /// Returns the output that was open before the reload and that the output of `sink` continues.
    /// This is the output of the same name. If there is none, the sink may have been renamed. In
    /// that case, it is an output of the same kind and format whose name no sink has any more. Each
    /// output has at most one successor.
    fn predecessor(&self, sink: &SinkSettings) -> Option<&'a OpenOutput> {
        let previous = self.options.previous;
        let of_name = |name: &str| previous.iter().find(|output| output.sink.name == name);
        let is_like = |other: &SinkSettings| other.kind == sink.kind && other.format == sink.format;
        of_name(&sink.name).or_else(|| {
            let mut new_sinks = self
                .sinks
                .iter()
                .filter(|other| other.enabled && of_name(&other.name).is_none() && is_like(other));
            let mut orphans = previous.iter().filter(|output| {
                let has_name = |other: &SinkSettings| other.name == output.sink.name;
                !self.sinks.iter().any(has_name) && is_like(&output.sink)
            });
            // Several renamed sinks may write to the same stream. They are matched in their order.
            orphans.nth(new_sinks.position(|other| other.name == sink.name)?)
        })
    }

    /// Returns the rendering for the output of a sink. The output continues `predecessor`.
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

    fn add_problem(&mut self, problem: String) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}

/// Makes the output write directly if its sink disables the background thread.
fn apply_background(builder: BackgroundBuilder, sink: &SinkSettings) -> BackgroundBuilder {
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

//! The open outputs of a running stack, grouped by the rendering of their lines.

use std::{io, path::Path};

use spanwise_appender::{
    Background, BackgroundBuilder, FlushGuard, OpenError, OpenErrorKind, RollingFile,
};
use spanwise_core::{SelfReport, Setting};
use spanwise_json::{Format, JsonLayer};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::{MakeWriter, TestWriter, writer::BoxMakeWriter};

use crate::{
    Output, PanicBacktrace, Preset, Stack, conceal,
    config::Config,
    console::{ConsoleLayer, ShowTime, Style},
    settings::{LOG_ERROR_FILE, LOG_FILE, LOG_FILE_PER_PROCESS},
    tee::Tee,
};

/// The open outputs, while the program logs.
#[derive(Default)]
pub(crate) struct Outputs {
    pub(crate) backgrounds: Vec<Background>,
    pub(crate) guards: Vec<FlushGuard>,
    pub(crate) files: Vec<RollingFile>,
    opened: Vec<BackgroundOutput>,
}

/// An output behind a background writer.
struct BackgroundOutput {
    rendering: Rendering,
    level: LevelFilter,
    background: Background,
}

/// The rendering of lines. Outputs with the same rendering share their lines.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rendering {
    format: Format,
    color: bool,
    /// The terminal whose width lines for people have.
    terminal: Option<Output>,
    is_file: bool,
    /// The level of the output, in formats for people: each output shows the fields of a span with
    /// the first line that it gets.
    level: Option<LevelFilter>,
}

/// Opens outputs, and collects all problems.
struct Opener<'a> {
    config: &'a Config,
    report: &'a SelfReport,
    /// Set if the start has already failed. In that case paths are checked, and nothing is opened.
    is_stopped: bool,
    outputs: Outputs,
    problems: Vec<String>,
}

impl Outputs {
    /// Opens every output, or returns all problems. If there already are `problems`, or if the
    /// start has failed for another reason, nothing is opened.
    pub(crate) fn open(
        config: &Config,
        sinks: Vec<(String, BackgroundBuilder)>,
        problems: Vec<String>,
        is_stopped: bool,
        report: &SelfReport,
    ) -> Result<Self, Vec<String>> {
        let mut opener = Opener {
            config,
            report,
            is_stopped,
            outputs: Self::default(),
            problems,
        };
        // Files first, because the reader of a standard stream may delay a shutdown.
        opener.open_files();
        for (name, builder) in sinks {
            opener.start(
                &name,
                builder.name(&name),
                config.plain(),
                LevelFilter::TRACE,
            );
        }
        opener.open_stream();
        if opener.problems.is_empty() {
            Ok(opener.outputs)
        } else {
            Err(opener.problems)
        }
    }

    /// Adds the layers that write lines, one for all outputs with the same rendering.
    pub(crate) fn add_layers(
        &mut self,
        mut stack: Stack,
        config: &Config,
        writer: Option<BoxMakeWriter>,
        report: &SelfReport,
    ) -> Stack {
        let mut opened = std::mem::take(&mut self.opened);
        while let Some(BackgroundOutput { rendering, .. }) = opened.first() {
            let rendering = rendering.clone();
            let (same, others): (Vec<_>, Vec<_>) = opened
                .into_iter()
                .partition(|output| output.rendering == rendering);
            opened = others;
            let same = same.into_iter();
            let tee = Tee::new(
                same.map(|output| (output.level, output.background))
                    .collect(),
            );
            let level = tee.level();
            // The outputs count the outcome of each line. So the layer need not count that they
            // received it.
            stack = add_lines(stack, config, rendering, level, tee, &SelfReport::silent());
        }
        let writer = match (writer, config.lines.output) {
            (Some(writer), _) => writer,
            (None, Output::TestHarness) => BoxMakeWriter::new(TestWriter::new),
            (None, _) => return stack,
        };
        let rendering = Rendering {
            format: config.lines.format.clone(),
            color: config.lines.color.applies(false),
            terminal: None,
            is_file: false,
            level: None,
        };
        let level = config.lines.level.unwrap_or(LevelFilter::TRACE);
        add_lines(stack, config, rendering, level, writer, report)
    }
}

impl Config {
    /// Returns the rendering for outputs other than terminals.
    fn plain(&self) -> Rendering {
        Rendering {
            format: self.lines.format.clone(),
            color: false,
            terminal: None,
            level: None,
            // Lines of other formats are the same in all outputs, so they are encoded once.
            is_file: self.lines.format == Format::Short,
        }
    }
}

impl Opener<'_> {
    fn open_files(&mut self) {
        let config = self.config;
        let files = &config.files;
        // If a file is the only output and cannot be opened, its lines go to stderr.
        let falls_back = config.lines.output == Output::None && !config.lines.has_writer;
        let level = files.level.unwrap_or(LevelFilter::TRACE);
        for (path, def, name, level) in [
            (&files.file, &LOG_FILE.def, "file", level),
            (
                &files.error_file,
                &LOG_ERROR_FILE.def,
                "error_file",
                LevelFilter::ERROR,
            ),
        ] {
            let Some(path) = path else { continue };
            if let Err(error) = files.check(path) {
                self.problem(not_usable(config, def, path, &error));
            }
            if !self.is_open() {
                continue;
            }
            match files.open(path, self.report, falls_back) {
                Ok(file) => {
                    self.outputs.files.push(file.clone());
                    let builder = Background::builder(file).name(name);
                    self.start(name, builder, config.plain(), level);
                }
                Err(error) => self.problem(not_opened(config, def, path, &error)),
            }
        }
    }

    fn open_stream(&mut self) {
        let lines = &self.config.lines;
        let stream = match lines.output {
            Output::Stdout => Some(Background::builder(io::stdout())),
            Output::Stderr => Some(Background::builder(io::stderr())),
            Output::None | Output::TestHarness => None,
        };
        let Some(mut builder) = stream.filter(|_| !lines.has_writer) else {
            return;
        };
        if self.config.preset != Preset::Prod {
            builder = builder.direct();
        }
        let is_terminal = lines.output.is_terminal();
        let rendering = Rendering {
            color: lines.color.applies(is_terminal),
            terminal: (is_terminal && lines.format.is_human_readable()).then_some(lines.output),
            is_file: false,
            ..self.config.plain()
        };
        let level = lines.level.unwrap_or(LevelFilter::TRACE);
        self.start(lines.output.name(), builder, rendering, level);
    }

    fn start(
        &mut self,
        name: &str,
        builder: BackgroundBuilder,
        rendering: Rendering,
        level: LevelFilter,
    ) {
        if !self.is_open() {
            return;
        }
        let builder = builder.when_full(self.config.lines.when_full);
        match builder.report(self.report).build() {
            Ok((background, guard)) => {
                self.outputs.backgrounds.push(background.clone());
                self.outputs.guards.push(guard);
                let is_human_readable = rendering.format.is_human_readable();
                self.outputs.opened.push(BackgroundOutput {
                    rendering: Rendering {
                        level: is_human_readable.then_some(level),
                        ..rendering
                    },
                    level,
                    background,
                });
            }
            Err(error) => self.problem(format!(
                "no thread can be started that writes to {name}: {error}; raise the limit of \
                 threads"
            )),
        }
    }

    /// Returns whether outputs are opened. After a problem, they are only checked, so that all
    /// problems are reported.
    fn is_open(&self) -> bool {
        !self.is_stopped && self.problems.is_empty()
    }

    fn problem(&mut self, problem: String) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}

fn not_opened(config: &Config, def: &Setting, path: &Path, error: &OpenError) -> String {
    let name = config.name_of(def);
    if error.kind() == OpenErrorKind::InUse {
        let per_process = config.name_of(&LOG_FILE_PER_PROCESS.def);
        return format!(
            "{name}: cannot log to {path:?}: another logger has it open already; name another \
             path, or give each process a file of its own with {per_process}=1 or \
             `Builder::file_per_process()`"
        );
    }
    not_usable(config, def, path, &error.to_string())
}

fn not_usable(config: &Config, def: &Setting, path: &Path, error: &str) -> String {
    let name = config.name_of(def);
    let path = path.to_string_lossy();
    if conceal::is_path(&path) {
        return format!("{name}: {error}");
    }
    let error = conceal::message(error, &path);
    format!("{name}: {error}")
}

/// Adds the layer of one rendering.
fn add_lines<W>(
    stack: Stack,
    config: &Config,
    rendering: Rendering,
    level: LevelFilter,
    writer: W,
    report: &SelfReport,
) -> Stack
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let Some(style) = style(&rendering.format) else {
        let layer = json(rendering.format, config, report);
        return stack.json_at(level, writer, layer);
    };
    let time = if style == Style::Short && !rendering.is_file {
        ShowTime::FromDebug(stack.handle(), level)
    } else {
        ShowTime::Always
    };
    let keys = config.context.clone();
    let timestamp = config.lines.time.timestamp();
    let own_targets = match config.panic_backtrace {
        PanicBacktrace::Full => None,
        PanicBacktrace::Short | PanicBacktrace::Off => Some(config.own_targets.clone()),
    };
    let (clock, report) = (config.clock.clone(), report.clone());
    stack.lines_at(level, writer, move |writer| {
        let writer = BoxMakeWriter::new(writer);
        ConsoleLayer::new(style, keys, writer, &report)
            .color(rendering.color)
            .terminal(rendering.terminal)
            .own_targets(own_targets)
            .timestamp(timestamp)
            .show_time(time)
            .clock(clock)
    })
}

/// Returns the style of a human-readable format, or `None` for JSON.
fn style(format: &Format) -> Option<Style> {
    match format {
        Format::Pretty => Some(Style::Pretty),
        Format::Compact => Some(Style::Compact),
        Format::Short => Some(Style::Short),
        _ => None,
    }
}

fn json(format: Format, config: &Config, report: &SelfReport) -> JsonLayer {
    let mut layer = config.lines.json_layer(format).report(report);
    for key in &config.context {
        layer = layer.context_key(key);
    }
    let service = &config.service;
    layer = layer.service_name(&service.name);
    if let Some(version) = &service.version {
        layer = layer.service_version(version);
    }
    if let Some(environment) = &service.environment {
        layer = layer.service_environment(environment);
    }
    for (name, value) in config.static_fields.iter() {
        layer = layer.add(name, value);
    }
    layer
}

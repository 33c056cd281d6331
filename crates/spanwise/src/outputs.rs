//! The outputs of a running stack: opened, and put opened the layers that make their lines.

use std::{io, path::Path, sync::Arc};

use spanwise_appender::{
    Background, BackgroundBuilder, FlushGuard, OpenError, OpenErrorKind, RollingFile, WhenFull,
};
use spanwise_core::{LayerExt as _, Layers, LevelHandle, SelfReport, Setting, SinkFilter};
use spanwise_json::{Format, JsonLayer};
use spanwise_recorder::Recorder;
use spanwise_sample::SampleExt as _;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer, Registry,
    fmt::{MakeWriter, TestWriter, writer::BoxMakeWriter},
};

use crate::{
    Output, Preset, conceal,
    console::{ConsoleLayer, ShowTime, Style},
    resolve::Resolved,
    settings::{LOG_ERROR_FILE, LOG_FILE, LOG_FILE_PER_PROCESS},
    static_fields::SERVICE,
    tee::Tee,
};

/// What is open, for as long as the program logs.
#[derive(Default)]
pub(crate) struct Outputs {
    pub(crate) backgrounds: Vec<Background>,
    pub(crate) guards: Vec<FlushGuard>,
    pub(crate) files: Vec<RollingFile>,
    opened: Vec<BackgroundOutput>,
}

/// An output, and what its lines rendering like.
struct BackgroundOutput {
    rendering: Rendering,
    level: LevelFilter,
    background: Background,
}

/// Outputs with the same rendering share their lines.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rendering {
    format: Format,
    color: bool,
    is_file: bool,
}

impl Outputs {
    /// Opens everything, or says what stands in the way of each. If there are `problems` already,
    /// or the start is stopped by something else, nothing is opened.
    pub(crate) fn open(
        resolved: &Resolved,
        mut problems: Vec<String>,
        is_stopped: bool,
        report: &SelfReport,
    ) -> Result<Self, Vec<String>> {
        let mut outputs = Self::default();
        let plain = Rendering {
            format: resolved.format.clone(),
            color: false,
            // The lines of other formats are the same everywhere: they are encoded once.
            is_file: resolved.format == Format::Short,
        };
        // A file that cannot be written to is no reason to say nothing at all.
        let fallback = resolved.output == Output::None && !resolved.has_writer;
        let files = &resolved.files;
        let level = files.level.unwrap_or(LevelFilter::TRACE);
        // Before the standard streams, whose reader may keep a shutdown waiting.
        for (path, setting, name, level) in [
            (&files.file, &LOG_FILE, "file", level),
            (
                &files.error_file,
                &LOG_ERROR_FILE,
                "error_file",
                LevelFilter::ERROR,
            ),
        ] {
            let Some(path) = path else { continue };
            if let Err(error) = files.check(path) {
                problems.push(not_usable(resolved, setting, path, &error));
            }
            // With something wrong already, nothing is opened any more, but all of it is said.
            if is_stopped || !problems.is_empty() {
                continue;
            }
            match files.open(path, report, fallback) {
                Ok(file) => {
                    outputs.files.push(file.clone());
                    let builder = Background::builder(file).name(name);
                    let started =
                        outputs.start(builder, plain.clone(), level, resolved.when_full, report);
                    problems.extend(started.err().map(|error| no_thread(name, &error)));
                }
                Err(error) => problems.push(not_opened(resolved, setting, path, &error)),
            }
        }
        let stream = match resolved.output {
            Output::Stdout => Some(Background::builder(io::stdout())),
            Output::Stderr => Some(Background::builder(io::stderr())),
            Output::None | Output::TestHarness => None,
        };
        if let Some(mut builder) =
            stream.filter(|_| !resolved.has_writer && !is_stopped && problems.is_empty())
        {
            if resolved.preset != Preset::Prod {
                builder = builder.direct();
            }
            let rendering = Rendering {
                color: resolved.color.applies(resolved.output.is_terminal()),
                is_file: false,
                ..plain
            };
            let level = resolved.output_level.unwrap_or(LevelFilter::TRACE);
            let started = outputs.start(builder, rendering, level, resolved.when_full, report);
            let name = resolved.output.name();
            problems.extend(started.err().map(|error| no_thread(name, &error)));
        }
        if problems.is_empty() {
            Ok(outputs)
        } else {
            Err(problems)
        }
    }

    fn start(
        &mut self,
        builder: BackgroundBuilder,
        rendering: Rendering,
        level: LevelFilter,
        when_full: WhenFull,
        report: &SelfReport,
    ) -> io::Result<()> {
        let (background, guard) = builder.when_full(when_full).report(report).build()?;
        self.backgrounds.push(background.clone());
        self.guards.push(guard);
        self.opened.push(BackgroundOutput {
            rendering,
            level,
            background,
        });
        Ok(())
    }

    /// Adds the layers that make the lines: one for all outputs that share a rendering.
    pub(crate) fn push_layers(
        &mut self,
        layers: &mut Layers<Registry>,
        resolved: &Resolved,
        writer: Option<BoxMakeWriter>,
        levels: &LevelHandle,
        sink_filter: Option<&SinkFilter>,
        report: &SelfReport,
    ) {
        let mut sinks = Sinks {
            layers,
            resolved,
            levels,
            sink_filter,
        };
        let mut opened = std::mem::take(&mut self.opened);
        while let Some(BackgroundOutput { rendering, .. }) = opened.first() {
            let rendering = rendering.clone();
            let (same, others) = opened
                .into_iter()
                .partition(|one| one.rendering == rendering);
            opened = others;
            let same: Vec<BackgroundOutput> = same;
            let tee = Tee::new(
                same.into_iter()
                    .map(|one| (one.level, one.background))
                    .collect(),
            );
            let level = tee.level();
            // The outputs count what becomes of a line; that it was handed to them needs no counting.
            sinks.push(rendering, tee, level, &SelfReport::silent());
        }
        let writer = match (writer, resolved.output) {
            (Some(writer), _) => writer,
            (None, Output::TestHarness) => BoxMakeWriter::new(TestWriter::new),
            (None, _) => return,
        };
        let rendering = Rendering {
            format: resolved.format.clone(),
            color: resolved.color.applies(false),
            is_file: false,
        };
        let level = resolved.output_level.unwrap_or(LevelFilter::TRACE);
        sinks.push(rendering, writer, level, report);
    }
}

fn not_opened(resolved: &Resolved, setting: &Setting, path: &Path, error: &OpenError) -> String {
    let name = resolved.name_of(setting);
    if error.kind() == OpenErrorKind::InUse {
        let per_process = resolved.name_of(&LOG_FILE_PER_PROCESS);
        return format!(
            "{name}: cannot log to {path:?}: another logger has it open already; name another path, or give each process a file of \
             its own with {per_process}=1 or `Builder::file_per_process()`"
        );
    }
    not_usable(resolved, setting, path, &error.to_string())
}

fn not_usable(resolved: &Resolved, setting: &Setting, path: &Path, error: &str) -> String {
    let name = resolved.name_of(setting);
    let path = path.to_string_lossy();
    if conceal::is_path(&path) {
        return format!("{name}: {error}");
    }
    let error = conceal::message(error, &path);
    format!("{name}: {error}")
}

fn no_thread(name: &str, error: &io::Error) -> String {
    format!("no thread can be started that writes to {name}: {error}; raise the limit of threads")
}

/// Adds the layers of lines, with what stands in front of them.
struct Sinks<'a> {
    layers: &'a mut Layers<Registry>,
    resolved: &'a Resolved,
    levels: &'a LevelHandle,
    /// What is shown, where a recorder has more let through.
    sink_filter: Option<&'a SinkFilter>,
}

impl Sinks<'_> {
    fn push<W>(&mut self, rendering: Rendering, writer: W, level: LevelFilter, report: &SelfReport)
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        let resolved = self.resolved;
        // What a recorder keeps, and what is not shown, is not for the sampler to leave out: it is inside of all else.
        macro_rules! push {
            (|$writer:ident| $layer:expr) => {
                match &resolved.sampler {
                    Some(sampler) => push!(@ |$writer| $layer.sampled(sampler.clone())),
                    None => push!(@ |$writer| $layer),
                }
            };
            // For one writer or the other: a closure has one type.
            (@ |$writer:ident| $layer:expr) => {
                match self.recorder(level) {
                    Some((recorder, sink_filter)) => {
                        let sink = recorder.sink(writer, sink_filter, |$writer| $layer);
                        self.layers.push(sink);
                    }
                    None => {
                        let $writer = writer;
                        self.push_leveled($layer, level);
                    }
                }
            };
        }
        let time = if rendering.format == Format::Short && !rendering.is_file {
            ShowTime::FromDebug(self.levels.clone(), level)
        } else {
            ShowTime::Always
        };
        let policy = &resolved.redaction.policy;
        match (style(&rendering.format), policy) {
            (None, _) => push!(|writer| json(rendering.format, resolved, writer, report)),
            (Some(style), Some(policy)) => push!(|writer| {
                let console = console(style, rendering.color, resolved, writer, report);
                let console = console.show_time(time.clone());
                console.redacted(Arc::clone(policy)).wants_every_event()
            }),
            (Some(style), None) => {
                push!(
                    |writer| console(style, rendering.color, resolved, writer, report)
                        .show_time(time.clone())
                )
            }
        }
    }

    /// The recorder, if it has lines that are wanted at this level.
    fn recorder(&self, level: LevelFilter) -> Option<(Recorder, SinkFilter)> {
        let recorder = self.resolved.recorder.clone()?;
        let mut sink_filter = self.sink_filter?.clone();
        if level < LevelFilter::TRACE {
            sink_filter = sink_filter.with_levels(level.into());
        }
        (level >= LevelFilter::DEBUG).then_some((recorder, sink_filter))
    }

    /// Spares a layer the lines that none of its outputs wants.
    fn push_leveled<L>(&mut self, layer: L, level: LevelFilter)
    where
        L: Layer<Registry> + Send + Sync,
    {
        if level == LevelFilter::TRACE {
            self.push_emitted(layer);
        } else {
            self.push_emitted(layer.with_levels(level.into()));
        }
    }

    fn push_emitted<L>(&mut self, layer: L)
    where
        L: Layer<Registry> + Send + Sync,
    {
        match self.sink_filter {
            Some(sink_filter) => self
                .layers
                .push(layer.without_captured(sink_filter.clone())),
            None => self.layers.push(layer),
        }
    }
}

/// How a format for people is written; the others are JSON.
fn style(format: &Format) -> Option<Style> {
    match format {
        Format::Pretty => Some(Style::Pretty),
        Format::Compact => Some(Style::Compact),
        Format::Short => Some(Style::Short),
        _ => None,
    }
}

fn console<W>(
    style: Style,
    color: bool,
    resolved: &Resolved,
    writer: W,
    report: &SelfReport,
) -> ConsoleLayer
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let writer = BoxMakeWriter::new(writer);
    ConsoleLayer::new(style, color, resolved.context.clone(), writer, report)
        .timestamp(resolved.time.timestamp())
}

fn json<W>(format: Format, resolved: &Resolved, writer: W, report: &SelfReport) -> JsonLayer<W> {
    // The layout of `fmt().json()` has no place for it, and a drop-in change adds nothing.
    let has_service = format != Format::JsonNested;
    let mut layer = JsonLayer::new()
        .format(format)
        .timestamp(resolved.time.timestamp())
        .with_writer(writer)
        .report(report);
    for key in &resolved.context {
        layer = layer.context_key(key);
    }
    if let Some(policy) = &resolved.redaction.policy {
        layer = layer.redact(Arc::clone(policy));
    }
    if has_service {
        layer = layer.add(SERVICE, &resolved.service);
    }
    for (name, value) in resolved.static_fields.iter() {
        layer = layer.add(name, value);
    }
    layer
}

//! The rendering of lines: all settings that decide whether and how an event becomes a line.
//!
//! Outputs with the same rendering share one layer, so a line is encoded once for all of them.

use std::sync::Arc;

use spanwise_core::{LevelHandle, Redact, SelfReport, internal::LayerId};
use spanwise_json::{FieldList, Format, JsonLayer};
use spanwise_sample::Sampler;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::{MakeWriter, writer::BoxMakeWriter};

use crate::{
    Output, PanicBacktrace, Stack,
    config::Config,
    console::{ConsoleLayer, ShowTime, Style},
    router::GateBits,
    sink_settings::{SinkKind, SinkRedaction, SinkSettings},
    stack::LineSink,
};

/// The rendering of the lines of one or more outputs.
#[derive(Debug, Clone)]
pub(crate) struct Rendering {
    format: Format,
    fields: FieldList,
    /// The maximum length of the text of a value, in bytes.
    max_field: Option<usize>,
    /// The maximum length of a line, in bytes.
    max_line: Option<usize>,
    color: bool,
    /// The terminal to whose width human-readable lines are broken. `None` for other outputs and
    /// formats.
    terminal: Option<Output>,
    /// Whether lines of the format `short` always have a time, because they are for a file or a
    /// record sink. False for other formats, which do not depend on it, so that outputs can share
    /// their lines.
    always_has_time: bool,
    /// The outputs that may share human-readable lines: only the first line in a span shows the
    /// fields of the span, so these outputs must get the same events. `None` for other formats.
    audience: Option<Audience>,
    /// The sampler. `None` means the sampler of the program, and `Some(None)` no sampler.
    pub(crate) sampler: Option<Option<Sampler>>,
    /// Whether the flight recorder buffers lines for the output.
    is_recorded: bool,
    redaction: SinkRedaction,
}

/// The outputs that may share human-readable lines.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Audience {
    /// All outputs with this level.
    OfLevel(LevelFilter),
    /// Only the output with this id, because a router may send different events to each output. The
    /// output that replaces it in a reload keeps the id.
    Routed(LayerId),
}

impl Rendering {
    /// Returns the rendering for a file or a record sink. The caller changes it for other outputs.
    fn for_sink(sink: &SinkSettings) -> Self {
        Self {
            format: sink.format.clone(),
            fields: sink.fields.clone(),
            max_field: sink.max_field,
            max_line: sink.max_line,
            color: false,
            terminal: None,
            audience: None,
            always_has_time: sink.format == Format::Short,
            sampler: sink.sampler.clone(),
            is_recorded: sink.recorder,
            redaction: sink.redaction.clone(),
        }
    }

    /// Returns the sampler that the rendering stores. `None` if the output has no sampler, or
    /// implicitly uses the sampler of the program.
    #[cfg(feature = "config")]
    pub(crate) fn sampler(&self) -> Option<Sampler> {
        self.sampler.clone().flatten()
    }

    /// Returns the rendering for the writer set with `Builder`, or for the output of tests.
    pub(crate) fn for_writer(sink: &SinkSettings, config: &Config) -> Self {
        Self {
            // Stores even the sampler of the program, so that a reload notices a new sampler.
            sampler: Some(
                sink.sampler
                    .clone()
                    .unwrap_or_else(|| config.sampler.clone()),
            ),
            color: sink.color.applies(false),
            always_has_time: false,
            ..Self::for_sink(sink)
        }
    }

    /// Returns the rendering for an output, which may be a terminal. In a reload, `predecessor` is
    /// the rendering of the output that this output replaces.
    pub(crate) fn for_output(
        sink: &SinkSettings,
        has_routes: bool,
        predecessor: Option<&Self>,
    ) -> Self {
        let is_human_readable = sink.format.is_human_readable();
        let audience = is_human_readable.then(|| match has_routes {
            true => predecessor
                .and_then(|rendering| rendering.audience.clone())
                .unwrap_or_else(|| Audience::Routed(LayerId::unique())),
            false => Audience::OfLevel(sink.level.most_verbose()),
        });
        let plain = Self {
            audience,
            ..Self::for_sink(sink)
        };
        let output = match sink.kind {
            SinkKind::Stdout => Output::Stdout,
            SinkKind::Stderr => Output::Stderr,
            SinkKind::File(_) | SinkKind::None | SinkKind::Code | SinkKind::Exporter(_) => {
                return plain;
            }
        };
        let is_terminal = output.is_terminal();
        Self {
            color: sink.color.applies(is_terminal),
            terminal: (is_terminal && is_human_readable).then_some(output),
            always_has_time: false,
            ..plain
        }
    }

    /// Returns whether each event becomes the same line in both renderings, or no line in either.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let sampler_rules = |it: &Self| match &it.sampler {
            None => None,
            Some(None) => Some(None),
            Some(Some(sampler)) => Some(Some(sampler.to_string())),
        };
        self.format == other.format
            && self.fields == other.fields
            && self.max_field == other.max_field
            && self.max_line == other.max_line
            && self.color == other.color
            && self.terminal == other.terminal
            && self.audience == other.audience
            && self.always_has_time == other.always_has_time
            && sampler_rules(self) == sampler_rules(other)
            && self.is_recorded == other.is_recorded
            && self.redaction == other.redaction
    }

    /// Returns the options of the wrappers around the layer that writes lines with this rendering.
    /// `level` is the most verbose level of these lines.
    pub(crate) fn line_sink(
        &self,
        config: &Config,
        level: LevelFilter,
        route_bits: GateBits,
    ) -> LineSink {
        LineSink {
            level,
            route_bits,
            sampler: self.sampler.clone(),
            is_recorded: self.is_recorded,
            policy: config.policy_of(&self.redaction),
            is_late: false,
        }
    }
}

impl Config {
    /// Returns the policy of a sink. `None` means the policy of the stack, and `Some(None)` no
    /// redaction.
    fn policy_of(&self, redaction: &SinkRedaction) -> Option<Option<Arc<dyn Redact>>> {
        match redaction {
            SinkRedaction::Inherited => None,
            SinkRedaction::Off => Some(None),
            SinkRedaction::Changed(changes) => Some(self.redaction.changed(changes)),
        }
    }
}

/// Adds the layer that writes lines with this rendering, in the wrappers of `sink`.
pub(crate) fn add_lines<W>(
    stack: Stack,
    config: &Config,
    levels: LevelHandle,
    rendering: &Rendering,
    sink: LineSink,
    writer: W,
    report: &SelfReport,
) -> Stack
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let Some(style) = style(&rendering.format) else {
        let layer = json_layer(rendering, config, report);
        return stack.json_at(sink, writer, layer);
    };
    let time = if style == Style::Short && !rendering.always_has_time {
        ShowTime::FromDebug(levels, sink.level)
    } else {
        ShowTime::Always
    };
    let keys = config.context.clone();
    let timestamp = config.lines.time.timestamp();
    let own_targets = match config.panic_backtrace {
        PanicBacktrace::Full => None,
        PanicBacktrace::Short | PanicBacktrace::Off => Some(config.own_targets.clone()),
    };
    let full_backtrace_setting = config.full_backtrace_setting.clone();
    let (clock, report) = (config.clock.clone(), report.clone());
    let rendering = rendering.clone();
    stack.lines_at(sink, writer, move |writer| {
        let writer = BoxMakeWriter::new(writer);
        ConsoleLayer::new(style, keys, writer, &report)
            .color(rendering.color)
            .terminal(rendering.terminal)
            .own_targets(own_targets)
            .full_backtrace_setting(full_backtrace_setting)
            .timestamp(timestamp)
            .show_time(time)
            .fields(rendering.fields)
            .clock(clock)
    })
}

/// Returns the style of a human-readable format. `None` for the formats of a [`JsonLayer`].
fn style(format: &Format) -> Option<Style> {
    match format {
        Format::Pretty => Some(Style::Pretty),
        Format::Compact => Some(Style::Compact),
        Format::Short => Some(Style::Short),
        _ => None,
    }
}

/// Returns the layer that writes lines in a format of [`JsonLayer`] with this rendering.
fn json_layer(rendering: &Rendering, config: &Config, report: &SelfReport) -> JsonLayer {
    let format = rendering.format.clone();
    let layer = config.lines.json_layer(format, &rendering.fields);
    let mut layer = layer.report(report);
    if let Some(bytes) = rendering.max_field {
        layer = layer.max_field(bytes);
    }
    if let Some(bytes) = rendering.max_line {
        layer = layer.max_line(bytes);
    }
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
    if let Some(node) = &service.node {
        layer = layer.service_node(node);
    }
    for (name, value) in config.static_fields.iter() {
        layer = layer.add(name, value);
    }
    layer
}

//! The sinks, routes and filters of a configuration, after it was read and checked.
//!
//! A configuration file lists them. Without such a file, the variables define the sinks.

use std::path::PathBuf;

use spanwise_appender::{Compression, Retention, Rotation, WhenFull};
use spanwise_core::{Levels, TargetLevels};
use spanwise_json::{FieldList, Format};
use spanwise_sample::Sampler;
use tracing::{Level, level_filters::LevelFilter};

use crate::Color;

/// The sinks of a configuration, and the routes to them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Routing {
    pub(crate) sinks: Vec<SinkSettings>,
    /// The filters, each with its name. Routes and sinks refer to filters by name.
    pub(crate) filters: Vec<(String, Filter)>,
    /// The route of the targets that have no other route.
    pub(crate) root: Route,
    /// The other routes, each with its target.
    pub(crate) routes: Vec<(String, Route)>,
    /// The levels that code or a variable sets. They override the levels of routes.
    pub(crate) levels_over_routes: Option<Levels>,
    /// The steps by which [`Builder::verbosity`](crate::Builder::verbosity) shifts the levels of
    /// routes.
    pub(crate) verbosity: i8,
}

impl Routing {
    /// Returns whether there is an enabled sink `main`, to which settings such as `LOG_FORMAT`
    /// apply.
    pub(crate) fn has_main(&self) -> bool {
        self.sinks
            .iter()
            .any(|sink| sink.name == "main" && sink.enabled)
    }
}

/// A sink, with its effective settings.
#[derive(Debug, Clone)]
pub(crate) struct SinkSettings {
    /// The name of the sink: `errors` for the table `[sink.errors]`.
    pub(crate) name: String,
    /// The name of the sink in errors: `log.toml:12:1: sink.errors` or `LOG_FILE`.
    pub(crate) shown_name: String,
    pub(crate) kind: SinkKind,
    /// The router bit of the sink. [`Routing::assign_bits`] sets it.
    pub(crate) bit: u64,
    /// Whether the sink is switched on. Routes may still name a sink that is switched off.
    pub(crate) enabled: bool,
    pub(crate) format: Format,
    pub(crate) fields: FieldList,
    /// The maximum length of the text of a value, in bytes.
    pub(crate) max_field: Option<usize>,
    /// The maximum length of a line, in bytes.
    pub(crate) max_line: Option<usize>,
    pub(crate) color: Color,
    /// The most verbose level of the sink, for each target.
    pub(crate) level: TargetLevels,
    /// The names of the filters in [`Routing::filters`], in the order in which they are applied.
    pub(crate) filters: Vec<String>,
    /// The sampler. `None` means the sampler of the program, and `Some(None)` no sampler.
    pub(crate) sampler: Option<Option<Sampler>>,
    /// Whether the flight recorder buffers lines for this sink.
    pub(crate) recorder: bool,
    pub(crate) redaction: SinkRedaction,
    /// Whether a background thread writes the lines. `None` means that the preset decides for a
    /// stream, and that all other sinks have such a thread.
    pub(crate) background: Option<bool>,
    /// The capacity of the buffer in front of the background thread, in bytes.
    pub(crate) buffer: Option<usize>,
    pub(crate) when_full: WhenFull,
    /// Where lines go while a file cannot be written: nowhere, or `stderr`.
    pub(crate) fallback: Vec<String>,
}

impl SinkSettings {
    /// Returns whether both sinks write to the same output in the same way. Their lines may differ.
    pub(crate) fn is_same_output(&self, other: &Self) -> bool {
        self.name == other.name
            && self.kind == other.kind
            && self.background == other.background
            && self.buffer == other.buffer
            && self.when_full == other.when_full
    }
}

/// What a sink writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SinkKind {
    Stdout,
    Stderr,
    File(FileSettings),
    /// Nothing.
    None,
    /// A writer or a record sink that code adds.
    Code,
    /// An exporter that a feature adds: `sentry` or `otlp`. The exporter reads its own settings.
    /// Here it is only a destination of routes.
    Exporter(&'static str),
}

/// The path and the options of a log file. An option that is `None` has its default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileSettings {
    pub(crate) path: PathBuf,
    pub(crate) rotation: Option<Rotation>,
    pub(crate) retention: Option<Retention>,
    pub(crate) compression: Option<Compression>,
    /// The Unix permissions of the file.
    pub(crate) mode: Option<u32>,
    /// Whether each further process that logs to the path writes its own files.
    pub(crate) per_process: bool,
}

impl FileSettings {
    /// Returns the names of the options, as in a configuration file, that differ from those of
    /// `other`.
    pub(crate) fn differences(&self, other: &Self) -> impl Iterator<Item = &'static str> {
        let options = [
            ("rotate", self.rotation != other.rotation),
            ("keep", self.retention != other.retention),
            ("compress", self.compression != other.compression),
            ("mode", self.mode != other.mode),
            ("per_process", self.per_process != other.per_process),
        ];
        let differing = options.into_iter().filter(|(_, differs)| *differs);
        differing.map(|(key, _)| key)
    }
}

/// The redaction of one sink.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum SinkRedaction {
    /// The redaction of the program.
    #[default]
    Inherited,
    /// The redaction of the program, with these changes.
    Changed(spanwise_redact::PolicyOverrides),
    /// No redaction. Secrets are written.
    Off,
}

/// The level, the sinks and the filters of the events of a target and its submodules.
#[derive(Debug, Clone, Default)]
pub(crate) struct Route {
    pub(crate) level: Option<LevelFilter>,
    /// The names of sinks. `None` in the root means every sink that no route names. `None` in
    /// another route means no sinks except those of shorter targets and of the root.
    pub(crate) sinks: Option<Vec<String>>,
    /// The names of filters in [`Routing::filters`].
    pub(crate) filters: Vec<String>,
    /// Whether the sinks of shorter targets and of the root get none of the events.
    pub(crate) exclusive: bool,
}

/// What happens to the events that meet a condition.
#[derive(Debug, Clone)]
pub(crate) enum Filter {
    /// The events pass, and all other events are dropped.
    Keep(Condition),
    /// The events are dropped.
    Drop(Condition),
    /// The events get this level.
    Level(Level, Condition),
    /// The function that [`Builder::filter`](crate::Builder::filter) registers by this name
    /// decides.
    Code(String),
}

/// A condition on an event.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    /// The preset of the program is one of these.
    Preset(Vec<crate::Preset>),
    /// The event has this level or a more severe one.
    Level(LevelFilter),
    /// The target is this module or inside it.
    Target(String),
    /// The message contains this text.
    Message(String),
    /// A field of the event, of one of its spans, or of the context, by its dotted name.
    Field(String, FieldTest),
}

/// A test of the value of a field. The type of the value in the configuration decides whether texts
/// or numbers are compared.
#[derive(Debug, Clone)]
pub(crate) enum FieldTest {
    /// The value is one of these.
    Is(Vec<FieldValue>),
    /// The value is none of these, or the field has no value.
    Not(Vec<FieldValue>),
    Starts(String),
    Contains(String),
    Above(f64),
    Below(f64),
    /// The field has a value, or with `false` has none.
    Exists(bool),
}

/// A value in a configuration file, with which the value of a field is compared.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum FieldValue {
    Text(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
}

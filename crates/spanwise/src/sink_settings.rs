//! The sinks, routes and filters of a configuration, after it was read and checked.

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
    /// The filters by name. A route and a sink name the filters that they apply.
    pub(crate) filters: Vec<(String, Filter)>,
    pub(crate) root: Route,
    /// The routes, each with its target.
    pub(crate) routes: Vec<(String, Route)>,
    /// The levels that code or a variable sets. They override the levels of routes.
    pub(crate) levels_over_routes: Option<Levels>,
    /// The steps by which [`Builder::verbosity`](crate::Builder::verbosity) shifts the levels of
    /// routes.
    pub(crate) verbosity: i8,
}

impl Routing {
    /// Returns whether there is an enabled sink `main`, which the settings of lines apply to.
    pub(crate) fn has_main(&self) -> bool {
        self.sinks
            .iter()
            .any(|sink| sink.name == "main" && sink.enabled)
    }
}

/// A sink, with its effective settings.
#[derive(Debug, Clone)]
pub(crate) struct SinkSettings {
    /// The name of its table: `errors` for `[sink.errors]`.
    pub(crate) name: String,
    /// How errors name the sink: `log.toml:12:1: sink.errors` or `LOG_FILE`.
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
    pub(crate) level: TargetLevels,
    /// Names in [`Routing::filters`], in the order in which they are applied.
    pub(crate) filters: Vec<String>,
    /// The sampler. `None` means the sampler of the program, and `Some(None)` no sampler.
    pub(crate) sampler: Option<Option<Sampler>>,
    /// Whether the flight recorder feeds this sink.
    pub(crate) recorder: bool,
    pub(crate) redaction: SinkRedaction,
    /// Whether a background thread writes. `None` means that the preset decides for streams, and
    /// that files are written in the background.
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

/// The path of a file and how it rolls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileSettings {
    pub(crate) path: PathBuf,
    pub(crate) rotation: Option<Rotation>,
    pub(crate) retention: Option<Retention>,
    pub(crate) compression: Option<Compression>,
    pub(crate) mode: Option<u32>,
    pub(crate) per_process: bool,
}

impl FileSettings {
    /// Returns the keys of the options that differ from those of `other`.
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

/// Where events of a target go.
#[derive(Debug, Clone, Default)]
pub(crate) struct Route {
    pub(crate) level: Option<LevelFilter>,
    /// Names of sinks. `None` in the root: every sink that no route names. `None` in a route: only
    /// the sinks of shorter targets and of the root.
    pub(crate) sinks: Option<Vec<String>>,
    /// Names in [`Routing::filters`].
    pub(crate) filters: Vec<String>,
    /// Whether the sinks of shorter targets and of the root get none of the events.
    pub(crate) exclusive: bool,
}

/// What happens to the events that meet a condition.
#[derive(Debug, Clone)]
pub(crate) enum Filter {
    /// The events pass, and all other events are dropped.
    Keep(Condition),
    Drop(Condition),
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
    /// The preset is one of these.
    Preset(Vec<crate::Preset>),
    /// The event has at least this severity.
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
    Is(Vec<FieldValue>),
    Not(Vec<FieldValue>),
    Starts(String),
    Contains(String),
    Above(f64),
    Below(f64),
    Exists(bool),
}

/// A value in a configuration file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum FieldValue {
    Text(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
}

//! Options of the log layer: the events that it exports, and the content and limits of a record.

use std::sync::Arc;

use spanwise_core::{CONTEXT_KEYS, Clock, SelfReport, TargetLevels};
use tracing_core::Level;

use crate::{limits::AttributeLimits, process_counter::ProcessCounter};

/// Options of [`OtelLogs`](crate::OtelLogs): the events that become log records, the attributes
/// that a record has besides the fields of its event, and limits.
///
/// ```
/// use spanwise_otel::{LogOptions, SpanFields};
///
/// let options = LogOptions::default()
///     .span_fields(SpanFields::Only(vec!["order_id".to_owned()]))
///     .source_location();
/// # let _ = options;
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "it does nothing until a layer gets it"]
pub struct LogOptions {
    pub(crate) context_keys: Vec<String>,
    pub(crate) span_fields: SpanFields,
    pub(crate) has_source_location: bool,
    pub(crate) only_sampled_traces: bool,
    pub(crate) levels: Option<TargetLevels>,
    pub(crate) limits: AttributeLimits,
    /// `None` means the clock of the builder.
    pub(crate) clock: Option<Clock>,
    /// `None` means the report of the builder.
    pub(crate) report: Option<SelfReport>,
    /// The number of events that `only_sampled_traces` dropped.
    pub(crate) sampled_out: Arc<ProcessCounter>,
}

/// The span fields that become attributes of a record, besides the context keys. They come from the
/// span of the event and its ancestors.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SpanFields {
    /// No fields.
    #[default]
    None,
    /// Fields with these names.
    Only(Vec<String>),
    /// All fields. If several spans have a field of the same name, the value of the nearest span
    /// counts.
    All,
}

impl LogOptions {
    /// Declares a context key besides [`CONTEXT_KEYS`], like
    /// [`ContextLayer::key`](spanwise_core::ContextLayer::key).
    pub fn context_key(mut self, key: impl Into<String>) -> Self {
        self.context_keys.push(key.into());
        self
    }

    pub(crate) fn is_context_key(&self, name: &str) -> bool {
        CONTEXT_KEYS.contains(&name) || self.context_keys.iter().any(|key| key == name)
    }

    /// Sets which span fields become attributes of a record. Defaults to [`SpanFields::None`]: only
    /// the context keys.
    pub fn span_fields(mut self, fields: SpanFields) -> Self {
        self.span_fields = fields;
        self
    }

    /// Sets which events are exported. Events of targets that the levels do not cover are not
    /// exported. For the summary of a sampler, the target of the events that it counts decides. The
    /// header of a recorder's dump is always exported. Defaults to all events that the layer
    /// receives.
    pub fn levels(mut self, levels: TargetLevels) -> Self {
        self.levels = Some(levels);
        self
    }

    /// Returns whether events of this level and target are exported.
    pub(crate) fn exports(&self, level: Level, target: &str) -> bool {
        let is_within = |most_verbose| level <= most_verbose;
        let levels = self.levels.as_ref();
        levels.is_none_or(|levels| levels.level(target).is_some_and(is_within))
    }

    /// Adds the source file and line as `code.file.path` and `code.line.number`.
    pub fn source_location(mut self) -> Self {
        self.has_source_location = true;
        self
    }

    /// Drops events of traces that are not sampled, at the levels INFO, DEBUG and TRACE. By
    /// default, events of all traces are exported.
    pub fn only_sampled_traces(mut self) -> Self {
        self.only_sampled_traces = true;
        self
    }

    /// Sets the maximum number of attributes of a record. Further attributes are dropped and
    /// counted. Defaults to 128.
    pub fn max_attributes(mut self, count: usize) -> Self {
        self.limits.count = count;
        self
    }

    /// Sets the maximum length of a text attribute in characters. Defaults to no limit, except that
    /// no text exceeds 16 KiB.
    pub fn max_value_chars(mut self, chars: usize) -> Self {
        self.limits.value_chars = chars;
        self
    }

    /// Sets the clock for the time of a record. Defaults to the clock of the builder, or else to
    /// [`Clock::system`].
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Sets where faults are reported. Defaults to the report of the builder, or else to the
    /// process-wide [`SelfReport`].
    pub fn report(mut self, report: SelfReport) -> Self {
        self.report = Some(report);
        self
    }

    /// Returns the options, with `clock` and `report` in place of those that are not set.
    pub(crate) fn or(self, clock: Clock, report: SelfReport) -> Self {
        Self {
            clock: self.clock.or(Some(clock)),
            report: self.report.or(Some(report)),
            ..self
        }
    }
}

impl SpanFields {
    /// Returns whether a span field with this name becomes an attribute.
    pub(crate) fn has(&self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::Only(names) => names.iter().any(|known| known == name),
            Self::All => true,
        }
    }
}

//! The options of the span layer.

use spanwise_core::{Clock, SelfReport, TargetLevels};

use crate::{limits::AttributeLimits, trace_sampler::TraceSampler};

/// The options of [`OtelSpans`](crate::OtelSpans): the spans that it exports, the attributes that
/// it adds to their fields, and their limits.
///
/// ```
/// use spanwise_otel::{TraceSampler, EventsInSpans, SpanOptions};
///
/// let options = SpanOptions::default()
///     .sampler(TraceSampler::ratio(0.1).expect("a ratio from 0 to 1").parent_based())
///     .events(EventsInSpans::Errors);
/// # let _ = options;
/// ```
#[derive(Debug, Clone)]
#[must_use = "it does nothing until a builder gets it"]
pub struct SpanOptions {
    /// Spans that are more verbose than these levels are not exported. The level is INFO for
    /// targets that the levels do not cover.
    pub(crate) levels: TargetLevels,
    pub(crate) sampler: TraceSampler,
    /// `None` for the default, which depends on whether logs are exported.
    pub(crate) events: Option<EventsInSpans>,
    pub(crate) limits: SpanLimits,
    pub(crate) has_source_location: bool,
    pub(crate) has_thread: bool,
    pub(crate) has_busy_times: bool,
    pub(crate) has_context_keys: bool,
    /// Whether an entered span is the current span of the OpenTelemetry API.
    pub(crate) propagates_otel_context: bool,
    pub(crate) clock: Clock,
    pub(crate) report: SelfReport,
}

/// The events of `tracing` that become OpenTelemetry events of their span. This has no effect on
/// log records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventsInSpans {
    /// No events. The default if logs are exported, because the events then become log records with
    /// the ids of the span.
    None,
    /// Events at ERROR. The default if logs are not exported.
    Errors,
    /// All enabled events.
    All,
}

/// The limits of the attributes, events and links of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpanLimits {
    pub(crate) attributes: AttributeLimits,
    /// The maximum number of events.
    pub(crate) events: usize,
    /// The limits of the attributes of each event.
    pub(crate) event_attributes: AttributeLimits,
    /// The maximum number of links.
    pub(crate) links: usize,
    /// The limits of the attributes of each link.
    pub(crate) link_attributes: AttributeLimits,
}

impl SpanOptions {
    /// Sets the levels of exported spans. A child of a span that is not exported becomes a child of
    /// the nearest exported ancestor. Defaults to INFO, also for targets that the levels do not
    /// cover. Spans of the OpenTelemetry API count as INFO, with the name of their scope as target.
    pub fn levels(mut self, levels: TargetLevels) -> Self {
        self.levels = levels;
        self
    }

    /// Sets which traces are exported. Defaults to `parentbased_always_on`: all, except those that
    /// the caller does not sample.
    pub fn sampler(mut self, sampler: TraceSampler) -> Self {
        self.sampler = sampler;
        self
    }

    /// Does not make an entered span the current span of the OpenTelemetry API. Entering a span is
    /// then cheaper, but spans of `tracing` and of the OpenTelemetry API do not nest.
    ///
    /// By default, the OpenTelemetry context inside of a span has the baggage that is current when
    /// a thread enters the span. Other values of the context may be from an earlier enter of the
    /// span. After [`SpanExt::set_parent`](crate::SpanExt::set_parent), the baggage and the other
    /// values are those of the parent's context.
    pub fn without_context(mut self) -> Self {
        self.propagates_otel_context = false;
        self
    }

    /// Sets which events of `tracing` become events of their span. Defaults to
    /// [`EventsInSpans::None`] if logs are exported, and to [`EventsInSpans::Errors`] if not.
    pub fn events(mut self, events: EventsInSpans) -> Self {
        self.events = Some(events);
        self
    }

    /// Adds the source file and line as `code.file.path` and `code.line.number`.
    pub fn source_location(mut self) -> Self {
        self.has_source_location = true;
        self
    }

    /// Adds the thread that opens the span as `thread.id` and `thread.name`.
    pub fn threads(mut self) -> Self {
        self.has_thread = true;
        self
    }

    /// Adds the time that threads spent inside of the span as `busy_ns`, and the remaining time
    /// until its end as `idle_ns`, both in nanoseconds.
    pub fn busy_times(mut self) -> Self {
        self.has_busy_times = true;
        self
    }

    /// Adds the values of the span's [`Context`](spanwise_core::Context) as attributes, such as the
    /// request id and the tenant, if a [`ContextLayer`](spanwise_core::ContextLayer) is in the
    /// stack. A field of the span takes precedence over a context key of the same name.
    pub fn context_keys(mut self) -> Self {
        self.has_context_keys = true;
        self
    }

    /// Sets the maximum number of attributes of a span. Further attributes are dropped and counted.
    /// Defaults to 128.
    pub fn max_attributes(mut self, count: usize) -> Self {
        self.limits.attributes.count = count;
        self
    }

    /// Sets the maximum length of a text attribute in characters, also for events and links.
    /// Defaults to no limit, except that no text exceeds 16 KiB.
    pub fn max_value_chars(mut self, chars: usize) -> Self {
        self.limits.attributes.value_chars = chars;
        self.limits.event_attributes.value_chars = chars;
        self.limits.link_attributes.value_chars = chars;
        self
    }

    /// Sets the maximum number of events of a span. Further events are dropped and counted.
    /// Defaults to 128.
    pub fn max_events(mut self, count: usize) -> Self {
        self.limits.events = count;
        self
    }

    /// Sets the maximum number of attributes of an event of a span. Defaults to 128.
    pub fn max_event_attributes(mut self, count: usize) -> Self {
        self.limits.event_attributes.count = count;
        self
    }

    /// Sets the maximum number of links of a span. Further links are dropped and counted.
    /// Defaults to 128.
    pub fn max_links(mut self, count: usize) -> Self {
        self.limits.links = count;
        self
    }

    /// Sets the maximum number of attributes of a link. Defaults to 128.
    pub fn max_link_attributes(mut self, count: usize) -> Self {
        self.limits.link_attributes.count = count;
        self
    }

    /// Returns the value of [`events`](Self::events()), or else its default.
    pub(crate) fn events_or_default(&self, exports_logs: bool) -> EventsInSpans {
        self.events.unwrap_or(match exports_logs {
            true => EventsInSpans::None,
            false => EventsInSpans::Errors,
        })
    }
}

impl Default for SpanOptions {
    fn default() -> Self {
        Self {
            levels: TargetLevels::default(),
            sampler: TraceSampler::default(),
            events: None,
            limits: SpanLimits::default(),
            has_source_location: false,
            has_thread: false,
            has_busy_times: false,
            has_context_keys: false,
            propagates_otel_context: true,
            clock: Clock::default(),
            report: SelfReport::default(),
        }
    }
}

impl Default for SpanLimits {
    fn default() -> Self {
        Self {
            attributes: AttributeLimits::default(),
            events: 128,
            event_attributes: AttributeLimits::default(),
            links: 128,
            link_attributes: AttributeLimits::default(),
        }
    }
}

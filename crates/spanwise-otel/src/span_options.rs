//! What becomes of spans.

use spanwise_core::{Clock, TargetLevels};

use crate::{limits::AttributeLimits, sampler::Sampler};

/// Which events become events of their span. The events are exported as log records anyway, if logs
/// are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SpanEvents {
    /// None. The default where logs are exported.
    #[default]
    None,
    /// Those at ERROR. The default where only traces are exported.
    Errors,
    /// All that are enabled.
    All,
}

/// How spans are collected.
#[derive(Debug, Clone)]
pub(crate) struct SpanOptions {
    /// Spans beyond these levels are not exported. Their children attach to the span around them.
    /// Targets that are not covered have the level INFO.
    pub(crate) levels: TargetLevels,
    pub(crate) sampler: Sampler,
    pub(crate) events: SpanEvents,
    pub(crate) limits: SpanLimits,
    /// Whether the source location is an attribute.
    pub(crate) code: bool,
    /// Whether the thread that opens a span is an attribute.
    pub(crate) threads: bool,
    /// Whether the times in which a span was entered, and was not, are attributes.
    pub(crate) busy_times: bool,
    /// Whether a span that is entered is the current one of the OpenTelemetry API.
    pub(crate) context: bool,
    pub(crate) clock: Clock,
}

/// The limits of what a span carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpanLimits {
    pub(crate) attributes: AttributeLimits,
    pub(crate) events: usize,
    /// The attributes of each event.
    pub(crate) event_attributes: AttributeLimits,
    pub(crate) links: usize,
    /// The attributes of each link.
    pub(crate) link_attributes: AttributeLimits,
}

impl Default for SpanOptions {
    fn default() -> Self {
        Self {
            levels: TargetLevels::default(),
            sampler: Sampler::default(),
            events: SpanEvents::default(),
            limits: SpanLimits::default(),
            code: false,
            threads: false,
            busy_times: false,
            context: true,
            clock: Clock::default(),
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

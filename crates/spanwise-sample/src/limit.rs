//! Limits: how many of the events that match a rule a sampler keeps.

use std::{fmt, time::Duration};

use spanwise_core::{
    ParseError,
    internal::{DurationUnits, consistent_sampling::Threshold},
};

/// The part of the matching events to keep: all, a ratio, a [`Rate`], or the [`First`] events of
/// each period.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit(pub(crate) LimitKind);

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum LimitKind {
    Keep,
    Ratio(Threshold),
    Rate(Rate),
    First(First),
}

impl Limit {
    /// Keeps all events. Use it to exempt events that a later rule would sample.
    #[must_use]
    pub fn keep() -> Self {
        Self(LimitKind::Keep)
    }

    /// Keeps a ratio of the events, from 0 (none) to 1 (all).
    ///
    /// Inside a trace, the decision follows the `trace_id` of the
    /// [`Context`](spanwise_core::Context) and is [consistent]. So all processes and sinks with the
    /// same ratio keep the events of the same traces. Outside traces, the decision follows the
    /// `request_id` in the same way. With neither id, the decision is random for each event.
    ///
    /// Kept events carry `sample_rate`. With a ratio of 0 no event is kept, so only
    /// [`Sampler::emit_summaries`](crate::Sampler::emit_summaries) reports the count.
    ///
    /// ```
    /// assert_eq!(
    ///     spanwise_sample::Limit::ratio(1.5).unwrap_err().to_string(),
    ///     "`1.5` is out of range: a ratio lies between 0 and 1; use 1 to keep every event"
    /// );
    /// ```
    ///
    /// # Errors
    /// If `ratio` is not between 0 and 1.
    ///
    /// [consistent]: https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/
    pub fn ratio(ratio: f64) -> Result<Self, ParseError> {
        match Threshold::from_ratio(ratio) {
            Some(threshold) => Ok(Self(LimitKind::Ratio(threshold))),
            None => Err(ParseError::new(format!(
                "`{ratio}` is out of range: a ratio lies between 0 and 1; use 1 to keep every event"
            ))),
        }
    }
}

/// Keeps a number of events per period at each callsite, with a token bucket. Dropped events are
/// counted and reported in a summary: see [`Sampled`](crate::Sampled).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// The number of events per period.
    pub(crate) events: u32,
    pub(crate) period: Duration,
    /// The number of events in a burst. `None` means the same number as `events`.
    pub(crate) burst: Option<u32>,
    /// The field for whose values there are separate buckets. `None` means one bucket per callsite.
    pub(crate) key: Option<String>,
}

impl Rate {
    /// Creates a limit of this many events per period at each callsite. With 0, no event is kept.
    #[must_use]
    pub fn new(events: u32, period: Duration) -> Self {
        Self {
            events,
            period,
            burst: None,
            key: None,
        }
    }

    /// Creates a limit of this many events per second at each callsite. With 0, no event is kept.
    #[must_use]
    pub fn per_second(events: u32) -> Self {
        Self::new(events, SECOND)
    }

    /// Sets how many events are kept in a burst after a quiet time. The minimum is 1. Defaults to
    /// the number of events per period.
    #[must_use]
    pub fn burst(mut self, events: u32) -> Self {
        self.burst = Some(events);
        self
    }

    /// Gives each value of the field `key` its own bucket. The value comes from the event, or else
    /// from the [`Context`](spanwise_core::Context). Defaults to one bucket per callsite.
    ///
    /// Events of a callsite without a value share one bucket. Values with the same first
    /// 1,024 bytes share one bucket, too.
    ///
    /// A rule has a table of 10,000 pairs of callsite and value, in about 900 KB. If the table is
    /// full, a new value replaces a value that occurred only once, or a value whose bucket has been
    /// full for a minute.
    ///
    /// If the replaced value may still be in use, the bucket of the new value starts empty. The
    /// event then uses a token of one bucket that all such new values share. If each new bucket
    /// started full, a flood of new values could exceed the limit.
    #[must_use]
    pub fn per_value_of(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

/// Keeps the first events of each period at a callsite, and optionally every n-th event after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct First {
    /// The number of events that are kept at the start of each period.
    pub(crate) events: u32,
    /// The n in "every n-th event". With 0, no later event is kept.
    pub(crate) every: u32,
    /// The period after which counting restarts.
    pub(crate) period: Duration,
}

impl First {
    /// Creates a limit that keeps the first events of every second at each callsite.
    #[must_use]
    pub fn new(events: u32) -> Self {
        Self {
            events,
            every: 0,
            period: SECOND,
        }
    }

    /// Sets which later events are kept: with 100, every 100th; with 0, none. Such an event carries
    /// a `sample_rate` that represents the events dropped before it. Defaults to 0.
    #[must_use]
    pub fn then_every(mut self, events: u32) -> Self {
        self.every = events;
        self
    }

    /// Sets the period after which counting restarts. The minimum is one millisecond. Defaults to
    /// one second.
    #[must_use]
    pub fn within(mut self, period: Duration) -> Self {
        self.period = period.max(Duration::from_millis(1));
        self
    }
}

impl From<Rate> for Limit {
    fn from(rate: Rate) -> Self {
        Self(LimitKind::Rate(rate))
    }
}

impl From<First> for Limit {
    fn from(first: First) -> Self {
        Self(LimitKind::First(first))
    }
}

/// Writes the syntax of `LOG_SAMPLE`.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            LimitKind::Keep => f.write_str("1"),
            LimitKind::Ratio(threshold) => write!(f, "{}", threshold.ratio()),
            LimitKind::Rate(rate) => {
                write!(f, "{}/{}", rate.events, DurationUnits(rate.period))?;
                if let Some(burst) = rate.burst {
                    write!(f, "/{burst}")?;
                }
                rate.key.as_ref().map_or(Ok(()), |key| write!(f, "@{key}"))
            }
            LimitKind::First(first) => {
                write!(f, "first:{}", first.events)?;
                if first.every > 0 {
                    write!(f, "/{}", first.every)?;
                }
                if first.period != SECOND {
                    write!(f, "/{}", DurationUnits(first.period))?;
                }
                Ok(())
            }
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);

//! How much is kept of the events that a rule is about.

use std::{fmt, time::Duration};

use crate::{SampleError, consistent_sampling::Threshold};

/// How much is kept: made by [`keep`], [`ratio`], [`rate`] or [`first`].
#[derive(Debug, Clone, PartialEq)]
pub struct Limit(pub(crate) Kind);

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Keep,
    Ratio(Threshold),
    Rate(Rate),
    First(First),
}

/// All of them: for what a later rule would thin out.
#[must_use]
pub fn keep() -> Limit {
    Limit(Kind::Keep)
}

/// This share of them, from 0 (none) to 1 (all).
///
/// Inside a trace the choice follows the `trace_id` of the [`Context`](spanwise_core::Context): it is [consistent], so that each process and each
/// sink keeps the events of the same traces. Without a trace, it follows the `request_id` in the same way; without either, it is random, each
/// event for itself. What is kept carries `sample_rate`. Of a share of 0 nothing could say so: a summary tells it, by
/// [`Sampler::flush`](crate::Sampler::flush) alone.
///
/// ```
/// assert_eq!(
///     spanwise_sample::ratio(1.5).unwrap_err().to_string(),
///     "`1.5` is out of range: a ratio lies between 0 and 1; use 1 to keep every event"
/// );
/// ```
///
/// # Errors
/// If it does not lie between 0 and 1.
///
/// [consistent]: https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/
pub fn ratio(share: f64) -> Result<Limit, SampleError> {
    match Threshold::from_ratio(share) {
        Some(threshold) => Ok(Limit(Kind::Ratio(threshold))),
        None => Err(SampleError::new(format!(
            "`{share}` is out of range: a ratio lies between 0 and 1; use 1 to keep every event"
        ))),
    }
}

/// At most this many a second of each callsite; 0 keeps none.
///
/// What is held back is counted, and told in a summary: see [`Sampled`](crate::Sampled).
#[must_use]
pub fn rate(events: u32) -> Rate {
    Rate {
        events,
        within: SECOND,
        burst: None,
        per: None,
    }
}

/// The first so many of each callsite in every second, and no more until the next: say which of the others with [`First::then_every`].
#[must_use]
pub fn first(events: u32) -> First {
    First {
        events,
        every: 0,
        tick: SECOND,
    }
}

/// A token bucket for each callsite, made by [`rate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    pub(crate) events: u32,
    pub(crate) within: Duration,
    pub(crate) burst: Option<u32>,
    pub(crate) per: Option<String>,
}

impl Rate {
    /// Sets in which time there may be so many events. Default: a second.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.within = time;
        self
    }

    /// Sets how many may come at once after a quiet time; at least 1. Default: as many as the rate.
    #[must_use]
    pub fn burst(mut self, events: u32) -> Self {
        self.burst = Some(events);
        self
    }

    /// Gives each value of the field `key` a bucket of its own: the field of the event, else the one of the [`Context`](spanwise_core::Context).
    ///
    /// Events without the field share one bucket. Of a value, 1,024 bytes are read.
    ///
    /// A rule remembers 10,000 pairs of callsite and value, in some 900 KB at the most. A value
    /// that finds no room takes the place of one that occurred only once, or that was not seen for
    /// a minute. In the first case the limit must hold for a flood of values too: the event then
    /// counts against one more bucket of the rule, which all such values share, and the value's own
    /// bucket begins empty.
    #[must_use]
    pub fn per(mut self, key: impl Into<String>) -> Self {
        self.per = Some(key.into());
        self
    }
}

/// The first events of each tick, and then some, made by [`first`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct First {
    pub(crate) events: u32,
    /// 0 is never.
    pub(crate) every: u32,
    pub(crate) tick: Duration,
}

impl First {
    /// Keeps, after the first ones, each so many-th: 100 keeps the 100th, the 200th; 0 keeps none. Such an event stands for those before it, and carries `sample_rate`.
    /// Default: none.
    #[must_use]
    pub fn then_every(mut self, events: u32) -> Self {
        self.every = events;
        self
    }

    /// Sets after which time counting starts again; at least a millisecond. Default: a second.
    #[must_use]
    pub fn within(mut self, tick: Duration) -> Self {
        self.tick = tick.max(Duration::from_millis(1));
        self
    }
}

impl From<Rate> for Limit {
    fn from(rate: Rate) -> Self {
        Self(Kind::Rate(rate))
    }
}

impl From<First> for Limit {
    fn from(first: First) -> Self {
        Self(Kind::First(first))
    }
}

/// As `LOG_SAMPLE` writes it.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Keep => f.write_str("1"),
            Kind::Ratio(threshold) => write!(f, "{}", threshold.ratio()),
            Kind::Rate(rate) => {
                write!(f, "{}/{}", rate.events, Unit(rate.within))?;
                if let Some(burst) = rate.burst {
                    write!(f, "/{burst}")?;
                }
                rate.per.as_ref().map_or(Ok(()), |key| write!(f, "@{key}"))
            }
            Kind::First(first) => {
                write!(f, "first:{}", first.events)?;
                if first.every > 0 {
                    write!(f, "/{}", first.every)?;
                }
                if first.tick != SECOND {
                    write!(f, "/{}", Unit(first.tick))?;
                }
                Ok(())
            }
        }
    }
}

/// A time as a unit with a factor: `s`, `10s`, `m`.
pub(crate) struct Unit(pub(crate) Duration);

pub(crate) const UNITS: [(&str, Duration); 4] = [
    ("h", Duration::from_secs(3600)),
    ("m", Duration::from_secs(60)),
    ("s", SECOND),
    ("ms", Duration::from_millis(1)),
];

pub(crate) const SECOND: Duration = Duration::from_secs(1);

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let fits = UNITS
            .iter()
            .find(|(_, unit)| millis > 0 && millis.is_multiple_of(unit.as_millis()));
        match fits {
            Some((name, unit)) if *unit == self.0 => f.write_str(name),
            Some((name, unit)) => write!(f, "{}{name}", millis / unit.as_millis()),
            None => write!(f, "{:?}", self.0),
        }
    }
}

//! Lines about the changes of spans: opened, entered, exited, closed.

use std::{
    fmt, ops,
    time::{Duration, Instant},
};

use spanwise_core::internal::LayerId;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

/// The changes of a span that are logged.
///
/// Each line about a change has the span's level, target and fields, and the message `new`,
/// `enter`, `exit` or `close`. A line `close` has `time.busy` and `time.idle`: how long the span
/// was entered, and how long it was not.
///
/// ```
/// use spanwise_json::{JsonLayer, SpanEvents};
///
/// let layer = JsonLayer::new().span_events(SpanEvents::NEW | SpanEvents::CLOSE);
/// # drop(layer);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpanEvents(u8);

impl SpanEvents {
    /// No change: the default.
    pub const NONE: Self = Self(0);
    /// A span is opened.
    pub const NEW: Self = Self(1);
    /// A span is entered, each time.
    pub const ENTER: Self = Self(2);
    /// A span is exited, each time.
    pub const EXIT: Self = Self(4);
    /// A span is closed. The line has `time.busy` and `time.idle`.
    pub const CLOSE: Self = Self(8);
    /// All changes.
    pub const ALL: Self = Self(15);

    #[inline]
    pub(crate) fn contains(self, event: Self) -> bool {
        self.0 & event.0 != 0
    }
}

impl ops::BitOr for SpanEvents {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The times that one layer measures for a span: how long it was entered, and how long it was not.
/// Stored in the extensions of the span.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpanTimes {
    layer: LayerId,
    pub(crate) busy: Duration,
    pub(crate) idle: Duration,
    /// The number of times that the span is entered at present, on all threads.
    entered: u32,
    /// The time of the last change.
    since: Instant,
}

impl SpanTimes {
    fn new(layer: LayerId, now: Instant) -> Self {
        Self {
            layer,
            busy: Duration::ZERO,
            idle: Duration::ZERO,
            entered: 0,
            since: now,
        }
    }

    /// Adds the time since the last change to `busy` or `idle`.
    fn add_elapsed(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.since);
        if self.entered > 0 {
            self.busy += elapsed
        } else {
            self.idle += elapsed
        }
        self.since = now;
    }
}

/// A change of a span.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SpanChange {
    New,
    Entered,
    Exited,
    Closed,
}

impl SpanChange {
    /// Returns the flag of [`SpanEvents`] that enables lines about this change.
    #[inline]
    pub(crate) fn flag(self) -> SpanEvents {
        match self {
            Self::New => SpanEvents::NEW,
            Self::Entered => SpanEvents::ENTER,
            Self::Exited => SpanEvents::EXIT,
            Self::Closed => SpanEvents::CLOSE,
        }
    }

    /// Returns the message of a line about this change.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Entered => "enter",
            Self::Exited => "exit",
            Self::Closed => "close",
        }
    }
}

/// Applies `change` to the times of `span`, and returns them.
pub(crate) fn record_change<R: for<'s> LookupSpan<'s>>(
    span: &SpanRef<'_, R>,
    layer: LayerId,
    now: Instant,
    change: SpanChange,
) -> SpanTimes {
    let mut extensions = span.extensions_mut();
    if extensions.get_mut::<TimesByLayer>().is_none() {
        extensions.insert(TimesByLayer::default());
    }
    let Some(TimesByLayer(by_layer)) = extensions.get_mut::<TimesByLayer>() else {
        unreachable!("inserted above, under the same lock")
    };
    let index = by_layer
        .iter()
        .position(|times| times.layer == layer)
        .unwrap_or_else(|| {
            by_layer.push(SpanTimes::new(layer, now));
            by_layer.len() - 1
        });
    let times = &mut by_layer[index];
    times.add_elapsed(now);
    match change {
        SpanChange::Entered => times.entered += 1,
        SpanChange::Exited => times.entered = times.entered.saturating_sub(1),
        SpanChange::New | SpanChange::Closed => {}
    }
    *times
}

#[derive(Debug, Default)]
struct TimesByLayer(Vec<SpanTimes>);

/// Displays a duration as tracing-subscriber does: three digits and a unit.
pub(crate) struct HumanDuration(pub(crate) Duration);

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut amount = self.0.as_nanos() as f64;
        for unit in ["ns", "µs", "ms", "s"] {
            let digits = match amount {
                amount if amount < 10.0 => 2,
                amount if amount < 100.0 => 1,
                amount if amount < 1000.0 => 0,
                _ => {
                    amount /= 1000.0;
                    continue;
                }
            };
            return write!(f, "{amount:.digits$}{unit}");
        }
        write!(f, "{:.0}s", amount * 1000.0)
    }
}

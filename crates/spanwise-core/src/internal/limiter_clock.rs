//! The clock of rate limits.

use std::time::Duration;

use crate::Clock;

/// A monotonic clock in nanoseconds, read with the [`Precision`] that a limit needs.
#[derive(Debug, Clone, Default)]
pub struct LimiterClock(Clock);

/// The precision of the time that a limit needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// To the nanosecond.
    Exact,
    /// On Linux, up to 10 ms late, and read 10× faster than the exact time. Elsewhere, exact. The
    /// periods of a limit that always uses this precision start late, but have the exact length.
    Coarse,
}

/// The shortest period for the coarse clock, in nanoseconds. In a shorter period, one tick of the
/// clock would skip too large a part.
const MIN_COARSE_PERIOD: u64 = 100_000_000;

impl Precision {
    /// Returns the precision that a period of this many nanoseconds needs.
    #[must_use]
    pub fn for_period(nanos: u64) -> Self {
        if nanos < MIN_COARSE_PERIOD {
            Self::Exact
        } else {
            Self::Coarse
        }
    }
}

impl LimiterClock {
    /// Creates a clock that reads `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self(clock)
    }

    /// Returns the underlying clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0
    }

    /// Returns the time with this precision.
    #[inline]
    #[must_use]
    pub fn now(&self, precision: Precision) -> u64 {
        match precision {
            Precision::Exact => nanos(self.0.monotonic()),
            Precision::Coarse => self.coarse(),
        }
    }

    /// Returns the time with [`Precision::Coarse`].
    #[inline]
    #[must_use]
    pub fn coarse(&self) -> u64 {
        nanos(self.0.monotonic_coarse())
    }
}

/// Returns `time` in nanoseconds. The number wraps after six centuries.
#[inline]
fn nanos(time: Duration) -> u64 {
    time.as_secs()
        .wrapping_mul(1_000_000_000)
        .wrapping_add(time.subsec_nanos().into())
}

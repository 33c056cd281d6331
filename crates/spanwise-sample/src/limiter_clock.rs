//! The time that limits go by.

use std::time::Duration;

use spanwise_core::Clock;

/// A clock in nanoseconds, that only goes forward.
#[derive(Debug, Clone, Default)]
pub(crate) struct LimiterClock(Clock);

/// How exactly a limit has to know the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    Exact,
    /// To some milliseconds. Whatever reads it goes by it alone: its seconds are as long as any, and begin a little later.
    Coarse,
}

/// What is shorter is measured exactly: the coarse clock would step over parts of it.
const MIN_COARSE: u64 = 100_000_000;

impl Precision {
    /// For what lasts so many nanoseconds.
    pub(crate) fn to_measure(nanos: u64) -> Self {
        if nanos < MIN_COARSE {
            Self::Exact
        } else {
            Self::Coarse
        }
    }
}

impl LimiterClock {
    pub(crate) fn new(clock: Clock) -> Self {
        Self(clock)
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0
    }

    #[inline]
    pub(crate) fn now(&self, precision: Precision) -> u64 {
        match precision {
            Precision::Exact => nanos(self.0.monotonic()),
            Precision::Coarse => self.coarse(),
        }
    }

    #[inline]
    pub(crate) fn coarse(&self) -> u64 {
        nanos(self.0.monotonic_coarse())
    }
}

/// A clock needs six centuries to come to more than that.
#[inline]
fn nanos(time: Duration) -> u64 {
    time.as_secs()
        .wrapping_mul(1_000_000_000)
        .wrapping_add(time.subsec_nanos().into())
}

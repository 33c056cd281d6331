//! A limit on the lines of dumps per second.
//!
//! Clients can make a service write its buffers: a request that a client resets costs up to a
//! thousand lines. So each sink has a budget of lines. A dump takes one for each of its lines, and
//! so do events that pass through after a failure. Half of the budget is reserved for units that
//! fail on their own.

use std::{sync::atomic::AtomicU64, time::Duration};

use spanwise_core::{
    Clock,
    internal::{LimiterClock, Precision, TokenBucket},
};

use crate::trigger::Trigger;

#[derive(Debug)]
pub(crate) struct DumpLimit {
    all: TokenBucket,
    /// With half of the burst: it is empty while the other half is left.
    half: TokenBucket,
    level: AtomicU64,
    clock: LimiterClock,
}

/// The least that a dump takes, so that the number of dumps is limited too.
const MIN_LINES_PER_DUMP: u64 = 20;

impl DumpLimit {
    pub(crate) fn new(lines_per_second: u32, clock: &Clock) -> Self {
        let bucket = |burst| TokenBucket::new(lines_per_second, Duration::from_secs(1), burst);
        Self {
            all: bucket(lines_per_second),
            half: bucket(lines_per_second / 2),
            level: AtomicU64::new(0),
            clock: LimiterClock::new(clock.clone()),
        }
    }

    /// Takes the lines of a dump. Returns whether it may be written: it may if any budget is left,
    /// as a unit is written whole or not at all.
    pub(crate) fn admit(&self, trigger: Trigger, lines: u64) -> bool {
        let bucket = match trigger {
            // A client decides whether it waits, and how long it takes.
            Trigger::Cancelled | Trigger::Slow | Trigger::Expired => self.half,
            Trigger::Error | Trigger::Status | Trigger::Panic | Trigger::Requested => self.all,
        };
        bucket.take_tokens(&self.level, self.now(), lines.max(MIN_LINES_PER_DUMP))
    }

    /// Gives back the lines of an admitted dump that was not written.
    pub(crate) fn give_back(&self, lines: u64) {
        // A line costs as much of the half as of all.
        self.all
            .give_back(&self.level, lines.max(MIN_LINES_PER_DUMP));
    }

    /// Takes one line, which passes through whatever is left.
    pub(crate) fn charge(&self) {
        self.all.charge(&self.level, self.now());
    }

    fn now(&self) -> u64 {
        self.clock.now(Precision::Exact)
    }
}

//! A limit on the lines of dumps per second.
//!
//! Clients can make a service write its buffers. For example, a request that a client resets can
//! cause a thousand lines. So each sink has a budget of lines. Each line of a dump uses one line of
//! the budget. So does each captured event that is written immediately because a trigger has fired
//! before. The dumps of cancelled, slow and expired units may use only half of the budget, because
//! clients can cause these dumps.

use std::{sync::atomic::AtomicU64, time::Duration};

use spanwise_core::{
    Clock,
    internal::{LimiterClock, Precision, TokenBucket},
};

use crate::trigger::Trigger;

#[derive(Debug)]
pub(crate) struct DumpLimit {
    all: TokenBucket,
    /// A bucket with half of the burst. Both buckets share `full_at`, so this bucket is empty when
    /// `all` has only half of its tokens left.
    half: TokenBucket,
    /// The state of both buckets: the time at which they are full again.
    full_at: AtomicU64,
    clock: LimiterClock,
}

/// A dump uses at least this many lines of the budget, so that the number of dumps is limited too.
const MIN_LINES_PER_DUMP: u64 = 20;

impl DumpLimit {
    pub(crate) fn new(lines_per_second: u32, clock: &Clock) -> Self {
        let bucket = |burst| TokenBucket::new(lines_per_second, Duration::from_secs(1), burst);
        Self {
            all: bucket(lines_per_second),
            half: bucket(lines_per_second / 2),
            full_at: AtomicU64::new(0),
            clock: LimiterClock::new(clock.clone()),
        }
    }

    /// Returns whether a dump may be written, and if so, charges its lines to the budget. It may if
    /// any budget is left, because a unit is written whole or not at all.
    pub(crate) fn admit(&self, trigger: Trigger, lines: u64) -> bool {
        let bucket = match trigger {
            // A client can cause these triggers: it can reset its request, or read slowly.
            Trigger::Cancelled | Trigger::Slow | Trigger::Expired => self.half,
            Trigger::Error | Trigger::Status | Trigger::Panic | Trigger::Requested => self.all,
        };
        bucket.take_tokens(&self.full_at, self.now(), lines.max(MIN_LINES_PER_DUMP))
    }

    /// Returns the lines of an admitted dump to the budget if the dump was not written.
    pub(crate) fn give_back(&self, lines: u64) {
        // A line costs the same in both buckets.
        self.all
            .give_back(&self.full_at, lines.max(MIN_LINES_PER_DUMP));
    }

    /// Charges one line that passes through even if no budget is left.
    pub(crate) fn charge_line(&self) {
        self.all.charge(&self.full_at, self.now());
    }

    fn now(&self) -> u64 {
        self.clock.now(Precision::Exact)
    }
}

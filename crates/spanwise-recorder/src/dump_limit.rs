//! Limits how many lines of dumps a sink writes per second. A dump writes the buffered lines of a
//! unit of work.
//!
//! Clients can cause dumps. For example, a request that a client resets can cause a thousand lines.
//! So each sink has a budget of lines, and each line of a dump uses one line of it. After a
//! trigger, the captured events of the unit are written immediately. Each of these events also uses
//! one line. The dumps of cancelled, slow and expired units may use only half of the budget,
//! because clients can cause these dumps.

use std::{sync::atomic::AtomicU64, time::Duration};

use spanwise_core::{
    Clock,
    internal::{LimiterClock, Precision, TokenBucket},
};

use crate::trigger::Trigger;

/// The budget of one sink.
#[derive(Debug)]
pub(crate) struct DumpLimit {
    full_budget: TokenBucket,
    /// A bucket with half of the burst. Both buckets share `full_at`, so this bucket is empty when
    /// `full_budget` has only half of its tokens left.
    half_budget: TokenBucket,
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
            full_budget: bucket(lines_per_second),
            half_budget: bucket(lines_per_second / 2),
            full_at: AtomicU64::new(0),
            clock: LimiterClock::new(clock.clone()),
        }
    }

    /// Returns whether a dump may be written, and if so, charges its lines to the budget. A dump
    /// may exceed the budget if at least one line is left, because a unit is written whole or not
    /// at all.
    pub(crate) fn admit(&self, trigger: Trigger, lines: u64) -> bool {
        let bucket = match trigger {
            // A client can cause these triggers: it can reset its request, or read slowly.
            Trigger::Cancelled | Trigger::Slow | Trigger::Expired => self.half_budget,
            Trigger::Error | Trigger::Status | Trigger::Panic | Trigger::Requested => {
                self.full_budget
            }
        };
        bucket.take_tokens(&self.full_at, self.now(), lines.max(MIN_LINES_PER_DUMP))
    }

    /// Returns the lines of an admitted dump to the budget if the dump was not written.
    pub(crate) fn give_back(&self, lines: u64) {
        // Correct for `half_budget` too, because a line costs the same in both buckets.
        self.full_budget
            .give_back(&self.full_at, lines.max(MIN_LINES_PER_DUMP));
    }

    /// Charges one line that is written immediately, even if no budget is left.
    pub(crate) fn charge_line(&self) {
        self.full_budget.charge(&self.full_at, self.now());
    }

    fn now(&self) -> u64 {
        self.clock.now(Precision::Exact)
    }
}

//! How many lines of units that fail are written in a second.
//!
//! Outsiders can make a service write what it has buffered: a request that a client resets costs it
//! up to a thousand lines. So there is a budget of lines. A unit takes as many as it has buffered,
//! and those that pass through after it failed. Half of the budget is left to units that failed by
//! themselves.

use std::sync::atomic::AtomicU64;

use super::trigger::Trigger;
use crate::{
    Rate,
    limiter::TokenBucket,
    limiter_clock::{LimiterClock, Precision},
};

#[derive(Debug)]
pub(crate) struct DumpLimit {
    all: TokenBucket,
    /// With half of the burst: it finds the bucket empty while the other half is left.
    half: TokenBucket,
    bucket: AtomicU64,
    time: LimiterClock,
}

/// What a unit takes at least, so that the number of units is limited too.
const MIN_LINES_PER_UNIT: u64 = 20;

impl DumpLimit {
    pub(crate) fn new(lines_per_second: u32, time: LimiterClock) -> Self {
        Self {
            all: TokenBucket::new(&Rate::per_second(lines_per_second)),
            half: TokenBucket::new(&Rate::per_second(lines_per_second).burst(lines_per_second / 2)),
            bucket: AtomicU64::new(0),
            time,
        }
    }

    /// Whether a unit with so many lines may be written now: if there is anything left, as lines
    /// cannot be told apart.
    pub(crate) fn admits(&self, reason: Trigger, lines: u64) -> bool {
        let limit = match reason {
            // A client decides whether it waits, and how long it takes.
            Trigger::Cancelled | Trigger::Slow | Trigger::Expired => self.half,
            Trigger::Error | Trigger::Status | Trigger::Panic | Trigger::Requested => self.all,
        };
        limit.take_many(&self.bucket, self.now(), lines.max(MIN_LINES_PER_UNIT))
    }

    /// A unit with so many lines was admitted, and is not written.
    pub(crate) fn give_back(&self, lines: u64) {
        // A line costs as much of the half as of all.
        self.all
            .give_back(&self.bucket, lines.max(MIN_LINES_PER_UNIT));
    }

    /// A line passes through, whatever is left.
    pub(crate) fn passes(&self) {
        self.all.charge(&self.bucket, self.now());
    }

    fn now(&self) -> u64 {
        self.time.now(Precision::Exact)
    }
}

//! Token buckets: one number, changed without a lock.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{LimiterClock, Precision};

/// The limits of a token bucket. Times are nanoseconds of a [`LimiterClock`].
///
/// The level of a bucket is stored apart, as the time at which it would be full again (the generic
/// cell rate algorithm): 0, long ago, is a full bucket.
#[derive(Debug, Clone, Copy)]
pub struct TokenBucket {
    /// The time for one token. `None` if there are none.
    interval: Option<u64>,
    /// How far from full the bucket may be.
    tolerance: u64,
    precision: Precision,
}

impl TokenBucket {
    /// Creates a bucket of `burst` tokens that gets `events` tokens per period.
    #[must_use]
    pub fn new(events: u32, period: Duration, burst: u32) -> Self {
        let nanos = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        let interval = (events > 0).then(|| (nanos / u64::from(events)).max(1));
        let burst = u64::from(burst.max(1));
        // Tokens that exceed the burst before the coarse clock advances would be lost.
        let burst_takes = interval.unwrap_or(u64::MAX).saturating_mul(burst);
        Self {
            interval,
            tolerance: interval.unwrap_or_default().saturating_mul(burst - 1),
            precision: Precision::for_period(burst_takes),
        }
    }

    /// Returns the time with the precision that this bucket needs.
    #[inline]
    #[must_use]
    pub fn now(&self, clock: &LimiterClock) -> u64 {
        clock.now(self.precision)
    }

    /// Takes a token from a bucket that one thread changes at a time. Returns whether it did.
    #[inline]
    pub fn take_token(self, level: &mut u64, now: u64) -> bool {
        let next = self.next(*level, now);
        *level = next.unwrap_or(*level);
        next.is_some()
    }

    /// Takes a token from a bucket that threads share. Returns whether it did.
    #[inline]
    pub fn take_shared_token(self, level: &AtomicU64, now: u64) -> bool {
        level
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |level| {
                self.next(level, now)
            })
            .is_ok()
    }

    /// Takes this many tokens if there is at least one. The missing ones become a debt. Returns
    /// whether it did.
    #[must_use]
    pub fn take_tokens(self, level: &AtomicU64, now: u64, tokens: u64) -> bool {
        let others = self.cost(tokens.saturating_sub(1));
        level
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |level| {
                Some(self.next(level, now)?.saturating_add(others))
            })
            .is_ok()
    }

    /// Gives back what [`take_tokens`](Self::take_tokens) took.
    pub fn give_back(self, level: &AtomicU64, tokens: u64) {
        let cost = self.cost(tokens);
        // The closure always has a next value.
        let _ = level.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |level| {
            Some(level.saturating_sub(cost))
        });
    }

    /// Takes a token in any case. The debt is at most a second burst.
    pub fn charge(self, level: &AtomicU64, now: u64) {
        let max = now.saturating_add(self.tolerance.saturating_mul(2));
        // The closure always has a next value.
        let _ = level.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |level| {
            let next = level.max(now).saturating_add(self.cost(1));
            Some(next.min(max).max(level))
        });
    }

    /// Returns the level of a bucket that has no token at `now`. It gets one after an interval.
    #[must_use]
    pub fn empty_level(self, now: u64) -> u64 {
        let all = self.tolerance.saturating_add(self.interval.unwrap_or(0));
        now.saturating_add(all)
    }

    fn cost(self, tokens: u64) -> u64 {
        self.interval.unwrap_or_default().saturating_mul(tokens)
    }

    #[inline]
    fn next(self, full_at: u64, now: u64) -> Option<u64> {
        let interval = self.interval?;
        let missing = full_at.saturating_sub(now);
        (missing <= self.tolerance).then(|| full_at.max(now).saturating_add(interval))
    }
}

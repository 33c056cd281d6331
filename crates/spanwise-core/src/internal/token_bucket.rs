//! Lock-free token buckets. The state of a bucket is one `u64`.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{LimiterClock, Precision};

/// The limits of a token bucket. Times are nanoseconds of a [`LimiterClock`].
///
/// The caller stores the state of a bucket: `full_at`, the time at which the bucket will be full
/// again (the generic cell rate algorithm). 0 is in the past, so it is a full bucket.
#[derive(Debug, Clone, Copy)]
pub struct TokenBucket {
    /// The time between two tokens. `None` if the bucket never has a token.
    interval: Option<u64>,
    /// A token is left while `full_at` is at most this far ahead of the clock.
    tolerance: u64,
    precision: Precision,
}

impl TokenBucket {
    /// Creates a bucket of `burst` tokens that gains `events` tokens per period.
    #[must_use]
    pub fn new(events: u32, period: Duration, burst: u32) -> Self {
        let nanos = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        let interval = (events > 0).then(|| (nanos / u64::from(events)).max(1));
        let burst = u64::from(burst.max(1));
        // A bucket that fills between two ticks of the coarse clock would lose further tokens.
        let fill_time = interval.unwrap_or(u64::MAX).saturating_mul(burst);
        Self {
            interval,
            tolerance: interval.unwrap_or_default().saturating_mul(burst - 1),
            precision: Precision::for_period(fill_time),
        }
    }

    /// Returns the time with the precision that this bucket needs.
    #[inline]
    #[must_use]
    pub fn now(&self, clock: &LimiterClock) -> u64 {
        clock.now(self.precision)
    }

    /// Takes a token. Returns whether there was one. For a bucket behind a lock.
    #[inline]
    pub fn take_token(self, full_at: &mut u64, now: u64) -> bool {
        let next = self.next(*full_at, now);
        *full_at = next.unwrap_or(*full_at);
        next.is_some()
    }

    /// Takes a token. Returns whether there was one. For a bucket that threads share without a
    /// lock.
    #[inline]
    pub fn take_shared_token(self, full_at: &AtomicU64, now: u64) -> bool {
        full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
                self.next(full_at, now)
            })
            .is_ok()
    }

    /// Takes `tokens` tokens if there is at least one. Missing tokens become a debt. Returns
    /// whether the tokens were taken.
    #[must_use]
    pub fn take_tokens(self, full_at: &AtomicU64, now: u64, tokens: u64) -> bool {
        let cost_of_others = self.cost(tokens.saturating_sub(1));
        full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
                Some(self.next(full_at, now)?.saturating_add(cost_of_others))
            })
            .is_ok()
    }

    /// Gives back tokens that [`take_tokens`](Self::take_tokens) took.
    pub fn give_back(self, full_at: &AtomicU64, tokens: u64) {
        let cost = self.cost(tokens);
        // The closure never returns `None`, so there is no error.
        let _ = full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            Some(full_at.saturating_sub(cost))
        });
    }

    /// Takes a token even if there is none. The debt stays below one burst.
    pub fn charge(self, full_at: &AtomicU64, now: u64) {
        let max_full_at = self.empty_state(now).saturating_add(self.tolerance);
        // The closure never returns `None`, so there is no error.
        let _ = full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            let next = full_at.max(now).saturating_add(self.cost(1));
            Some(next.min(max_full_at).max(full_at))
        });
    }

    /// Returns the state of a bucket that has no token at `now`. Its next token comes after one
    /// interval.
    #[must_use]
    pub fn empty_state(self, now: u64) -> u64 {
        let fill_time = self.tolerance.saturating_add(self.interval.unwrap_or(0));
        now.saturating_add(fill_time)
    }

    /// Returns the time in which the bucket gains this many tokens.
    fn cost(self, tokens: u64) -> u64 {
        self.interval.unwrap_or_default().saturating_mul(tokens)
    }

    /// Returns the state after a token was taken, or `None` if there is no token.
    #[inline]
    fn next(self, full_at: u64, now: u64) -> Option<u64> {
        let interval = self.interval?;
        let until_full = full_at.saturating_sub(now);
        (until_full <= self.tolerance).then(|| full_at.max(now).saturating_add(interval))
    }
}

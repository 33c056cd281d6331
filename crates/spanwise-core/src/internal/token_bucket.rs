//! Lock-free token buckets. The state of a bucket is one `u64`.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{LimiterClock, Precision};

/// The limits of a token bucket. Times are nanoseconds of a [`LimiterClock`].
///
/// The caller stores the state of a bucket: `full_at`, the time at which the bucket will be full
/// again (the generic cell rate algorithm). The initial state is 0, which is in the past and so
/// means a full bucket.
#[derive(Debug, Clone, Copy)]
pub struct TokenBucket {
    /// The time between two tokens. `None` if the bucket never has a token.
    interval: Option<u64>,
    /// The bucket has a token while `full_at` is at most this far ahead of the clock.
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
        // A bucket that is full before the next tick of the coarse clock would not gain the tokens
        // of the remaining time.
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

    /// Takes a token. Returns whether there was one.
    #[inline]
    pub fn take_token(self, full_at: &mut u64, now: u64) -> bool {
        let new_full_at = self.state_after_token(*full_at, now);
        *full_at = new_full_at.unwrap_or(*full_at);
        new_full_at.is_some()
    }

    /// Like [`take_token`](Self::take_token), for a bucket that threads share without a lock.
    #[inline]
    pub fn take_shared_token(self, full_at: &AtomicU64, now: u64) -> bool {
        full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
                self.state_after_token(full_at, now)
            })
            .is_ok()
    }

    /// Takes `tokens` tokens if there is at least one. Missing tokens become a debt, which delays
    /// the next token. Returns whether the tokens were taken.
    #[must_use]
    pub fn take_tokens(self, full_at: &AtomicU64, now: u64, tokens: u64) -> bool {
        let cost_of_further_tokens = self.cost(tokens.saturating_sub(1));
        full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
                let after_first_token = self.state_after_token(full_at, now)?;
                Some(after_first_token.saturating_add(cost_of_further_tokens))
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

    /// Takes a token even if there is none. The debt stays below the tokens of one burst.
    pub fn charge(self, full_at: &AtomicU64, now: u64) {
        let max_full_at = self.empty_state(now).saturating_add(self.tolerance);
        // The closure never returns `None`, so there is no error.
        let _ = full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            let new_full_at = full_at.max(now).saturating_add(self.cost(1));
            Some(new_full_at.min(max_full_at).max(full_at))
        });
    }

    /// Returns the state of a bucket that is empty at `now`, and gains its next token one interval
    /// later.
    #[must_use]
    pub fn empty_state(self, now: u64) -> u64 {
        let fill_time = self.tolerance.saturating_add(self.interval.unwrap_or(0));
        now.saturating_add(fill_time)
    }

    /// Returns the time in which the bucket gains this many tokens.
    fn cost(self, tokens: u64) -> u64 {
        self.interval.unwrap_or_default().saturating_mul(tokens)
    }

    /// Returns the state after a token is taken, or `None` if there is no token.
    #[inline]
    fn state_after_token(self, full_at: u64, now: u64) -> Option<u64> {
        let interval = self.interval?;
        let until_full = full_at.saturating_sub(now);
        (until_full <= self.tolerance).then(|| full_at.max(now).saturating_add(interval))
    }
}

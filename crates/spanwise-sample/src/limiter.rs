//! Token buckets and window counters: the state of the limits [`Rate`] and [`First`].
//!
//! Each bucket or counter is one `u64` per callsite and rule, which threads share without a lock.
//! With [`Rate::per_value_of`], it is one `u64` per value, behind a lock: see
//! [`LruBuckets`](crate::lru_buckets::LruBuckets).

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use spanwise_core::internal::{LimiterClock, Precision, SampleDecision as Decision, TokenBucket};

use crate::limit::{First, Rate};

/// The limit of one rule, and the state of the limit at one callsite.
#[derive(Debug)]
pub(crate) enum Limiter {
    Rate(RateLimiter, AtomicU64),
    First(WindowCounter, AtomicU64),
}

impl Limiter {
    pub(crate) fn for_rate(rate: &Rate) -> Self {
        Self::Rate(RateLimiter::new(rate), AtomicU64::new(0))
    }

    pub(crate) fn for_first(first: First) -> Self {
        Self::First(WindowCounter::new(first), AtomicU64::new(0))
    }

    #[inline]
    pub(crate) fn decide(&self, clock: &LimiterClock) -> Decision {
        match self {
            Self::Rate(rate, full_at) => rate.take_shared_token(full_at, rate.now(clock)),
            Self::First(counter, state) => counter.decide(state, clock.now(counter.precision)),
        }
    }
}

/// The limits of a token bucket, and the period after which a [`Summary`](crate::summary::Summary)
/// reports the dropped events. The caller stores the state of the bucket: `full_at`, the time at
/// which the bucket is full again, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RateLimiter {
    bucket: TokenBucket,
    /// The time from a dropped event to its summary, in nanoseconds. At least one second.
    summary_period: u64,
}

impl RateLimiter {
    pub(crate) fn new(rate: &Rate) -> Self {
        let burst = rate.burst.unwrap_or(rate.events);
        Self {
            bucket: TokenBucket::new(rate.events, rate.period, burst),
            summary_period: nanos(rate.period.max(Duration::from_secs(1))),
        }
    }

    #[inline]
    pub(crate) fn now(&self, clock: &LimiterClock) -> u64 {
        self.bucket.now(clock)
    }

    /// Takes a token from a bucket behind a lock.
    #[inline]
    pub(crate) fn take_token(self, full_at: &mut u64, now: u64) -> Decision {
        self.decision(self.bucket.take_token(full_at, now), now)
    }

    /// Takes a token from a bucket that threads share without a lock.
    #[inline]
    pub(crate) fn take_shared_token(self, full_at: &AtomicU64, now: u64) -> Decision {
        self.decision(self.bucket.take_shared_token(full_at, now), now)
    }

    /// Returns the state of a bucket that has no token at `now`.
    pub(crate) fn empty_state(self, now: u64) -> u64 {
        self.bucket.empty_state(now)
    }

    #[inline]
    fn decision(self, is_taken: bool, now: u64) -> Decision {
        if is_taken {
            Decision::Keep
        } else {
            Decision::Suppress {
                now,
                summary_due: now.saturating_add(self.summary_period),
            }
        }
    }
}

/// Counts events per window of time. Windows are numbered from time 0 of the clock.
///
/// The caller stores the state, one `u64`. Its high half has the low 32 bits of the window number.
/// Its low half has the count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WindowCounter {
    /// The number of events that are kept at the start of each window.
    first: u32,
    /// The n in "and then every n-th event". With 0, no later event is kept.
    every: u32,
    /// The length of a window, in nanoseconds.
    window_len: u64,
    /// 2⁶⁴ / `window_len`, rounded down, or one less. A multiplication by it replaces a division
    /// per event.
    inverse: u64,
    /// The precision of the clock that the window needs.
    precision: Precision,
}

impl WindowCounter {
    fn new(limit: First) -> Self {
        let window_len = nanos(limit.period).max(1);
        Self {
            first: limit.events,
            every: limit.every,
            window_len,
            inverse: u64::MAX / window_len,
            precision: Precision::for_period(window_len),
        }
    }

    #[inline]
    fn decide(self, state: &AtomicU64, now: u64) -> Decision {
        let window = self.window(now);
        let mut current = state.load(Ordering::Relaxed);
        let count = loop {
            // The stored window may be the one after `window`, if another thread started it after
            // this thread read the clock. In that case, the event counts in the stored window.
            let is_new_window = ((current >> 32) as u32).wrapping_sub(window as u32) > 1;
            let next = match current as u32 {
                _ if is_new_window => (window << 32) | 1,
                u32::MAX => current,
                _ => current + 1,
            };
            match state.compare_exchange_weak(current, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => break next as u32,
                Err(changed) => current = changed,
            }
        };
        let number_after_first = count.saturating_sub(self.first);
        if number_after_first == 0 {
            Decision::Keep
        } else if self.every > 0
            && number_after_first.is_multiple_of(self.every)
            && count < u32::MAX
        {
            // The count stops at `u32::MAX`, so an event with this count is not kept. If it was,
            // all later events of the window would be kept, too.
            Decision::KeepRepresenting {
                suppressed: self.every - 1,
                now,
            }
        } else {
            Decision::Suppress {
                now,
                summary_due: window.saturating_add(1).saturating_mul(self.window_len),
            }
        }
    }

    /// Returns the window number: `now / window_len`.
    #[inline]
    fn window(self, now: u64) -> u64 {
        // The inverse is rounded down, so this product is `now / window_len` or one less.
        let window = ((u128::from(now) * u128::from(self.inverse)) >> 64) as u64;
        window + u64::from(now - window * self.window_len >= self.window_len)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn counting_starts_again_with_each_window() {
        let limit = First::new(2)
            .then_every(3)
            .within(Duration::from_millis(10));
        let limit = WindowCounter::new(limit);
        let state = AtomicU64::new(0);
        let kept = |window: u64, events: u32| {
            (1..=events)
                .filter(|_| {
                    let decision = limit.decide(&state, window * 10 * MS);
                    !matches!(decision, Decision::Suppress { .. })
                })
                .count()
        };
        // Keeps the events 1, 2, 5 and 8.
        assert_eq!(kept(0, 10), 4);
        assert_eq!(kept(1, 10), 4);
        // Continues the count of window 1, so it keeps the events 11, 14 and 17. A restarted count
        // would keep four.
        assert_eq!(
            kept(0, 9),
            3,
            "a late thread's events count in the next window"
        );
        // The state stores 32 bits of the window number, here 5.
        assert_eq!(kept((1 << 33) + 5, 10), 4);
        let now = ((1 << 33) + 5) * 10 * MS;
        let last = limit.decide(&state, now);
        assert_eq!(last, Decision::KeepRepresenting { suppressed: 2, now });
    }

    proptest! {
        #[test]
        fn window_is_the_quotient(now: u64, len in 1_u64.., factor: u64) {
            let multiple = factor.wrapping_mul(len);
            for now in [now, multiple, multiple.wrapping_sub(1)] {
                let counter = WindowCounter::new(First::new(1).within(Duration::from_nanos(len)));
                prop_assert_eq!(counter.window(now), now / counter.window_len);
            }
        }
    }
}

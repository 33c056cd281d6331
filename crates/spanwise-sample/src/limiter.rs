//! What a limit allows, and what of that is used at one callsite: one number, changed without a lock.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{
    limit::{First, Rate, SECOND},
    limiter_clock::{LimiterClock, Precision},
    share::SampleRate,
};

/// What a limit says of one event. Times are nanoseconds of the sampler's [`Time`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Decision {
    Keep,
    /// Kept, as the others of this share are not.
    KeepWithRatio(SampleRate),
    /// Left out for good: the kept ones say their share.
    SampledOut,
    /// Kept; it stands for itself and so many others, which were held back before it.
    KeepFor {
        others: u32,
        now: u64,
    },
    /// Held back at `now`: to be told at `until`, unless another event comes to stand for it.
    Suppress {
        now: u64,
        until: u64,
        /// Of the bucket, if there is one for each value of a field; else 0.
        key: u64,
    },
}

impl Decision {
    /// What time it is, if that was asked for.
    #[inline]
    pub(crate) fn time(self) -> Option<u64> {
        match self {
            Self::KeepFor { now, .. } | Self::Suppress { now, .. } => Some(now),
            Self::Keep | Self::KeepWithRatio(_) | Self::SampledOut => None,
        }
    }
}

/// A limit at one callsite.
#[derive(Debug)]
pub(crate) enum Limiter {
    TokenBucket(TokenBucket, AtomicU64),
    WindowCounter(WindowCounter, AtomicU64),
}

impl Limiter {
    pub(crate) fn bucket(rate: &Rate) -> Self {
        Self::TokenBucket(TokenBucket::new(rate), AtomicU64::new(0))
    }

    pub(crate) fn count(first: First) -> Self {
        Self::WindowCounter(WindowCounter::new(first), AtomicU64::new(0))
    }

    #[inline]
    pub(crate) fn verdict(&self, time: &LimiterClock) -> Decision {
        match self {
            Self::TokenBucket(bucket, state) => bucket.take_shared(state, bucket.time(time)),
            Self::WindowCounter(count, state) => count.next(state, time.now(count.precision)),
        }
    }
}

/// A token bucket. Its level is kept as the time at which it would be full again (the generic cell rate algorithm): 0, long ago, is a full bucket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenBucket {
    /// In which one token comes; none if none ever comes.
    interval: Option<u64>,
    /// How far from full it may be.
    tolerance: u64,
    /// In which what is held back is summed up.
    period: u64,
    precision: Precision,
}

impl TokenBucket {
    pub(crate) fn new(rate: &Rate) -> Self {
        let interval =
            (rate.events > 0).then(|| (nanos(rate.period) / u64::from(rate.events)).max(1));
        let burst = rate.burst.unwrap_or(rate.events).max(1);
        // What does not come to a burst before the coarse clock goes on is not lost.
        let burst_takes = interval
            .unwrap_or(u64::MAX)
            .saturating_mul(u64::from(burst));
        Self {
            interval,
            tolerance: interval
                .unwrap_or_default()
                .saturating_mul(u64::from(burst) - 1),
            period: nanos(rate.period.max(SECOND)),
            precision: Precision::to_measure(burst_takes),
        }
    }

    #[inline]
    pub(crate) fn time(&self, time: &LimiterClock) -> u64 {
        time.now(self.precision)
    }

    /// Takes a token out of a bucket that is changed by one thread at a time.
    pub(crate) fn take(self, bucket: &mut u64, now: u64) -> Decision {
        let next = self.next(*bucket, now);
        *bucket = next.unwrap_or(*bucket);
        self.verdict(next, now)
    }

    /// Takes a token out of a bucket that threads share.
    #[inline]
    pub(crate) fn take_shared(self, bucket: &AtomicU64, now: u64) -> Decision {
        let taken = bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bucket| {
            self.next(bucket, now)
        });
        self.verdict(taken.ok(), now)
    }

    /// Takes so many tokens if there is one: what is missing then is owed. Whether it did.
    pub(crate) fn take_many(self, bucket: &AtomicU64, now: u64, tokens: u64) -> bool {
        let others = self.cost(tokens.saturating_sub(1));
        let taken = bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bucket| {
            Some(self.next(bucket, now)?.saturating_add(others))
        });
        taken.is_ok()
    }

    /// Gives back what [`take_many`](Self::take_many) took.
    pub(crate) fn give_back(self, bucket: &AtomicU64, tokens: u64) {
        let cost = self.cost(tokens);
        // The closure always has a next value.
        let _ = bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bucket| {
            Some(bucket.saturating_sub(cost))
        });
    }

    /// Takes a token in any case. At most a second burst is owed.
    pub(crate) fn charge(self, bucket: &AtomicU64, now: u64) {
        let most = now.saturating_add(self.tolerance.saturating_mul(2));
        // The closure always has a next value.
        let _ = bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bucket| {
            let next = bucket.max(now).saturating_add(self.cost(1));
            Some(next.min(most).max(bucket))
        });
    }

    fn cost(self, tokens: u64) -> u64 {
        self.interval.unwrap_or_default().saturating_mul(tokens)
    }

    /// A bucket that gets its first token after an interval.
    pub(crate) fn empty_at(self, now: u64) -> u64 {
        let all = self.tolerance.saturating_add(self.interval.unwrap_or(0));
        now.saturating_add(all)
    }

    #[inline]
    fn next(self, full_at: u64, now: u64) -> Option<u64> {
        let interval = self.interval?;
        let missing = full_at.saturating_sub(now);
        (missing <= self.tolerance).then(|| full_at.max(now).saturating_add(interval))
    }

    #[inline]
    fn verdict(self, taken: Option<u64>, now: u64) -> Decision {
        match taken {
            Some(_) => Decision::Keep,
            None => Decision::Suppress {
                now,
                until: now.saturating_add(self.period),
                key: 0,
            },
        }
    }
}

/// Counts events by ticks: in a number, that of the tick in the upper half, the count in the lower one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WindowCounter {
    first: u32,
    every: u32,
    /// Of a tick.
    length: u64,
    /// What to multiply by, of 2^64, where one would divide by the length: that takes several times as long.
    inverse: u64,
    precision: Precision,
}

impl WindowCounter {
    fn new(limit: First) -> Self {
        let length = nanos(limit.period).max(1);
        Self {
            first: limit.events,
            every: limit.every,
            length,
            inverse: u64::MAX / length,
            precision: Precision::to_measure(length),
        }
    }

    #[inline]
    fn next(self, state: &AtomicU64, now: u64) -> Decision {
        let tick = self.tick(now);
        let mut known = state.load(Ordering::Relaxed);
        let count = loop {
            // A thread that read the clock a little earlier does not bring the last tick back.
            let is_new = ((known >> 32) as u32).wrapping_sub(tick as u32) > 1;
            let next = match known as u32 {
                _ if is_new => (tick << 32) | 1,
                u32::MAX => known,
                _ => known + 1,
            };
            match state.compare_exchange_weak(known, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => break next as u32,
                Err(changed) => known = changed,
            }
        };
        let over = count.saturating_sub(self.first);
        if over == 0 {
            Decision::Keep
        } else if self.every > 0 && over.is_multiple_of(self.every) && count < u32::MAX {
            Decision::KeepFor {
                others: self.every - 1,
                now,
            }
        } else {
            Decision::Suppress {
                now,
                until: tick.saturating_add(1).saturating_mul(self.length),
                key: 0,
            }
        }
    }

    /// `now / length`.
    #[inline]
    fn tick(self, now: u64) -> u64 {
        // At most one too few: the inverse is less than one too small.
        let tick = ((u128::from(now) * u128::from(self.inverse)) >> 64) as u64;
        tick + u64::from(now - tick * self.length >= self.length)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{First, Rate};

    const MS: u64 = 1_000_000;

    #[test]
    fn a_bucket_lets_a_burst_through_and_then_its_rate() {
        let bucket = TokenBucket::new(&Rate::per_second(10).burst(3));
        let state = AtomicU64::new(0);
        let kept = |from: u64, to: u64| {
            (from..to)
                .filter(|ms| bucket.take_shared(&state, ms * MS) == Decision::Keep)
                .collect::<Vec<_>>()
        };
        // A token each 100 ms.
        assert_eq!(kept(5000, 5150), [5000, 5001, 5002, 5100]);
        assert_eq!(kept(5150, 6000).len(), 8);
        assert_eq!(kept(60_000, 60_050).len(), 3, "no more than the burst");
    }

    #[test]
    fn no_rate_keeps_nothing() {
        let (bucket, mut state) = (TokenBucket::new(&Rate::per_second(0)), 0);
        assert!(matches!(
            bucket.take(&mut state, 99 * MS),
            Decision::Suppress { .. }
        ));
    }

    #[test]
    fn counting_starts_again_with_each_tick() {
        let limit = WindowCounter::new(
            First::new(2)
                .then_every(3)
                .within(Duration::from_millis(10)),
        );
        let state = AtomicU64::new(0);
        let kept = |tick: u64, events: u32| {
            (1..=events)
                .filter(|_| {
                    let verdict = limit.next(&state, tick * 10 * MS);
                    !matches!(verdict, Decision::Suppress { .. })
                })
                .count()
        };
        // 1, 2, 5, 8
        assert_eq!(kept(0, 10), 4);
        assert_eq!(kept(1, 10), 4);
        assert_eq!(kept(0, 10), 4, "a late thread counts with the others");
        assert_eq!(kept((1 << 33) + 5, 10), 4);
        let now = ((1 << 33) + 5) * 10 * MS;
        let last = limit.next(&state, now);
        assert_eq!(last, Decision::KeepFor { others: 2, now });
    }

    proptest! {
        #[test]
        fn the_tick_is_what_division_says(now: u64, length in 1_u64.., factor: u64) {
            for now in [now, factor.wrapping_mul(length), factor.wrapping_mul(length).wrapping_sub(1)] {
                let count = WindowCounter::new(First::new(1).within(Duration::from_nanos(length)));
                prop_assert_eq!(count.tick(now), now / count.length);
            }
        }
    }
}

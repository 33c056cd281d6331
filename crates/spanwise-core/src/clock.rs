//! Time that tests can set.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use crate::internal::sync::{Mutex, MutexGuard};

/// Where a layer takes its time from: the system's clock by default, or one that a test moves by hand.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use spanwise_core::Clock;
///
/// let clock = Clock::manual(SystemTime::UNIX_EPOCH);
/// let seen_by_the_layer = clock.clone();
/// clock.advance(Duration::from_secs(90));
/// assert_eq!(seen_by_the_layer.now(), SystemTime::UNIX_EPOCH + Duration::from_secs(90));
/// assert_eq!(seen_by_the_layer.monotonic(), Duration::from_secs(90));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Clock(Source);

#[derive(Debug, Clone, Default)]
enum Source {
    #[default]
    System,
    Manual(Arc<Mutex<Manual>>),
}

#[derive(Debug)]
struct Manual {
    now: SystemTime,
    made: Instant,
    instant: Instant,
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `now` until it is moved; its clones move with it.
    #[must_use]
    pub fn manual(now: SystemTime) -> Self {
        let made = Instant::now();
        Self(Source::Manual(Arc::new(Mutex::new(Manual {
            now,
            made,
            instant: made,
        }))))
    }

    /// Moves a manual clock forward. The system's clock stays as it is.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(manual) = &self.0 {
            let mut manual = locked(manual);
            manual.now += by;
            manual.instant += by;
        }
    }

    /// Sets the time of day of a manual clock, also back. [`instant`](Self::instant) does not move. The system's clock stays as it
    /// is.
    pub fn set(&self, now: SystemTime) {
        if let Source::Manual(manual) = &self.0 {
            locked(manual).now = now;
        }
    }

    /// The time of day, which may jump.
    #[inline]
    #[must_use]
    pub fn now(&self) -> SystemTime {
        match &self.0 {
            #[expect(
                clippy::disallowed_methods,
                reason = "this is the one place that asks the system"
            )]
            Source::System => SystemTime::now(),
            Source::Manual(manual) => locked(manual).now,
        }
    }

    /// A point on a clock that only goes forward, to measure how long something took.
    #[inline]
    #[must_use]
    pub fn instant(&self) -> Instant {
        match &self.0 {
            Source::System => Instant::now(),
            Source::Manual(manual) => locked(manual).instant,
        }
    }

    /// How far that clock has gone, since some moment before the first reading.
    #[inline]
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Source::System => system::monotonic(),
            Source::Manual(manual) => locked(manual).monotonic(),
        }
    }

    /// [`monotonic`](Self::monotonic) as of the system's last tick, where that can be read at a fraction of the cost: on Linux, some milliseconds ago, more
    /// if the machine is late. It never goes back, and is never ahead. Elsewhere, and of a manual clock, the same.
    #[inline]
    #[must_use]
    pub fn monotonic_coarse(&self) -> Duration {
        match &self.0 {
            Source::System => system::monotonic_coarse(),
            Source::Manual(manual) => locked(manual).monotonic(),
        }
    }
}

impl Manual {
    fn monotonic(&self) -> Duration {
        self.instant - self.made
    }
}

fn locked(manual: &Mutex<Manual>) -> MutexGuard<'_, Manual> {
    manual.lock()
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    #[inline]
    pub(super) fn monotonic() -> Duration {
        read(ClockId::Monotonic)
    }

    #[inline]
    pub(super) fn monotonic_coarse() -> Duration {
        read(ClockId::MonotonicCoarse)
    }

    #[inline]
    fn read(clock: ClockId) -> Duration {
        let time = clock_gettime(clock);
        // Since the machine started: not negative, and less than a second.
        Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod system {
    use std::{
        sync::LazyLock,
        time::{Duration, Instant},
    };

    pub(super) fn monotonic() -> Duration {
        static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
        let first = *FIRST;
        Instant::now().saturating_duration_since(first)
    }

    pub(super) fn monotonic_coarse() -> Duration {
        monotonic()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coarse_clock_advances_and_is_never_ahead() {
        let clock = Clock::system();
        let (start, coarse) = (clock.monotonic(), clock.monotonic_coarse());
        let mut last = coarse;
        while last == coarse {
            let next = clock.monotonic_coarse();
            let now = clock.monotonic();
            assert!(last <= next && next <= now);
            assert!(now < start + Duration::from_secs(60), "it stands still");
            last = next;
        }
    }
}

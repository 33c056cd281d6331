//! The clock that layers read, which tests can replace by a manual clock.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use crate::internal::{rfc3339, sync::Mutex};

/// A clock of a layer: the system's clock by default, or a manual clock for tests.
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
    /// The value of `instant` at the creation, from which [`Clock::monotonic`] counts.
    created: Instant,
    instant: Instant,
}

impl Clock {
    /// Returns the system's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// Creates a clock that shows the time `now` until it is moved. Clones share the time.
    #[must_use]
    pub fn manual(now: SystemTime) -> Self {
        let created = Instant::now();
        Self(Source::Manual(Arc::new(Mutex::new(Manual {
            now,
            created,
            instant: created,
        }))))
    }

    /// Moves a manual clock forward. Has no effect on the system's clock.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(manual) = &self.0 {
            let mut manual = manual.lock();
            manual.now += by;
            manual.instant += by;
        }
    }

    /// Sets the time of day of a manual clock, forward or back. [`instant`](Self::instant) and
    /// [`monotonic`](Self::monotonic) do not move. Has no effect on the system's clock.
    pub fn set(&self, now: SystemTime) {
        if let Source::Manual(manual) = &self.0 {
            manual.lock().now = now;
        }
    }

    /// Returns the time of day, which may jump.
    #[inline]
    #[must_use]
    pub fn now(&self) -> SystemTime {
        match &self.0 {
            #[expect(
                clippy::disallowed_methods,
                reason = "all other code reads the time of day through `Clock`"
            )]
            Source::System => SystemTime::now(),
            Source::Manual(manual) => manual.lock().now,
        }
    }

    /// Returns the time on a monotonic clock, to measure durations.
    #[inline]
    #[must_use]
    pub fn instant(&self) -> Instant {
        match &self.0 {
            Source::System => Instant::now(),
            Source::Manual(manual) => manual.lock().instant,
        }
    }

    /// Returns the time on a monotonic clock, as the duration since a fixed, arbitrary time. A
    /// manual clock counts from its creation.
    #[inline]
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Source::System => system::monotonic(),
            Source::Manual(manual) => manual.lock().monotonic(),
        }
    }

    /// Returns [`monotonic`](Self::monotonic) in nanoseconds, without the arithmetic of `Duration`.
    #[inline]
    pub(crate) fn monotonic_nanos(&self) -> u64 {
        match &self.0 {
            Source::System => system::monotonic_nanos(),
            Source::Manual(manual) => whole_nanos(manual.lock().monotonic()),
        }
    }

    /// Returns [`now`](Self::now) as seconds since 1970, negative for earlier times, and the
    /// nanoseconds within the second.
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn since_epoch(&self) -> (i64, u32) {
        match &self.0 {
            Source::System => system::since_epoch(),
            Source::Manual(manual) => rfc3339::since_epoch(manual.lock().now),
        }
    }

    /// Returns [`now`](Self::now) in nanoseconds since 1970. A time before that is 0.
    #[inline]
    pub(crate) fn unix_nanos(&self) -> u64 {
        match &self.0 {
            Source::System => system::unix_nanos(),
            Source::Manual(manual) => nanos_since_1970(manual.lock().now),
        }
    }

    /// Returns [`monotonic`](Self::monotonic) as of the last timer tick of the kernel. Never goes
    /// back.
    ///
    /// On Linux and Android this is much cheaper, and late by up to one tick: 1 to 10 ms. On other
    /// systems, and for a manual clock, it equals `monotonic`.
    #[inline]
    #[must_use]
    pub fn monotonic_coarse(&self) -> Duration {
        match &self.0 {
            Source::System => system::monotonic_coarse(),
            Source::Manual(manual) => manual.lock().monotonic(),
        }
    }
}

impl Manual {
    fn monotonic(&self) -> Duration {
        self.instant - self.created
    }
}

/// Returns the nanoseconds since 1970. A time before that is 0.
fn nanos_since_1970(time: SystemTime) -> u64 {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH);
    whole_nanos(since_epoch.unwrap_or_default())
}

fn whole_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
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
    pub(super) fn monotonic_nanos() -> u64 {
        let time = clock_gettime(ClockId::Monotonic);
        let seconds = time.tv_sec.cast_unsigned();
        seconds
            .wrapping_mul(1_000_000_000)
            .wrapping_add(time.tv_nsec as u64)
    }

    #[inline]
    pub(super) fn monotonic_coarse() -> Duration {
        read(ClockId::MonotonicCoarse)
    }

    /// Reads the clock directly, because `SystemTime` arithmetic costs more than the reading.
    #[inline]
    pub(super) fn since_epoch() -> (i64, u32) {
        let time = clock_gettime(ClockId::Realtime);
        (time.tv_sec, time.tv_nsec as u32)
    }

    #[inline]
    pub(super) fn unix_nanos() -> u64 {
        let (seconds, nanos) = since_epoch();
        match u64::try_from(seconds) {
            Ok(seconds) => seconds
                .saturating_mul(1_000_000_000)
                .saturating_add(u64::from(nanos)),
            Err(_) => 0,
        }
    }

    #[inline]
    fn read(clock: ClockId) -> Duration {
        let time = clock_gettime(clock);
        // The seconds since the machine was started are not negative. The nanoseconds are within
        // one second, so they fit in a `u32`.
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

    pub(super) fn monotonic_nanos() -> u64 {
        super::whole_nanos(monotonic())
    }

    pub(super) fn monotonic_coarse() -> Duration {
        monotonic()
    }

    pub(super) fn since_epoch() -> (i64, u32) {
        crate::internal::rfc3339::since_epoch(crate::Clock::system().now())
    }

    pub(super) fn unix_nanos() -> u64 {
        super::nanos_since_1970(crate::Clock::system().now())
    }
}

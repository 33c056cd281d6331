//! Time that tests can set.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

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
        Self(Source::Manual(Arc::new(Mutex::new(Manual {
            now,
            instant: Instant::now(),
        }))))
    }

    /// Moves a manual clock forward. The system's clock stays as it is.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(manual) = &self.0 {
            let mut manual = manual.lock().unwrap_or_else(PoisonError::into_inner);
            manual.now += by;
            manual.instant += by;
        }
    }

    /// Sets the time of day of a manual clock, also back. [`instant`](Self::instant) does not move. The system's clock stays as it
    /// is.
    pub fn set(&self, now: SystemTime) {
        if let Source::Manual(manual) = &self.0 {
            manual.lock().unwrap_or_else(PoisonError::into_inner).now = now;
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
            Source::Manual(manual) => manual.lock().unwrap_or_else(PoisonError::into_inner).now,
        }
    }

    /// A point on a clock that only goes forward, to measure how long something took.
    #[inline]
    #[must_use]
    pub fn instant(&self) -> Instant {
        match &self.0 {
            Source::System => Instant::now(),
            Source::Manual(manual) => {
                manual
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .instant
            }
        }
    }
}

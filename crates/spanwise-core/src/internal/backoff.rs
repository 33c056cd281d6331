//! Exponential back-off.

use std::{ops::RangeInclusive, time::Duration};

/// Delays between attempts of a failing operation. Each delay is twice the previous delay, up to a
/// maximum.
///
/// ```
/// use std::time::Duration;
/// use spanwise_core::internal::Backoff;
///
/// let mut backoff = Backoff::new(Duration::from_millis(10)..=Duration::from_millis(30));
/// let delays = [backoff.next_delay(), backoff.next_delay(), backoff.next_delay()];
/// assert_eq!(delays.map(|delay| delay.as_millis()), [10, 20, 30]);
///
/// backoff.reset();
/// assert_eq!(backoff.next_delay().as_millis(), 10);
/// ```
#[derive(Debug, Clone)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    /// The last delay. Zero at first, and after a success.
    delay: Duration,
}

impl Backoff {
    /// Creates a back-off with delays in the range `delays`.
    #[must_use]
    pub const fn new(delays: RangeInclusive<Duration>) -> Self {
        Self {
            min: *delays.start(),
            max: *delays.end(),
            delay: Duration::ZERO,
        }
    }

    /// Returns the delay before the next attempt. Call it once for each failure.
    pub fn next_delay(&mut self) -> Duration {
        self.delay = self.delay.saturating_mul(2).max(self.min).min(self.max);
        self.delay
    }

    /// Resets to the shortest delay. Call it after a success.
    pub const fn reset(&mut self) {
        self.delay = Duration::ZERO;
    }
}

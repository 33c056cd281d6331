//! A limit per second, for work that costs milliseconds.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Allows a number of calls in each second.
#[derive(Debug)]
pub struct PerSecond {
    limit: u32,
    /// The time of the first call.
    start: OnceLock<Instant>,
    /// In the high 32 bits, the number of whole seconds from `start` to the latest call. In the low
    /// 32 bits, the number of allowed calls in that second.
    window: AtomicU64,
}

impl PerSecond {
    /// Creates a limit of `limit` calls per second.
    #[must_use]
    pub const fn new(limit: u32) -> Self {
        Self {
            limit,
            start: OnceLock::new(),
            window: AtomicU64::new(0),
        }
    }

    /// Counts a call. Returns whether it is within the limit.
    pub fn allows(&self) -> bool {
        self.allows_at(self.start.get_or_init(Instant::now).elapsed())
    }

    fn allows_at(&self, since_start: Duration) -> bool {
        let empty_window = since_start.as_secs() << 32;
        let count_call = |window: u64| {
            let current = window.max(empty_window);
            (current - empty_window < u64::from(self.limit)).then_some(current + 1)
        };
        self.window
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, count_call)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_applies_to_each_second() {
        let limit = PerSecond::new(2);
        let at = |millis| limit.allows_at(Duration::from_millis(millis));
        assert_eq!([0, 10, 999].map(at), [true, true, false]);
        assert_eq!([1000, 1999, 1999].map(at), [true, true, false]);
        // A call with an earlier time, from a delayed thread, counts in the current second.
        assert_eq!([999, 5000, 5999].map(at), [false, true, true]);
    }
}

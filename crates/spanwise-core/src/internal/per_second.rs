//! A limit on work that costs milliseconds.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Allows a number of pieces of work in each second.
#[derive(Debug)]
pub struct PerSecond {
    limit: u32,
    start: OnceLock<Instant>,
    /// The second in the upper half, and the pieces in it in the lower one.
    window: AtomicU64,
}

impl PerSecond {
    /// Creates a limit of `limit` pieces of work a second.
    #[must_use]
    pub const fn new(limit: u32) -> Self {
        Self {
            limit,
            start: OnceLock::new(),
            window: AtomicU64::new(0),
        }
    }

    /// Counts a piece of work. Returns whether it is within the limit.
    pub fn allows(&self) -> bool {
        self.allows_at(self.start.get_or_init(Instant::now).elapsed())
    }

    fn allows_at(&self, since_start: Duration) -> bool {
        let second = since_start.as_secs() << 32;
        let count = |window: u64| {
            let begun = window.max(second);
            (begun - second < u64::from(self.limit)).then_some(begun + 1)
        };
        self.window
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, count)
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
        // A thread that comes late counts for the second that has begun.
        assert_eq!([999, 5000, 5999].map(at), [false, true, true]);
    }
}

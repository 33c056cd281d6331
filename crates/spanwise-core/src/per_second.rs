//! A limit on work that costs milliseconds.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
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
        let second = self.start.get_or_init(Instant::now).elapsed().as_secs() << 32;
        let count = |window: u64| {
            let begun = window.max(second);
            (begun - second < u64::from(self.limit)).then_some(begun + 1)
        };
        self.window
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, count)
            .is_ok()
    }
}

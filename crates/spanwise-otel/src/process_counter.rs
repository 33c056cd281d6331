//! A counter that starts at 0 in a forked child.

use spanwise_core::internal::{ShardedCounter, forks::PerProcess};

/// A [`ShardedCounter`] of this process. The count of a forked child excludes that of its parent.
#[derive(Debug)]
pub(crate) struct ProcessCounter(PerProcess<ShardedCounter>);

impl ProcessCounter {
    /// Adds 1.
    pub(crate) fn count(&self) {
        let counter = self.0.for_this_process(|_| ShardedCounter::default());
        counter.count();
    }

    /// Returns the count of this process.
    pub(crate) fn total(&self) -> u64 {
        let counter = self.0.created_for_this_process();
        counter.map_or(0, ShardedCounter::total)
    }
}

impl Default for ProcessCounter {
    fn default() -> Self {
        Self(PerProcess::new(ShardedCounter::default()))
    }
}

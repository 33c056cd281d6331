//! Permanent levels, and temporary levels that end at a deadline.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::Thread,
    time::Instant,
};

use tracing_core::LevelFilter;

use crate::{Levels, ParseError, internal::forks};

/// The sources of the active levels. Each change of levels reads and replaces some of them.
#[derive(Debug)]
pub(super) struct LevelSources {
    /// The configured levels, which complete levels that have no default level.
    pub(super) configured: Levels,
    /// The levels that are restored after a temporary change.
    pub(super) permanent: Levels,
    /// The temporary change that is in force.
    pub(super) temporary: Option<TemporaryChange>,
}

/// A change of levels that ends at its deadline.
#[derive(Debug)]
pub(super) struct TemporaryChange {
    /// `None` if the end is beyond the range of [`Instant`].
    pub(super) deadline: Option<Instant>,
    /// Whether the change has ended. Written under the lock of the [`LevelSources`].
    pub(super) has_ended: Arc<AtomicBool>,
    /// The thread that ends the change at its deadline. It waits without a lock, because a forked
    /// child would inherit a held lock without the thread that releases it.
    pub(super) restoring_thread: Thread,
    /// The [`generation`](forks::generation) of the process in which that thread runs.
    pub(super) process_generation: u32,
}

/// Returns the levels with the default level `info` if they have no default level.
pub(super) fn with_default_level(levels: Levels) -> Levels {
    levels.or(&LevelFilter::INFO.into())
}

impl LevelSources {
    /// Completes levels that have no default level, and checks their span directives.
    pub(super) fn complete(&self, levels: Levels) -> Result<Levels, ParseError> {
        let levels = levels.or(&self.configured);
        levels.check_spans()?;
        Ok(levels)
    }
}

impl TemporaryChange {
    /// Returns whether the deadline has passed. In a forked child, the change may still be in force
    /// then, because the child has no thread that ends it.
    pub(super) fn is_over(&self) -> bool {
        let deadline = self.deadline;
        deadline.is_some_and(|deadline| deadline <= Instant::now())
    }
}

impl Drop for TemporaryChange {
    fn drop(&mut self) {
        self.has_ended.store(true, Ordering::Release);
        if self.process_generation == forks::generation() {
            self.restoring_thread.unpark();
        }
    }
}

//! Permanent and temporary levels.

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

/// The levels that a change of levels reads and replaces.
#[derive(Debug)]
pub(super) struct LevelChanges {
    /// The configured levels, which complete levels that have no default level.
    pub(super) defaults: Levels,
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
    /// Whether the change has ended. Written under the lock of the [`LevelChanges`].
    pub(super) has_ended: Arc<AtomicBool>,
    /// The thread that ends the change at its deadline. It waits without a lock, because a forked
    /// child may inherit a lock of a thread that it does not have.
    pub(super) restoring_thread: Thread,
    /// The [`generation`](forks::generation) of the process that has this thread.
    pub(super) process: u32,
}

/// Adds the default level `info`, unless the levels have a default level.
pub(super) fn with_default_level(levels: Levels) -> Levels {
    levels.or(&LevelFilter::INFO.into())
}

impl LevelChanges {
    /// Completes levels that have no default level.
    pub(super) fn complete(&self, levels: Levels) -> Result<Levels, ParseError> {
        let levels = levels.or(&self.defaults);
        levels.check_spans()?;
        Ok(levels)
    }
}

impl TemporaryChange {
    /// Returns whether the deadline has passed. A forked child has no thread that then ends the
    /// change.
    pub(super) fn is_over(&self) -> bool {
        let deadline = self.deadline;
        deadline.is_some_and(|deadline| deadline <= Instant::now())
    }
}

impl Drop for TemporaryChange {
    fn drop(&mut self) {
        self.has_ended.store(true, Ordering::Release);
        if self.process == forks::generation() {
            self.restoring_thread.unpark();
        }
    }
}

//! Layers and writers that come back to themselves: by a panic whose hook logs, or by a writer that logs.

use std::{cell::Cell, io};

use crate::guarded;

thread_local! {
    static WRITING: Cell<bool> = const { Cell::new(false) };
    static IN_LAYERS: Cell<bool> = const { Cell::new(false) };
}

/// Calls `write`, which hands a line to somebody's writer.
///
/// A writer that panics costs the line. One that logs would be called again by its own event, without end: that event's line is
/// refused.
///
/// # Errors
/// What the writer said, that it panicked, or that this is a line of the writer's own.
#[inline]
pub fn write(write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    if WRITING.replace(true) {
        return Err(io::Error::other(
            "it was logged by the writer itself, inside a write",
        ));
    }
    let written = guarded::catch(write);
    WRITING.set(false);
    written.unwrap_or_else(|| Err(io::Error::other("the writer panicked")))
}

/// Whether this thread is inside a layer of a [`Layers`](crate::Layers) or a sink's write: a panic hook must not log then, since a
/// panic inside the hook ends the program.
#[must_use]
pub fn is_inside() -> bool {
    WRITING.get() || IN_LAYERS.get()
}

/// Marks the thread as inside of layers until it is dropped.
#[derive(Debug)]
pub(crate) struct InLayers {
    before: bool,
}

impl InLayers {
    #[inline]
    pub(crate) fn enter() -> Self {
        Self {
            before: IN_LAYERS.replace(true),
        }
    }
}

impl Drop for InLayers {
    #[inline]
    fn drop(&mut self) {
        IN_LAYERS.set(self.before);
    }
}

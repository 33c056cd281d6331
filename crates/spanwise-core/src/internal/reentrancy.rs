//! Layers and writers that come back to themselves: by a panic whose hook logs, or by a writer that logs.

use std::{cell::Cell, io};

use crate::internal::{LayerId, panic_safe};

thread_local! {
    /// A bit for each layer whose writer is called right now; layers share bits by their number.
    static WRITING: Cell<u64> = const { Cell::new(0) };
    static IN_LAYERS: Cell<bool> = const { Cell::new(false) };
    static WRITTEN: Cell<bool> = const { Cell::new(false) };
}

/// Calls `write`, which hands a line of `layer` to somebody's writer.
///
/// A writer that panics costs the line. One that logs would be called again by its own event, without end: that event's line is
/// refused. Other layers take it.
///
/// # Errors
/// What the writer said, that it panicked, or that this is a line of the writer's own.
#[inline]
pub fn guarded_write(layer: LayerId, write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let before = WRITING.get();
    let this = 1 << (layer.number() % 64);
    if before & this != 0 {
        return Err(io::Error::other(
            "it was logged by the writer itself, inside a write",
        ));
    }
    WRITING.set(before | this);
    let written = panic_safe::catch_panic(write);
    WRITING.set(before);
    if let Some(Ok(())) = written {
        WRITTEN.set(true);
    }
    written.unwrap_or_else(|| Err(io::Error::other("the writer panicked")))
}

/// Returns whether a writer took a line of this thread since this was last called.
///
/// One that writes in the background may lose the line later.
#[must_use]
pub fn take_written() -> bool {
    WRITTEN.take()
}

/// Whether this thread is inside a layer of a [`Layers`](crate::Layers) or a sink's write: a panic hook must not log then, since a
/// panic inside the hook ends the program.
#[must_use]
pub fn is_logging() -> bool {
    WRITING.get() != 0 || IN_LAYERS.get()
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

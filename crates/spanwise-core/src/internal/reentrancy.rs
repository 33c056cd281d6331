//! Protection against recursion: a panic hook that logs inside of a layer, or a writer that logs.

use std::{cell::Cell, io};

use crate::internal::{LayerId, panic_safe};

thread_local! {
    /// A bit for each layer whose writer is running. Layers share bits by their number.
    static WRITING: Cell<u64> = const { Cell::new(0) };
    static IN_LAYERS: Cell<bool> = const { Cell::new(false) };
    static WRITTEN: Cell<bool> = const { Cell::new(false) };
}

/// Calls `write`, which passes a line of `layer` to a writer.
///
/// If the writer panics, the line is lost. If it logs, its own event would call it again without
/// end, so this layer refuses the line of that event. Other layers take it.
///
/// # Errors
/// The error of the writer, or an error if it panicked or logged this line itself.
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
/// A background writer may lose the line later.
#[must_use]
pub fn take_written() -> bool {
    WRITTEN.take()
}

/// Returns whether this thread is inside a layer of [`Layers`](crate::Layers) or a write. A panic
/// hook must not log then, because a panic inside the hook aborts the process.
#[must_use]
pub fn is_logging() -> bool {
    WRITING.get() != 0 || IN_LAYERS.get()
}

/// Marks the thread as inside of layers until dropped.
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

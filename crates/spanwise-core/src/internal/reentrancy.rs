//! Protection against recursive logging: by a writer that logs, or by a panic hook that logs while
//! a layer runs.

use std::{cell::Cell, io};

use crate::internal::{LayerId, panic_safe, thread_state};

/// The part of the thread's state that this module owns.
pub(crate) struct ReentrancyState {
    /// The bits of the layers whose writers are running. The index of a layer's bit is the number
    /// of the layer modulo 64.
    writing_layers: Cell<u64>,
    /// Whether the thread is inside a layer of [`Layers`](crate::Layers).
    in_layers: Cell<bool>,
    /// Whether a writer accepted a line since the last call of [`take_written`].
    written: Cell<bool>,
    writer_role: Cell<WriterRole>,
    /// The address of the queue whose sink this thread is running, or 0.
    queue_of_sink: Cell<usize>,
}

impl ReentrancyState {
    pub(crate) const fn new() -> Self {
        Self {
            writing_layers: Cell::new(0),
            in_layers: Cell::new(false),
            written: Cell::new(false),
            writer_role: Cell::new(WriterRole::Caller),
            queue_of_sink: Cell::new(0),
        }
    }
}

#[inline(always)] // See `thread_state::with`.
fn with_state<R>(f: impl FnOnce(&ReentrancyState) -> R) -> R {
    thread_state::with(|state| f(&state.reentrancy))
}

/// Calls `write`, which passes a line of `layer` to a writer.
///
/// If the writer panics, the line is lost. If the writer logs an event, `layer` refuses the line of
/// that event, because the writer would be called again endlessly. Other layers accept it, except
/// those with the same number modulo 64.
///
/// # Errors
/// * The error of the writer.
/// * An error if the writer panicked, or if the writer itself logged the line.
#[inline]
pub fn guarded_write(layer: LayerId, write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let outer = with_state(|state| state.writing_layers.get());
    let layer_bit = 1 << (layer.number() % 64);
    if outer & layer_bit != 0 {
        return Err(io::Error::other(
            "it was logged by the writer itself, inside a write",
        ));
    }
    with_state(|state| state.writing_layers.set(outer | layer_bit));
    let result = panic_safe::catch_panic(write);
    with_state(|state| {
        state.writing_layers.set(outer);
        if let Some(Ok(())) = result {
            state.written.set(true);
        }
    });
    result.unwrap_or_else(|| Err(io::Error::other("the writer panicked")))
}

/// Returns whether the writer of `layer` is running on this thread, so that
/// [`guarded_write`] would refuse a line.
#[inline]
#[must_use]
pub fn is_writing(layer: LayerId) -> bool {
    with_state(|state| state.writing_layers.get()) & 1 << (layer.number() % 64) != 0
}

/// Records that a writer accepted a line without [`guarded_write`], for [`take_written`].
#[inline]
pub fn note_written() {
    with_state(|state| state.written.set(true));
}

/// Returns whether a writer accepted a line of this thread since the last call of this function.
///
/// A background writer may lose the line later.
#[must_use]
pub fn take_written() -> bool {
    with_state(|state| state.written.take())
}

/// Returns whether this thread is inside a layer of [`Layers`](crate::Layers), or inside a write.
/// If it is, a panic hook must not log: the layer might panic again, and a panic inside the hook
/// aborts the process.
#[must_use]
pub fn is_logging() -> bool {
    with_state(|state| state.writing_layers.get() != 0 || state.in_layers.get())
}

/// A guard that marks the thread as inside a layer.
#[derive(Debug)]
pub(crate) struct InLayers {
    outer: bool,
}

impl InLayers {
    #[inline]
    pub(crate) fn enter() -> Self {
        Self {
            outer: with_state(|state| state.in_layers.replace(true)),
        }
    }
}

impl Drop for InLayers {
    #[inline]
    fn drop(&mut self) {
        with_state(|state| state.in_layers.set(self.outer));
    }
}

/// The role of a thread for background writers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriterRole {
    /// The thread logs, and does not write.
    Caller,
    /// The thread logs, and writes now. Only one caller at a time writes to an output.
    WritingCaller,
    /// The thread is a writer thread.
    Worker,
}

impl WriterRole {
    /// Returns the role of this thread.
    #[must_use]
    pub fn current() -> Self {
        with_state(|state| state.writer_role.get())
    }

    /// Gives this thread the role until the guard is dropped.
    #[must_use]
    pub fn enter(self) -> impl Drop {
        let outer = with_state(|state| state.writer_role.replace(self));
        RestoreValue {
            value: |state| &state.writer_role,
            outer,
        }
    }
}

/// Marks this thread as running the sink of the queue at this address, until the guard is dropped.
#[must_use]
pub fn enter_sink(queue: usize) -> impl Drop {
    let outer = with_state(|state| state.queue_of_sink.replace(queue));
    RestoreValue {
        value: |state| &state.queue_of_sink,
        outer,
    }
}

/// Returns the address of the queue whose sink this thread is running, or 0.
#[inline]
#[must_use]
pub fn current_sink() -> usize {
    with_state(|state| state.queue_of_sink.get())
}

/// A guard that restores a value of the thread's state.
struct RestoreValue<T: Copy> {
    value: fn(&ReentrancyState) -> &Cell<T>,
    outer: T,
}

impl<T: Copy> Drop for RestoreValue<T> {
    fn drop(&mut self) {
        with_state(|state| (self.value)(state).set(self.outer));
    }
}

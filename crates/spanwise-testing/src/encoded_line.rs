//! Access to the bytes that a [`JsonLayer`](spanwise_json::JsonLayer) writes for one event, so that
//! assertions can search them.

use std::{
    cell::{Cell, RefCell},
    io, mem,
};

use tracing_subscriber::fmt::MakeWriter;

thread_local! {
    /// One slot for each event that this thread is encoding. There can be several, because a
    /// `Debug` may log another event.
    static SLOTS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };

    /// Whether capturing is paused: see [`while_paused`].
    static PAUSED: Cell<bool> = const { Cell::new(false) };
}

/// Returns the bytes that `encode` writes to an [`EncodedLineWriter`] on this thread.
///
/// Returns no bytes on an exiting thread, because its thread-locals are destroyed.
pub(crate) fn encode_line(encode: impl FnOnce()) -> Vec<u8> {
    let slot = Slot::open();
    encode();
    slot.take()
}

/// Pauses capturing on this thread during `format`, which formats values a second time. If the
/// `Debug` of a value logs events, they were captured the first time.
pub(crate) fn while_paused<R>(format: impl FnOnce() -> R) -> R {
    let was_paused = PAUSED.try_with(|paused| paused.replace(true));
    let _restore = RestorePaused(was_paused.unwrap_or(false));
    format()
}

/// Returns whether capturing is paused on this thread: see [`while_paused`].
pub(crate) fn is_paused() -> bool {
    PAUSED.try_with(Cell::get).unwrap_or(false)
}

/// Writes to the slot of the innermost event that this thread is encoding.
#[derive(Debug)]
pub(crate) struct EncodedLineWriter;

impl<'a> MakeWriter<'a> for EncodedLineWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

impl io::Write for EncodedLineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = SLOTS.try_with(|slots| {
            if let Some(slot) = slots.borrow_mut().last_mut() {
                slot.extend(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The slot of one event. Dropping it removes the slot from the thread, even if the encoder panics.
/// The slots of outer events remain.
struct Slot {
    index: usize,
}

impl Slot {
    fn open() -> Self {
        let index = SLOTS.try_with(|slots| {
            let mut slots = slots.borrow_mut();
            slots.push(Vec::new());
            slots.len() - 1
        });
        Self {
            index: index.unwrap_or_default(),
        }
    }

    fn take(&self) -> Vec<u8> {
        let line = SLOTS.try_with(|slots| slots.borrow_mut().get_mut(self.index).map(mem::take));
        line.ok().flatten().unwrap_or_default()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let _ = SLOTS.try_with(|slots| slots.borrow_mut().truncate(self.index));
    }
}

/// Restores the earlier value of `PAUSED` when it is dropped.
struct RestorePaused(bool);

impl Drop for RestorePaused {
    fn drop(&mut self) {
        let _ = PAUSED.try_with(|paused| paused.set(self.0));
    }
}

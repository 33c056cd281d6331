//! Access to the bytes that a [`JsonLayer`](spanwise_json::JsonLayer) writes for one event.

use std::{
    cell::{Cell, RefCell},
    io, mem,
};

use tracing_subscriber::fmt::MakeWriter;

thread_local! {
    /// One slot per event that is being encoded on this thread. There can be several, because a
    /// `Debug` may log another event.
    static SLOTS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };

    /// Whether the capture is [`paused`].
    static PAUSED: Cell<bool> = const { Cell::new(false) };
}

/// Returns the bytes that `encode` writes to an [`EncodedLineWriter`] on this thread.
///
/// Empty on an exiting thread, because its thread-locals are destroyed.
pub(crate) fn encode_line(encode: impl FnOnce()) -> Vec<u8> {
    let slot = Slot::open();
    encode();
    slot.take()
}

/// Pauses the capture during `format`, which formats values a second time. If the `Debug` of a
/// value logs events, they were captured the first time.
pub(crate) fn paused<R>(format: impl FnOnce() -> R) -> R {
    let before = PAUSED.try_with(|paused| paused.replace(true));
    let _restore = Restore(before.unwrap_or(false));
    format()
}

/// Returns whether the capture is [`paused`].
pub(crate) fn is_paused() -> bool {
    PAUSED.try_with(Cell::get).unwrap_or(false)
}

/// Writes to the slot of the event that is being encoded on this thread.
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

/// The slot of one event. Dropping it removes the slot, even if the encoder panics, but not the
/// slots of outer events.
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

/// Restores whether the capture was paused before.
struct Restore(bool);

impl Drop for Restore {
    fn drop(&mut self) {
        let _ = PAUSED.try_with(|paused| paused.set(self.0));
    }
}

//! Access to the bytes that a [`JsonLayer`](spanwise_json::JsonLayer) writes for one event.

use std::{
    cell::{Cell, RefCell},
    io, mem,
};

use tracing_subscriber::fmt::MakeWriter;

thread_local! {
    /// One slot per event being encoded on this thread: a `Debug` may log an event inside an event.
    static SLOTS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };

    static PAUSED: Cell<bool> = const { Cell::new(false) };
}

/// Returns what `encode` writes to an [`EncodedLineWriter`] on this thread.
///
/// Empty on an exiting thread, whose thread-locals are gone.
pub(crate) fn encode_line(encode: impl FnOnce()) -> Vec<u8> {
    let slot = Slot::open();
    encode();
    slot.take()
}

/// Pauses the capture during `format`, which formats values a second time: events that their
/// `Debug` logs have been captured already.
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

/// Removes its slot even if the encoder panics, and leaves those of outer events in place.
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

struct Restore(bool);

impl Drop for Restore {
    fn drop(&mut self) {
        let _ = PAUSED.try_with(|paused| paused.set(self.0));
    }
}

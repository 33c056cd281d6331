//! Memory that a thread reuses to encode its log records.

use std::cell::Cell;

use crate::{attributes::Attributes, limits::AttributeLimits, log_encoding::ATTRIBUTES};

thread_local! {
    static SCRATCH: Cell<Option<Box<LogScratch>>> = const { Cell::new(None) };
}

/// The parts of a record while it is encoded.
#[derive(Debug)]
pub(crate) struct LogScratch {
    pub(crate) attributes: Attributes,
    pub(crate) body: String,
    /// The text of a field while it is formatted.
    pub(crate) text: String,
    /// The fields of the record that come before its attributes.
    pub(crate) head: Vec<u8>,
    /// The bytes to write: the record inside a `ResourceLogs`.
    pub(crate) output: Vec<u8>,
}

impl LogScratch {
    /// Takes the memory of the thread, or allocates if it is in use. It is in use if an event is
    /// logged while another record is encoded.
    #[inline]
    pub(crate) fn take(limits: AttributeLimits) -> Box<Self> {
        let taken = SCRATCH.try_with(Cell::take).ok().flatten();
        let mut scratch = taken.unwrap_or_default();
        scratch.attributes.reset(limits);
        scratch.body.clear();
        scratch.head.clear();
        scratch.output.clear();
        scratch
    }

    /// Gives the memory back to the thread.
    #[inline]
    pub(crate) fn put_back(self: Box<Self>) {
        // On an ending thread, the thread-local may be destroyed.
        let _ = SCRATCH.try_with(|scratch| scratch.set(Some(self)));
    }
}

impl Default for LogScratch {
    fn default() -> Self {
        Self {
            attributes: Attributes::new(ATTRIBUTES, AttributeLimits::default()),
            body: String::new(),
            text: String::new(),
            head: Vec::new(),
            output: Vec::new(),
        }
    }
}

//! What is kept on each thread.

use std::cell::{Cell, RefCell};

use spanwise_core::internal::EnteredSpans;

use crate::{
    format::SAMPLE_RATE, fragment::SpanNode, line_buffer::LineBuffer, timestamp::LastSecond,
};

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
    static ENTERED: RefCell<EnteredSpans<SpanNode>> = const { RefCell::new(EnteredSpans::new()) };
}

/// What a thread uses again for each line, whichever layer writes it.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) line: LineBuffer,
    /// Of each layer, or of every other one: a stack seldom has more than two.
    pub(crate) seconds: [LastSecond; 2],
    /// The thread's name and id, as JSON strings.
    pub(crate) thread: Option<(Option<Vec<u8>>, Vec<u8>)>,
    pub(crate) rate: LastRate,
}

/// The last sample rate that was written, as a member: a rule has the same one always.
#[derive(Debug, Default)]
pub(crate) struct LastRate {
    rate: f64,
    member: Vec<u8>,
}

impl LastRate {
    /// Appends a finite rate.
    pub(crate) fn push(&mut self, line: &mut LineBuffer, rate: f64) {
        if self.rate.to_bits() != rate.to_bits() || self.member.is_empty() {
            self.rate = rate;
            self.member.clear();
            // A name of ours: there is nothing in it to escape.
            for part in [",\"", SAMPLE_RATE, "\":"] {
                self.member.extend(part.as_bytes());
            }
            let mut digits = zmij::Buffer::new();
            self.member.extend(digits.format_finite(rate).as_bytes());
        }
        line.push(&self.member);
    }
}

impl Scratch {
    /// The thread's, with an empty line. An event inside the values of another finds it taken, and has one of its own.
    #[inline]
    pub(crate) fn take() -> Box<Self> {
        SCRATCH
            .try_with(Cell::take)
            .ok()
            .flatten()
            .unwrap_or_default()
    }

    /// Keeps it for the thread's next line.
    #[inline]
    pub(crate) fn put_back(mut self: Box<Self>) {
        self.line.clear();
        // A thread that is ending keeps nothing.
        let _ = SCRATCH.try_with(|scratch| scratch.set(Some(self)));
    }
}

/// Calls `f` with the spans that this thread is in. `f` must not call code that may log. A thread
/// that is ending is in none.
#[inline(always)] // See `JsonLayer::with_current`.
pub(crate) fn with_entered<R>(f: impl FnOnce(&mut EnteredSpans<SpanNode>) -> R) -> Option<R> {
    // Nothing that `f` calls comes here again, so this is never borrowed already.
    ENTERED
        .try_with(|entered| f(&mut entered.borrow_mut()))
        .ok()
}

//! Thread-local state: the line buffer, and the spans that the thread has entered.

use std::cell::{Cell, RefCell};

use spanwise_core::internal::EnteredSpans;

use crate::{fragment::SpanNode, line_buffer::LineBuffer, timestamp::LastSecond};

thread_local! {
    static STATE: LayerState = const {
        LayerState {
            scratch: Cell::new(None),
            entered: RefCell::new(EnteredSpans::new()),
        }
    };
}

/// What a thread has for the JSON layers.
struct LayerState {
    scratch: Cell<Option<Box<Scratch>>>,
    entered: RefCell<EnteredSpans<SpanNode>>,
}

/// State that a thread reuses for each line, of any layer.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) line: LineBuffer,
    /// The line as its format has it, if that is not flat JSON.
    pub(crate) rewritten: Vec<u8>,
    /// By the layer's id modulo two: a stack seldom has more than two layers.
    pub(crate) seconds: [LastSecond; 2],
    /// The thread's name and id, as JSON strings.
    pub(crate) thread: Option<(Option<Vec<u8>>, Vec<u8>)>,
    pub(crate) rate: LastRate,
}

/// The last sample rate that was written: a rule always has the same rate.
#[derive(Debug, Default)]
pub(crate) struct LastRate {
    rate: f64,
    digits: Vec<u8>,
}

impl LastRate {
    /// Appends a finite rate.
    pub(crate) fn push(&mut self, line: &mut LineBuffer, rate: f64) {
        if self.rate.to_bits() != rate.to_bits() || self.digits.is_empty() {
            self.rate = rate;
            self.digits.clear();
            let mut digits = zmij::Buffer::new();
            self.digits.extend(digits.format_finite(rate).as_bytes());
        }
        line.push(&self.digits);
    }
}

impl Scratch {
    /// Takes the thread's state. An event logged while a value is formatted finds it taken, and
    /// gets a new one.
    #[inline]
    pub(crate) fn take() -> Box<Self> {
        STATE
            .try_with(|state| state.scratch.take())
            .ok()
            .flatten()
            .unwrap_or_default()
    }

    /// Returns the state for the thread's next line.
    #[inline]
    pub(crate) fn put_back(mut self: Box<Self>) {
        self.line.clear();
        // The thread-local is gone if the thread is exiting.
        let _ = STATE.try_with(|state| state.scratch.set(Some(self)));
    }
}

/// Calls `f` with the spans that this thread has entered. `f` must not call code that may log.
/// Returns `None` on an exiting thread.
#[inline(always)] // See `JsonLayer::with_current`.
pub(crate) fn with_entered<R>(f: impl FnOnce(&mut EnteredSpans<SpanNode>) -> R) -> Option<R> {
    // `f` does not come back here, so this is never borrowed already.
    STATE
        .try_with(|state| f(&mut state.entered.borrow_mut()))
        .ok()
}

//! Thread-local state: the line buffer, and the spans that the thread has entered.

use std::cell::{Cell, RefCell};

use spanwise_core::internal::EnteredSpans;

use crate::{
    fragment::{ShadowedKeys, SpanNode},
    line_buffer::{LineBuffer, PaddedBytes},
    member_keys::OwnKeys,
    per_layer::PerLayer,
    plan::MAX_SPAN_FIELDS,
    rewrite::RewrittenTails,
    timestamp::LastSecond,
    visit::MemberStarts,
};

thread_local! {
    static STATE: LayerState = const {
        LayerState {
            scratch: Cell::new(None),
            entered: RefCell::new(EnteredSpans::new()),
        }
    };
}

/// The state of a thread for the JSON layers.
struct LayerState {
    scratch: Cell<Option<Box<Scratch>>>,
    entered: RefCell<EnteredSpans<SpanNode>>,
}

/// State that a thread reuses for each line, of any layer.
#[derive(Debug)]
pub(crate) struct Scratch {
    pub(crate) line: LineBuffer,
    /// The line in the format's own syntax, if that is not flat JSON.
    pub(crate) rewritten: LineBuffer,
    /// The values of an event for a recorder. Empty until a layer stores some.
    pub(crate) values: LineBuffer,
    /// The start of each layer's last line, up to the second.
    pub(crate) seconds: PerLayer<LastSecond>,
    /// The thread's name, if it has one, and its id, as JSON strings. `None` until a layer needs
    /// them.
    pub(crate) thread: Option<(Option<Vec<u8>>, Vec<u8>)>,
    /// The members about the thread. `None` until a layer has written them.
    pub(crate) thread_members: PerLayer<Option<PaddedBytes<64>>>,
    /// The rewritten ends of recent lines that are not flat JSON.
    pub(crate) tails: RewrittenTails,
    pub(crate) rate: LastRate,
    /// The offsets of the fields in `line`.
    pub(crate) starts: MemberStarts,
    /// The keys of the span's members, while the fields of a span are in `line`.
    pub(crate) keys: OwnKeys,
    /// The keys of the spans' members that the line omits, because the event has the same keys.
    pub(crate) shadowed: ShadowedKeys,
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            line: LineBuffer::default(),
            rewritten: LineBuffer::default(),
            values: LineBuffer::default(),
            seconds: PerLayer::default(),
            thread: None,
            thread_members: PerLayer::default(),
            tails: RewrittenTails::default(),
            rate: LastRate::default(),
            starts: [0; MAX_SPAN_FIELDS + 1],
            keys: OwnKeys::new(),
            shadowed: ShadowedKeys::new(),
        }
    }
}

/// The last sample rate and its digits. They are stored because the next rate is mostly the same.
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
    /// Takes the state of the thread. Creates a new one for an event that is logged while a value
    /// of another event is formatted, since that event has taken the state.
    #[inline]
    pub(crate) fn take() -> Box<Self> {
        STATE
            .try_with(|state| state.scratch.take())
            .ok()
            .flatten()
            .unwrap_or_default()
    }

    /// Gives the state back for the thread's next line.
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
    // `borrow_mut` cannot panic, because `f` does not call this function again.
    STATE
        .try_with(|state| f(&mut state.entered.borrow_mut()))
        .ok()
}

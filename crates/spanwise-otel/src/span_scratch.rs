//! Reused memory for spans.

use std::cell::Cell;

use crate::{limits::AttributeLimits, open_span::RecordedSpan};

/// Memory that the spans of a thread reuse, so that a span allocates little.
#[derive(Debug, Default)]
pub(crate) struct SpanScratch {
    /// Memory for values that are formatted.
    pub(crate) text: String,
    /// Memory for encoded spans, events and links.
    pub(crate) encoded: Vec<u8>,
    /// The data of ended spans, to be reused.
    #[expect(clippy::vec_box, reason = "they move between here and the open spans")]
    spare: Vec<Box<RecordedSpan>>,
}

/// The most ended spans whose memory a thread keeps.
const MAX_SPARE: usize = 16;

/// The most bytes that a buffer keeps for the next span.
const MAX_RETAINED_LEN: usize = 16 * 1024;

thread_local! {
    static SCRATCH: Cell<Option<Box<SpanScratch>>> = const { Cell::new(None) };
}

impl SpanScratch {
    /// Calls `f` with the memory of this thread. A nested call gets memory of its own.
    pub(crate) fn with<R>(f: impl FnOnce(&mut Self) -> R) -> R {
        // The thread-local is gone if the thread is ending.
        let taken = SCRATCH.try_with(Cell::take).ok().flatten();
        let mut scratch = taken.unwrap_or_default();
        let result = f(&mut scratch);
        scratch.text.clear();
        scratch.text.shrink_to(MAX_RETAINED_LEN);
        scratch.encoded.clear();
        scratch.encoded.shrink_to(MAX_RETAINED_LEN);
        let replaced = SCRATCH.try_with(|kept| kept.replace(Some(scratch)));
        drop(replaced);
        result
    }

    /// Returns empty data for a new span, of kind `INTERNAL`.
    pub(crate) fn recorded(&mut self, limits: AttributeLimits) -> Box<RecordedSpan> {
        match self.spare.pop() {
            Some(mut recorded) => {
                recorded.reset(limits);
                recorded
            }
            None => Box::new(RecordedSpan::new(limits)),
        }
    }

    /// Keeps the memory of span data that is no longer needed, unless it is large.
    pub(crate) fn keep(&mut self, recorded: Box<RecordedSpan>) {
        if self.spare.len() < MAX_SPARE && recorded.retained_len() <= MAX_RETAINED_LEN {
            self.spare.push(recorded);
        }
    }
}

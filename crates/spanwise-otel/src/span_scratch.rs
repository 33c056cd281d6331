//! Memory that a thread reuses for its spans.

use std::{cell::Cell, sync::Arc};

use crate::{
    limits::AttributeLimits,
    open_span::{OpenSpan, RecordedSpan},
};

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
    /// Ended spans that nothing else refers to, to be reused.
    spare_spans: Vec<Arc<OpenSpan>>,
}

/// A thread keeps the memory of at most this many ended spans.
const MAX_SPARE: usize = 16;

/// A buffer keeps at most this many bytes for the next span.
const MAX_RETAINED_LEN: usize = 16 * 1024;

thread_local! {
    static SCRATCH: Cell<Option<Box<SpanScratch>>> = const { Cell::new(None) };
}

impl SpanScratch {
    /// Calls `f` with the memory of this thread. A nested call gets memory of its own.
    #[inline]
    pub(crate) fn with<R>(f: impl FnOnce(&mut Self) -> R) -> R {
        // The thread-local is gone if the thread is ending.
        let taken = SCRATCH.try_with(Cell::take).ok().flatten();
        let mut scratch = taken.unwrap_or_default();
        let result = f(&mut scratch);
        scratch.text.clear();
        scratch.encoded.clear();
        if scratch.text.capacity().max(scratch.encoded.capacity()) > MAX_RETAINED_LEN {
            scratch.shrink();
        }
        let replaced = SCRATCH.try_with(|kept| kept.replace(Some(scratch)));
        drop(replaced);
        result
    }

    #[cold]
    fn shrink(&mut self) {
        self.text.shrink_to(MAX_RETAINED_LEN);
        self.encoded.shrink_to(MAX_RETAINED_LEN);
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

    /// Returns the span that `make` creates, in the memory of an ended span if there is one.
    #[inline]
    pub(crate) fn open(&mut self, make: impl FnOnce() -> OpenSpan) -> Arc<OpenSpan> {
        if let Some(mut spare) = self.spare_spans.pop()
            && let Some(place) = Arc::get_mut(&mut spare)
        {
            *place = make();
            return spare;
        }
        Arc::new(make())
    }

    /// Keeps the memory of a span that has ended, unless something else refers to it.
    pub(crate) fn keep_span(&mut self, mut span: Arc<OpenSpan>) {
        if self.spare_spans.len() < MAX_SPARE
            && let Some(ended) = Arc::get_mut(&mut span)
        {
            ended.drop_context();
            self.spare_spans.push(span);
        }
    }
}

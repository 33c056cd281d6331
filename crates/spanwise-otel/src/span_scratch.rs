//! Memory that a thread reuses for its spans.

use std::{cell::Cell, sync::Arc};

use crate::{
    limits::AttributeLimits,
    open_span::{OpenSpan, RecordedSpan},
};

/// Memory that a thread reuses for its spans, so that a span allocates little.
#[derive(Debug, Default)]
pub(crate) struct SpanScratch {
    /// Memory for values that are formatted.
    pub(crate) text: String,
    /// Memory for encoded spans, events and links.
    pub(crate) encoded: Vec<u8>,
    /// The memory of [`RecordedSpan`]s that are no longer needed.
    #[expect(clippy::vec_box, reason = "they move between here and the open spans")]
    spare_recorded: Vec<Box<RecordedSpan>>,
    /// The memory of ended spans that nothing else refers to.
    spare_spans: Vec<Arc<OpenSpan>>,
}

/// The maximum number of ended spans for which a thread keeps memory.
const MAX_SPARE: usize = 16;

/// The maximum number of bytes that a buffer keeps for the next span.
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
        let replaced = SCRATCH.try_with(|cell| cell.replace(Some(scratch)));
        drop(replaced);
        result
    }

    #[cold]
    fn shrink(&mut self) {
        self.text.shrink_to(MAX_RETAINED_LEN);
        self.encoded.shrink_to(MAX_RETAINED_LEN);
    }

    /// Returns empty data for a new span, of kind `INTERNAL`.
    pub(crate) fn new_recorded(&mut self, limits: AttributeLimits) -> Box<RecordedSpan> {
        match self.spare_recorded.pop() {
            Some(mut recorded) => {
                recorded.reset(limits);
                recorded
            }
            None => Box::new(RecordedSpan::new(limits)),
        }
    }

    /// Keeps the memory of span data that is no longer needed, unless it is large.
    pub(crate) fn keep(&mut self, recorded: Box<RecordedSpan>) {
        if self.spare_recorded.len() < MAX_SPARE && recorded.retained_len() <= MAX_RETAINED_LEN {
            self.spare_recorded.push(recorded);
        }
    }

    /// Stores the span that `make` creates, in the memory of an ended span if there is one.
    #[inline]
    pub(crate) fn new_open(&mut self, make: impl FnOnce() -> OpenSpan) -> Arc<OpenSpan> {
        if let Some(mut spare) = self.spare_spans.pop()
            && let Some(ended) = Arc::get_mut(&mut spare)
        {
            *ended = make();
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

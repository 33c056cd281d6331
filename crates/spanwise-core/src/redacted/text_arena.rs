//! Memory for the arena of values.

use std::{cell::Cell, error::Error, fmt, ops::Range};

use tracing_core::field::Value;

use super::values::RedactedValue;
use crate::{Redact, internal::panic_safe};

/// The arena, bytes and errors of one event's values, in memory that the next event of this thread uses again.
#[derive(Default)]
pub(super) struct TextArena {
    text: String,
    bytes: Vec<u8>,
    errors: Vec<Box<dyn Error>>,
}

/// Where a text or bytes are among the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct ByteRange {
    start: usize,
    end: usize,
}

thread_local! {
    static ARENA: Cell<Option<Box<TextArena>>> = const { Cell::new(None) };
}

/// A thread keeps no more memory than this, twice.
const MAX_KEPT_LEN: usize = 16 * 1024;

impl TextArena {
    /// The thread's, or empty ones the first time, while it is inside of another event, and when it ends.
    pub(super) fn take() -> Box<Self> {
        let kept = ARENA.try_with(Cell::take).ok().flatten();
        kept.unwrap_or_default()
    }

    pub(super) fn put_back(mut self: Box<Self>) {
        if self.text.capacity() <= MAX_KEPT_LEN && self.bytes.capacity() <= MAX_KEPT_LEN {
            self.text.clear();
            self.bytes.clear();
            self.errors.clear();
            // At the end of the thread there is nowhere to put them.
            let _ = ARENA.try_with(|arena| arena.set(Some(self)));
        }
    }

    pub(super) fn text(&self, range: ByteRange) -> &str {
        &self.text[range.range()]
    }

    pub(super) fn bytes(&self, range: ByteRange) -> &[u8] {
        &self.bytes[range.range()]
    }

    pub(super) fn error(&self, index: usize) -> &dyn Value {
        &self.errors[index]
    }

    pub(super) fn push(&mut self, text: &str) -> ByteRange {
        let start = self.text.len();
        self.text.push_str(text);
        let end = self.text.len();
        ByteRange { start, end }
    }

    pub(super) fn push_bytes(&mut self, bytes: &[u8]) -> ByteRange {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let end = self.bytes.len();
        ByteRange { start, end }
    }

    pub(super) fn push_error(&mut self, error: Box<dyn Error>) -> RedactedValue {
        self.errors.push(error);
        RedactedValue::Error(self.errors.len() - 1)
    }

    /// As much of what `value` writes as `policy` shows.
    pub(super) fn format(
        &mut self,
        key: &str,
        value: &dyn fmt::Debug,
        policy: &dyn Redact,
    ) -> RedactedValue {
        let start = self.text.len();
        let value = format_args!("{value:?}");
        let limit = if policy.reads_text() {
            <dyn Redact>::MAX_COLLECT_LEN
        } else {
            usize::MAX
        };
        let appended = panic_safe::format_value_into(&mut self.text, value, limit);
        let text = &self.text[start..];
        let reads = policy.reads_text();
        if let Some(shown) = reads
            .then(|| policy.replacement_for(Some(key), text))
            .flatten()
        {
            self.text.truncate(start);
            self.text.push_str(&shown);
        }
        let end = self.text.len();
        let range = ByteRange { start, end };
        if appended.is_json {
            RedactedValue::Json(range)
        } else {
            RedactedValue::Debug(range)
        }
    }
}

impl ByteRange {
    fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

//! Reusable memory for the texts, bytes and errors of one event's values.

use std::{cell::Cell, error::Error, fmt, mem::ManuallyDrop, ops::Range};

use tracing_core::field::Value;

use super::current;
use crate::{Redact, internal::panic_safe};

/// The texts, bytes and errors of one event's values. The next event of the thread reuses the
/// memory.
#[derive(Default)]
pub(super) struct TextArena {
    text: String,
    bytes: Vec<u8>,
    errors: Vec<Box<dyn Error>>,
}

/// The range of a text, or of bytes, in a [`TextArena`].
#[derive(Debug, Clone, Copy)]
pub(super) struct ByteRange {
    start: usize,
    end: usize,
}

/// The arena of a thread, in the thread's state, which has no destructor.
pub(super) struct RetainedArena {
    arena: Cell<Option<ManuallyDrop<Box<TextArena>>>>,
    /// Whether [`DROP_ARENA`] will drop the arena.
    is_owned: Cell<bool>,
}

thread_local! {
    /// Accessed once per thread, so that its destructor runs.
    static DROP_ARENA: DropArena = const { DropArena };
}

/// Drops the arena when the thread ends.
struct DropArena;

impl Drop for DropArena {
    fn drop(&mut self) {
        current(|current| current.arena.is_owned.set(false));
        drop(RetainedArena::take());
    }
}

impl RetainedArena {
    pub(super) const fn new() -> Self {
        Self {
            arena: Cell::new(None),
            is_owned: Cell::new(false),
        }
    }

    #[inline]
    fn take() -> Option<Box<TextArena>> {
        let arena = current(|current| current.arena.arena.take());
        arena.map(ManuallyDrop::into_inner)
    }

    #[inline]
    fn put_back(arena: Box<TextArena>) {
        if !current(|current| current.arena.is_owned.get()) && !Self::own() {
            return;
        }
        let arena = ManuallyDrop::new(arena);
        current(|current| current.arena.arena.set(Some(arena)));
    }

    /// Returns false on an ending thread, because there nothing would drop an arena.
    #[cold]
    fn own() -> bool {
        let is_owned = DROP_ARENA.try_with(|_| ()).is_ok();
        current(|current| current.arena.is_owned.set(is_owned));
        is_owned
    }
}

/// A thread keeps at most this much memory for texts, and as much for bytes.
const MAX_RETAINED_LEN: usize = 16 * 1024;

impl TextArena {
    /// Takes the arena of the thread. The first call, a call inside another event and a call on an
    /// ending thread return a new arena.
    pub(super) fn take() -> Box<Self> {
        RetainedArena::take().unwrap_or_default()
    }

    pub(super) fn put_back(mut self: Box<Self>) {
        if self.text.capacity() <= MAX_RETAINED_LEN && self.bytes.capacity() <= MAX_RETAINED_LEN {
            self.text.clear();
            self.bytes.clear();
            self.errors.clear();
            RetainedArena::put_back(self);
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

    /// Returns the index of the error.
    pub(super) fn push_error(&mut self, error: Box<dyn Error>) -> usize {
        self.errors.push(error);
        self.errors.len() - 1
    }

    /// Formats and redacts `value`. Also returns whether the value is nested JSON.
    pub(super) fn format(
        &mut self,
        key: &str,
        value: &dyn fmt::Debug,
        policy: &dyn Redact,
    ) -> (ByteRange, bool) {
        let start = self.text.len();
        let reads = policy.reads_text();
        let limit = if reads {
            <dyn Redact>::MAX_COLLECT_LEN
        } else {
            usize::MAX
        };
        let value = format_args!("{value:?}");
        let formatted = panic_safe::format_value_into(&mut self.text, value, limit);
        let text = &self.text[start..];
        let replacement = reads.then(|| policy.replacement_for(Some(key), text));
        if let Some(replacement) = replacement.flatten() {
            self.text.truncate(start);
            self.text.push_str(&replacement);
        }
        let end = self.text.len();
        (ByteRange { start, end }, formatted.is_json)
    }
}

impl ByteRange {
    fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

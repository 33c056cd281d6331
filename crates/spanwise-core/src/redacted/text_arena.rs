//! Reusable memory for the copied texts, bytes and errors of one event.

use std::{cell::Cell, error::Error, fmt, mem::ManuallyDrop, ops::Range};

use tracing_core::field::Value;

use super::with_state;
use crate::{Redact, internal::panic_safe, redact::MAX_UNREAD_LEN};

/// The copied texts, bytes and errors of the values of one event, span or record. The thread reuses
/// the memory for the next one.
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

/// The arena of a thread, while no event uses it. It is part of the thread's state, which has no
/// destructor, so [`DROP_ARENA`] drops it.
pub(super) struct RetainedArena {
    arena: Cell<Option<ManuallyDrop<Box<TextArena>>>>,
    /// Whether [`DROP_ARENA`] will drop the arena when the thread ends.
    has_destructor: Cell<bool>,
}

thread_local! {
    /// Each thread accesses it only once, to register its destructor.
    static DROP_ARENA: DropArena = const { DropArena };
}

/// Drops the arena when the thread ends.
struct DropArena;

impl Drop for DropArena {
    fn drop(&mut self) {
        with_state(|state| state.arena.has_destructor.set(false));
        drop(RetainedArena::take());
    }
}

impl RetainedArena {
    pub(super) const fn new() -> Self {
        Self {
            arena: Cell::new(None),
            has_destructor: Cell::new(false),
        }
    }

    #[inline]
    fn take() -> Option<Box<TextArena>> {
        let arena = with_state(|state| state.arena.arena.take());
        arena.map(ManuallyDrop::into_inner)
    }

    #[inline]
    fn put_back(arena: Box<TextArena>) {
        if !with_state(|state| state.arena.has_destructor.get()) && !Self::register_destructor() {
            return;
        }
        let arena = ManuallyDrop::new(arena);
        let replaced = with_state(|state| state.arena.arena.replace(Some(arena)));
        if let Some(replaced) = replaced {
            Self::drop_replaced(replaced);
        }
    }

    /// Drops the arena of a nested event, which was put back before the arena of the outer event.
    #[cold]
    fn drop_replaced(arena: ManuallyDrop<Box<TextArena>>) {
        drop(ManuallyDrop::into_inner(arena));
    }

    /// Makes the end of the thread drop the arena. Returns false if the thread is already ending,
    /// so that nothing would drop it.
    #[cold]
    fn register_destructor() -> bool {
        let has_destructor = DROP_ARENA.try_with(|_| ()).is_ok();
        with_state(|state| state.arena.has_destructor.set(has_destructor));
        has_destructor
    }
}

/// A thread keeps at most this many bytes of memory for texts, and as many for byte slices.
const MAX_RETAINED_LEN: usize = 16 * 1024;

impl TextArena {
    /// Takes the arena of the thread. Returns a new one for the first event of the thread, for an
    /// event that a value logs, and on an ending thread.
    pub(super) fn take() -> Box<Self> {
        RetainedArena::take().unwrap_or_default()
    }

    /// Clears the arena and gives it to the thread. If it has become too large, drops it.
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

    /// Stores an error, and returns its index.
    pub(super) fn push_error(&mut self, error: Box<dyn Error>) -> usize {
        self.errors.push(error);
        self.errors.len() - 1
    }

    /// Formats, redacts and stores `value`. Also returns whether the value is nested JSON.
    pub(super) fn format(
        &mut self,
        key: &str,
        value: &dyn fmt::Debug,
        policy: &dyn Redact,
    ) -> (ByteRange, bool) {
        let start = self.text.len();
        let reads_text = policy.reads_text();
        let limit = if reads_text {
            <dyn Redact>::MAX_COLLECT_LEN
        } else {
            MAX_UNREAD_LEN
        };
        let value = format_args!("{value:?}");
        let formatted = panic_safe::format_value_into(&mut self.text, value, limit);
        let text = &self.text[start..];
        let replacement = reads_text.then(|| policy.replacement_for(Some(key), text));
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

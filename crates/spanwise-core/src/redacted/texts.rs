//! Memory for the texts of values.

use std::{cell::Cell, error::Error, fmt, ops::Range};

use tracing_core::field::Value;

use super::values::Slot;
use crate::{Redact, panic_safe};

/// The texts, bytes and errors of one event's values, in memory that the next event of this thread uses again.
#[derive(Default)]
pub(super) struct Texts {
    text: String,
    bytes: Vec<u8>,
    errors: Vec<Box<dyn Error>>,
}

/// Where a text or bytes are among the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    start: usize,
    end: usize,
}

thread_local! {
    static TEXTS: Cell<Option<Box<Texts>>> = const { Cell::new(None) };
}

/// A thread keeps no more memory than this, twice.
const KEPT: usize = 16 * 1024;

impl Texts {
    /// The thread's, or empty ones the first time, while it is inside of another event, and when it ends.
    pub(super) fn take() -> Box<Self> {
        let kept = TEXTS.try_with(Cell::take).ok().flatten();
        kept.unwrap_or_default()
    }

    pub(super) fn put_back(mut self: Box<Self>) {
        if self.text.capacity() <= KEPT && self.bytes.capacity() <= KEPT {
            self.text.clear();
            self.bytes.clear();
            self.errors.clear();
            // At the end of the thread there is nowhere to put them.
            let _ = TEXTS.try_with(|texts| texts.set(Some(self)));
        }
    }

    pub(super) fn text(&self, place: Place) -> &str {
        &self.text[place.range()]
    }

    pub(super) fn bytes(&self, place: Place) -> &[u8] {
        &self.bytes[place.range()]
    }

    pub(super) fn error(&self, index: usize) -> &dyn Value {
        &self.errors[index]
    }

    pub(super) fn push(&mut self, text: &str) -> Place {
        let start = self.text.len();
        self.text.push_str(text);
        let end = self.text.len();
        Place { start, end }
    }

    pub(super) fn push_bytes(&mut self, bytes: &[u8]) -> Place {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let end = self.bytes.len();
        Place { start, end }
    }

    pub(super) fn push_error(&mut self, error: Box<dyn Error>) -> Slot {
        self.errors.push(error);
        Slot::Error(self.errors.len() - 1)
    }

    /// As much of what `value` writes as `policy` shows.
    pub(super) fn format(
        &mut self,
        key: &str,
        value: &dyn fmt::Debug,
        policy: &dyn Redact,
    ) -> Slot {
        let start = self.text.len();
        let value = format_args!("{value:?}");
        let limit = if policy.reads_text() {
            <dyn Redact>::COLLECTED
        } else {
            usize::MAX
        };
        let appended = panic_safe::append_value(&mut self.text, value, limit);
        let text = &self.text[start..];
        let reads = policy.reads_text();
        if let Some(shown) = reads.then(|| policy.instead_of(Some(key), text)).flatten() {
            self.text.truncate(start);
            self.text.push_str(&shown);
        }
        let end = self.text.len();
        let place = Place { start, end };
        if appended.is_json {
            Slot::Json(place)
        } else {
            Slot::Debug(place)
        }
    }
}

impl Place {
    fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

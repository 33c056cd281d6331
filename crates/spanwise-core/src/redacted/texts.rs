//! Memory for the texts of values.

use std::{cell::Cell, fmt, ops::Range, ptr};

use super::values::Slot;
use crate::{Redact, guarded, redact::BUDGET};

/// The texts and bytes of one event's values, in memory that the next event of this thread uses again.
#[derive(Default)]
pub(super) struct Texts {
    pub(super) text: String,
    pub(super) bytes: Vec<u8>,
}

thread_local! {
    static TEXTS: Cell<Texts> = const { Cell::new(Texts { text: String::new(), bytes: Vec::new() }) };
}

/// A thread keeps no more memory than this, twice.
const KEPT: usize = 16 * 1024;

impl Texts {
    /// The thread's, or empty ones while it is inside of another event, and when it ends.
    pub(super) fn take() -> Self {
        TEXTS.try_with(Cell::take).unwrap_or_default()
    }

    pub(super) fn put_back(mut self) {
        if self.text.capacity() <= KEPT && self.bytes.capacity() <= KEPT {
            self.text.clear();
            self.bytes.clear();
            // At the end of the thread there is nowhere to put them.
            let _ = TEXTS.try_with(|texts| texts.set(self));
        }
    }

    pub(super) fn push(&mut self, text: &str) -> Range<usize> {
        let start = self.text.len();
        self.text.push_str(text);
        start..self.text.len()
    }

    pub(super) fn push_bytes(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
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
        let appended = guarded::append_value(&mut self.text, value, BUDGET + 1);
        let text = &self.text[start..];
        let shown = policy.hide_value(key, text);
        if !ptr::eq(&*shown, text) {
            let shown = shown.into_owned();
            self.text.truncate(start);
            self.text.push_str(&shown);
        }
        let range = start..self.text.len();
        if appended.is_json {
            Slot::Json(range)
        } else {
            Slot::Debug(range)
        }
    }
}

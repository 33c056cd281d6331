//! Compares or hashes the value of a field as text, without a copy of the text. The formatter of a
//! value may panic, or write text without end.

use std::{
    fmt::{self, Write},
    hash::Hasher,
};

use spanwise_core::internal::panic_safe;
use tracing::Event;
use tracing_core::{Field, field::Visit};

/// At most this many bytes of a value are hashed.
const MAX_HASHED_LEN: usize = 1024;

/// Returns whether the value equals `text`, or `None` if the event does not have the field.
pub(crate) fn equals(event: &Event<'_>, field: &Field, text: &str) -> Option<bool> {
    let allows_more = false;
    compare(event, field, text, allows_more)
}

/// Returns whether the value starts with `text`, or `None` if the event does not have the field.
pub(crate) fn starts_with(event: &Event<'_>, field: &Field, text: &str) -> Option<bool> {
    let allows_more = true;
    compare(event, field, text, allows_more)
}

fn compare(event: &Event<'_>, field: &Field, text: &str, allows_more: bool) -> Option<bool> {
    let mut comparer = Comparer {
        unmatched: text,
        allows_more,
        outcome: None,
    };
    let is_complete = write_field(event, field, &mut comparer)?;
    let outcome = comparer.outcome;
    Some(outcome.unwrap_or(comparer.unmatched.is_empty() && is_complete))
}

/// Adds the text of the field to `hasher`. Returns false if the event does not have the field.
pub(crate) fn hash(event: &Event<'_>, field: &Field, hasher: &mut dyn Hasher) -> bool {
    write_field(event, field, &mut HashWriter::new(hasher)).is_some()
}

/// Adds a text to `hasher`, as [`hash`] does.
pub(crate) fn hash_text(text: &str, hasher: &mut dyn Hasher) {
    // Ignores the error, which only stops a formatter at the limit.
    let _ = HashWriter::new(hasher).write_str(text);
}

/// Writes the text of the field to `out`, in pieces. Returns `None` if the event does not have the
/// field, and `Some(false)` if the text is incomplete, because the formatter or `out` failed.
fn write_field(event: &Event<'_>, field: &Field, out: &mut dyn Write) -> Option<bool> {
    let mut reader = FieldReader {
        index: field.index(),
        out,
        is_complete: None,
    };
    event.record(&mut reader);
    reader.is_complete
}

struct FieldReader<'a> {
    /// The index of the field in the callsite.
    index: usize,
    out: &'a mut dyn Write,
    /// Whether the whole text was written. `None` if the event does not have the field.
    is_complete: Option<bool>,
}

impl Visit for FieldReader<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.index() == self.index {
            let written = panic_safe::catch_panic(|| write!(self.out, "{value:?}"));
            self.is_complete = Some(matches!(written, Some(Ok(()))));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.index() == self.index {
            self.is_complete = Some(self.out.write_str(value).is_ok());
        }
    }
}

struct Comparer<'a> {
    /// The end of the expected text, after the part that the field has matched so far.
    unmatched: &'a str,
    /// Whether the text of the field may continue after the expected text.
    allows_more: bool,
    /// Set if the outcome is certain before the end of the field.
    outcome: Option<bool>,
}

impl Write for Comparer<'_> {
    /// Fails when the outcome is certain, so that the formatter stops early.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.outcome.is_some() {
            return Err(fmt::Error);
        }
        if let Some(unmatched) = self.unmatched.strip_prefix(text) {
            self.unmatched = unmatched;
            return Ok(());
        }
        self.outcome = Some(self.allows_more && text.starts_with(self.unmatched));
        Err(fmt::Error)
    }
}

struct HashWriter<'a> {
    hasher: &'a mut dyn Hasher,
    /// The number of bytes until the limit.
    remaining_len: usize,
}

impl<'a> HashWriter<'a> {
    fn new(hasher: &'a mut dyn Hasher) -> Self {
        Self {
            hasher,
            remaining_len: MAX_HASHED_LEN,
        }
    }
}

impl Write for HashWriter<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let hashed = &text.as_bytes()[..text.len().min(self.remaining_len)];
        self.hasher.write(hashed);
        self.remaining_len -= hashed.len();
        if self.remaining_len == 0 {
            Err(fmt::Error)
        } else {
            Ok(())
        }
    }
}

//! Marks around nested JSON in the output of a `Debug`.
//!
//! The `Debug` of a value that is JSON writes an empty string before and after the JSON: the marks.
//! Their addresses are used only by this module, so a sink recognizes the JSON between them. Other
//! writers see no difference. If a writer in between does not pass on empty strings, such as the
//! adapter of `{:#?}`, the sink shows the JSON as text, which is correct.

use std::ptr;

/// The text that the marks point into. They do not point to its ends, because an empty part of an
/// adjacent text may have the same address.
static MARKS: [u8; 4] = *b"{.}\n";

/// The meaning of an empty string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// The JSON follows.
    Begin,
    /// The JSON has ended.
    End,
    /// The string is not a mark.
    None,
}

/// Returns the mark to write before the JSON.
#[must_use]
pub fn begin() -> &'static str {
    mark(1)
}

/// Returns the mark to write after the JSON.
#[must_use]
pub fn end() -> &'static str {
    mark(2)
}

fn mark(index: usize) -> &'static str {
    // An empty string is valid UTF-8.
    std::str::from_utf8(&MARKS[index..index]).unwrap_or_default()
}

/// Returns the meaning of the empty string `empty`.
#[must_use]
pub fn read_mark(empty: &str) -> Mark {
    if ptr::eq(empty.as_ptr(), begin().as_ptr()) {
        Mark::Begin
    } else if ptr::eq(empty.as_ptr(), end().as_ptr()) {
        Mark::End
    } else {
        Mark::None
    }
}

/// Observes the output of a value and decides whether the whole output is nested JSON.
#[derive(Debug, Clone, Copy, Default)]
pub struct MarkTracker(Observed);

/// The output that a [`MarkTracker`] has observed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Observed {
    #[default]
    Nothing,
    /// Some output is outside of the marks.
    Text,
    /// A begin mark, and perhaps JSON.
    UnfinishedJson,
    /// JSON between both marks.
    Json,
}

impl MarkTracker {
    /// Observes the next piece of the output.
    #[inline]
    pub fn observe(&mut self, piece: &str) {
        match (piece.is_empty(), self.0) {
            (false, Observed::Text | Observed::UnfinishedJson) => {}
            (false, Observed::Nothing | Observed::Json) => self.0 = Observed::Text,
            (true, before) => self.0 = after_mark(before, read_mark(piece)),
        }
    }

    /// Returns whether the whole output was between the marks. The JSON itself may be incomplete.
    #[must_use]
    pub fn is_json(self) -> bool {
        self.0 == Observed::Json
    }
}

fn after_mark(before: Observed, mark: Mark) -> Observed {
    match (mark, before) {
        (Mark::Begin, Observed::Nothing) => Observed::UnfinishedJson,
        (Mark::End, Observed::UnfinishedJson) => Observed::Json,
        _ => before,
    }
}

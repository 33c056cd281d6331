//! Marks around nested JSON in the output of a `Debug`.
//!
//! A value that is JSON writes an empty text before and after the JSON. The two empty texts have
//! addresses that only this module uses, so a sink recognizes the JSON between them. Other readers
//! see no difference. A foreign writer, such as the adapter of `{:#?}`, loses the marks. The
//! JSON is then shown as text, which is correct.

use std::ptr;

/// The marks point to the inside of this text, not to its ends. So no empty part of another text
/// has the same address.
static MARKS: [u8; 4] = *b"{.}\n";

/// The meaning of an empty text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// JSON follows.
    Begin,
    /// JSON ended.
    End,
    /// The text is not a mark.
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

fn mark(at: usize) -> &'static str {
    // An empty text is valid UTF-8.
    std::str::from_utf8(&MARKS[at..at]).unwrap_or_default()
}

/// Returns the meaning of the empty text `empty`.
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
pub struct MarkTracker(State);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Empty,
    /// Some output is outside of the marks.
    Text,
    Begun,
    Ended,
}

impl MarkTracker {
    /// Observes the next piece of the output.
    #[inline]
    pub fn observe(&mut self, piece: &str) {
        match (piece.is_empty(), self.0) {
            (false, State::Text | State::Begun) => {}
            (false, State::Empty | State::Ended) => self.0 = State::Text,
            (true, state) => self.0 = after_mark(state, read_mark(piece)),
        }
    }

    /// Returns whether the whole output was between the marks. The JSON itself may be incomplete.
    #[must_use]
    pub fn is_json(self) -> bool {
        self.0 == State::Ended
    }
}

fn after_mark(state: State, mark: Mark) -> State {
    match (mark, state) {
        (Mark::Begin, State::Empty) => State::Begun,
        (Mark::End, State::Begun) => State::Ended,
        (_, state) => state,
    }
}

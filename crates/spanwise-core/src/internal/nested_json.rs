//! Nested JSON among the values.
//!
//! A value that is JSON writes an empty text before and one after it. They have addresses that only this module knows: they tell a
//! sink that what stands between them is JSON and not text, and nobody else can see them. A writer that is not ours, or one that
//! stands between, such as that of `{:#?}`, loses them; then the JSON is text, which is right.

use std::ptr;

/// They point inside the static, not at its ends, so that no empty piece of a neighbouring text has their address.
static MARKS: [u8; 4] = *b"{.}\n";

/// What an empty text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// JSON follows.
    Begin,
    /// JSON ended.
    End,
    /// It is just empty.
    None,
}

/// Written before the JSON.
#[must_use]
pub fn begin() -> &'static str {
    mark(1)
}

/// Written after the JSON.
#[must_use]
pub fn end() -> &'static str {
    mark(2)
}

fn mark(at: usize) -> &'static str {
    // Empty, and so valid UTF-8.
    std::str::from_utf8(&MARKS[at..at]).unwrap_or_default()
}

/// What `empty`, an empty text, says.
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

/// Watches what a value writes, and knows in the end whether all of it is nested JSON.
#[derive(Debug, Clone, Copy, Default)]
pub struct MarkTracker(State);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Empty,
    Text,
    Begun,
    Ended,
}

impl MarkTracker {
    /// Tells of the next piece.
    #[inline]
    pub fn observe(&mut self, piece: &str) {
        match (piece.is_empty(), self.0) {
            (false, State::Text | State::Begun) => {}
            (false, State::Empty | State::Ended) => self.0 = State::Text,
            (true, state) => self.0 = after_mark(state, read_mark(piece)),
        }
    }

    /// Whether all that was seen is nested JSON, as far as its marks tell: what stands between them may be a part of it.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_differ_from_other_empty_texts() {
        assert_eq!(read_mark(begin()), Mark::Begin);
        assert_eq!(read_mark(end()), Mark::End);
        assert_eq!(read_mark(""), Mark::None);
        assert_eq!(read_mark(&"text"[4..]), Mark::None);
    }

    #[test]
    fn json_requires_marks_around_everything() {
        let check = |pieces: &[&str], expected: bool| {
            let mut tracker = MarkTracker::default();
            pieces.iter().for_each(|piece| tracker.observe(piece));
            assert_eq!(tracker.is_json(), expected, "{pieces:?}");
        };
        check(&["", begin(), "{", "", "}", end(), ""], true);
        check(&["a", begin(), "{}", end()], false);
        check(&[begin(), "{}", end(), "a"], false);
        check(&[begin(), "{}"], false);
        check(&["{}"], false);
        check(&[], false);
    }
}

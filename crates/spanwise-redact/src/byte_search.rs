//! Searches for bytes and runs of bytes, and for escapes around a position.
//!
//! A position is a byte offset in the text. All loops over a text use these functions, or report
//! the bytes that they read to [`scan_cost`], whose tests check that the scan is linear.

use crate::{byte_class::ByteClass, scan_cost};

/// Returns the end of the run of `wanted` bytes that starts at `start`.
#[inline]
pub(crate) fn run_end(text: &[u8], start: usize, wanted: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let length = rest.iter().take_while(|byte| wanted(**byte)).count();
    scan_cost::add(length + 1);
    start + length
}

/// Returns the start of the run of `wanted` bytes that ends at `end`. Reads at most `max` bytes.
#[inline]
pub(crate) fn run_start(text: &[u8], end: usize, max: usize, wanted: impl Fn(u8) -> bool) -> usize {
    let before = &text[end.saturating_sub(max)..end];
    let length = before
        .iter()
        .rev()
        .take_while(|byte| wanted(**byte))
        .count();
    scan_cost::add(length + 1);
    end - length
}

/// Returns the position of the next `byte` from `from` on.
pub(crate) fn find(text: &[u8], byte: u8, from: usize) -> Option<usize> {
    position_in_text(text, from, memchr::memchr(byte, text.get(from..)?))
}

/// Returns the position of the next of two bytes from `from` on.
pub(crate) fn find2(text: &[u8], bytes: [u8; 2], from: usize) -> Option<usize> {
    let at = memchr::memchr2(bytes[0], bytes[1], text.get(from..)?);
    position_in_text(text, from, at)
}

/// Returns the position of the next `needle` from `from` on.
pub(crate) fn find_text(text: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    position_in_text(text, from, memchr::memmem::find(text.get(from..)?, needle))
}

/// Converts a position in `text[from..]` to a position in `text`, and reports the bytes that the
/// search has read.
fn position_in_text(text: &[u8], from: usize, at: Option<usize>) -> Option<usize> {
    scan_cost::add(at.map_or(text.len() - from, |at| at + 1));
    at.map(|at| from + at)
}

/// Returns the position of the last `byte`.
pub(crate) fn rfind(text: &[u8], byte: u8) -> Option<usize> {
    let at = memchr::memrchr(byte, text);
    scan_cost::add(at.map_or(text.len(), |at| text.len() - at));
    at
}

/// Returns the number of backslashes right before `at`.
pub(crate) fn backslashes_before(text: &[u8], at: usize) -> usize {
    at - run_start(text, at, at, |byte| byte == b'\\')
}

/// Returns whether `word` is at `at`, ignoring case.
pub(crate) fn matches_at(text: &[u8], at: usize, word: &[u8]) -> bool {
    let candidate = text.get(at..at + word.len());
    candidate.is_some_and(|candidate| candidate.eq_ignore_ascii_case(word))
}

/// Returns whether the text ends with `word`, ignoring case.
pub(crate) fn ends_with_word(text: &[u8], word: &[u8]) -> bool {
    let at = text.len().checked_sub(word.len());
    at.is_some_and(|at| matches_at(text, at, word))
}

/// Returns whether `part` is anywhere in the text, ignoring case.
pub(crate) fn contains_text(text: &[u8], part: &[u8]) -> bool {
    scan_cost::add(text.len());
    text.windows(part.len())
        .any(|window| window.eq_ignore_ascii_case(part))
}

/// Returns the start of the character that contains `at`.
pub(crate) fn char_start(text: &str, at: usize) -> usize {
    let is_start = |back: &usize| text.is_char_boundary(at - back);
    at - (0..4).find(is_start).unwrap_or(0)
}

/// Returns the end of the character that contains `at`, or `at` if it is between two characters.
pub(crate) fn char_end(text: &str, at: usize) -> usize {
    let is_end = |ahead: &usize| text.is_char_boundary(at + ahead);
    at + (0..4).find(is_end).unwrap_or(0)
}

/// Returns the quote at `at`, which backslashes may precede, and the position after it. The quote
/// is its byte and the number of these backslashes.
pub(crate) fn quote_at(text: &[u8], at: usize) -> Option<((u8, usize), usize)> {
    let mark_at = run_end(text, at, |byte| byte == b'\\');
    let mark = text
        .get(mark_at)
        .filter(|mark| matches!(mark, b'"' | b'\''))?;
    Some(((*mark, mark_at - at), mark_at + 1))
}

/// Returns the rest of the line from `from` on, at most `max` bytes.
pub(crate) fn line_from(text: &[u8], from: usize, max: usize) -> &[u8] {
    let rest = &text[from.min(text.len())..text.len().min(from + max)];
    let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    let line = &rest[..end.unwrap_or(rest.len())];
    scan_cost::add(line.len() + 1);
    line
}

/// Returns whether a word may begin or end at `at`, because `at` is not between two characters of a
/// word, or because an escape such as `\n` ends there.
#[inline]
pub(crate) fn is_boundary(text: &[u8], at: usize) -> bool {
    let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| ByteClass::WORD.has(*byte));
    let is_inside_word =
        is_word(text.get(at)) && is_word(at.checked_sub(1).and_then(|before| text.get(before)));
    !is_inside_word || ends_escape(text, at)
}

/// Returns whether an escape such as `\n` or `\u003c` ends at `at`.
pub(crate) fn ends_escape(text: &[u8], at: usize) -> bool {
    // The length of an escape after its backslash: one letter, or `u` and four digits.
    let has_len = |len: usize| {
        at.checked_sub(len)
            .is_some_and(|from| after_escape(text, from) == at)
    };
    has_len(1) || has_len(5)
}

/// Returns the end of the escape that contains `at`, or `at` if there is none.
pub(crate) fn out_of_escape(text: &[u8], at: usize) -> usize {
    if !text[at.saturating_sub(5)..at].contains(&b'\\') {
        return at;
    }
    let after = |back: usize| after_escape(text, at.saturating_sub(back));
    (0..5).map(after).max().unwrap_or(at)
}

/// Returns the end of the escape (`\n`, `\u003c`) whose backslash is right before `at`, or `at` if
/// there is none.
pub(crate) fn after_escape(text: &[u8], at: usize) -> usize {
    match text.get(at) {
        _ if at == 0 || text[at - 1] != b'\\' => at,
        Some(b'n' | b'r' | b't' | b'b' | b'f') => at + 1,
        Some(b'u') => match text.get(at + 1..at + 5) {
            Some(code) if ByteClass::HEX.has_all(code) => at + 5,
            _ => at,
        },
        _ => at,
    }
}

pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0B | 0x0C)
}

/// Returns the end of the white space at `start`.
pub(crate) fn skip_space(text: &[u8], start: usize) -> usize {
    run_end(text, start, is_space)
}

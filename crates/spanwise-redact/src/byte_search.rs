//! Searches in texts, each of which reports the bytes that it reads to [`work`].

use crate::{byte_class::ByteClass, work};

/// Returns where the bytes that begin at `start` and are `wanted` end.
#[inline]
pub(crate) fn run_end(text: &[u8], start: usize, wanted: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let length = rest.iter().take_while(|byte| wanted(**byte)).count();
    work::step(length + 1);
    start + length
}

/// Returns where the bytes that end at `end` and are `wanted` begin; looks at `max` bytes at most.
#[inline]
pub(crate) fn run_start(text: &[u8], end: usize, max: usize, wanted: impl Fn(u8) -> bool) -> usize {
    let before = &text[end.saturating_sub(max)..end];
    let length = before
        .iter()
        .rev()
        .take_while(|byte| wanted(**byte))
        .count();
    work::step(length + 1);
    end - length
}

/// Returns the place of the next `byte` from `from` on.
pub(crate) fn find(text: &[u8], byte: u8, from: usize) -> Option<usize> {
    found(text, from, memchr::memchr(byte, text.get(from..)?))
}

/// Returns the place of the next of two bytes from `from` on.
pub(crate) fn find2(text: &[u8], bytes: [u8; 2], from: usize) -> Option<usize> {
    found(
        text,
        from,
        memchr::memchr2(bytes[0], bytes[1], text.get(from..)?),
    )
}

/// Returns the place of the next `needle` from `from` on.
pub(crate) fn find_text(text: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    found(text, from, memchr::memmem::find(text.get(from..)?, needle))
}

fn found(text: &[u8], from: usize, at: Option<usize>) -> Option<usize> {
    work::step(at.map_or(text.len() - from, |at| at + 1));
    at.map(|at| from + at)
}

/// Returns the place of the last `byte` of `text`.
pub(crate) fn rfind(text: &[u8], byte: u8) -> Option<usize> {
    let at = memchr::memrchr(byte, text);
    work::step(at.map_or(text.len(), |at| text.len() - at));
    at
}

/// Returns how many backslashes end at `at`.
pub(crate) fn backslashes_before(text: &[u8], at: usize) -> usize {
    at - run_start(text, at, at, |byte| byte == b'\\')
}

/// Returns whether `text` has `word` at `at`, in any case.
pub(crate) fn matches_at(text: &[u8], at: usize, word: &[u8]) -> bool {
    let there = text.get(at..at + word.len());
    there.is_some_and(|there| there.eq_ignore_ascii_case(word))
}

/// Returns the text of `text` from `from` on that is on the same line, `max` bytes at most.
pub(crate) fn line_from(text: &[u8], from: usize, max: usize) -> &[u8] {
    let rest = &text[from.min(text.len())..text.len().min(from + max)];
    let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    let line = &rest[..end.unwrap_or(rest.len())];
    work::step(line.len() + 1);
    line
}

/// True if no word goes on over `at`: `\b` before or after a word character there.
#[inline]
pub(crate) fn is_boundary(text: &[u8], at: usize) -> bool {
    let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| ByteClass::WORD.has(*byte));
    let goes_on =
        is_word(text.get(at)) && is_word(at.checked_sub(1).and_then(|before| text.get(before)));
    !goes_on || ends_escape(text, at)
}

/// True if a character that is written out, such as `\n` or `\u003c`, ends at `at`.
pub(crate) fn ends_escape(text: &[u8], at: usize) -> bool {
    let begins = |back: usize| {
        at.checked_sub(back)
            .is_some_and(|from| after_escape(text, from) == at)
    };
    begins(1) || begins(5)
}

/// `at`, or the place after a character that is written out, if that goes on over `at`.
pub(crate) fn out_of_escape(text: &[u8], at: usize) -> usize {
    let after = |back: usize| after_escape(text, at.saturating_sub(back));
    (0..5).map(after).max().unwrap_or(at)
}

/// The place after a character that is written out, such as `\n` or `\u003c`, if what follows its
/// backslash is at `at`; or `at`.
pub(crate) fn after_escape(text: &[u8], at: usize) -> usize {
    match text.get(at) {
        _ if at == 0 || text[at - 1] != b'\\' => at,
        Some(b'n' | b'r' | b't' | b'b' | b'f') => at + 1,
        Some(b'u') => match text.get(at + 1..at + 5) {
            Some(code) if code.iter().all(|byte| ByteClass::HEX.has(*byte)) => at + 5,
            _ => at,
        },
        _ => at,
    }
}

pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0B | 0x0C)
}

/// The place after the white space at `start`.
pub(crate) fn skip_space(text: &[u8], start: usize) -> usize {
    run_end(text, start, is_space)
}

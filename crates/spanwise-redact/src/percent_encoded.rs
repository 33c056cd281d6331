//! Percent-encoded pairs, as in a URL inside a URL: `password%3Dx%26user%3Dada`.
//!
//! The text may be encoded several times, and may be JSON. A *code* is a percent-encoded character.

use crate::{
    byte_class::ByteClass,
    byte_search::{find, is_space, run_end, run_start},
    normalized_key::MAX_KEY_LEN,
    word_lists::contains_word,
};

/// A key before an encoded `=` or `:`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EncodedPair<'t> {
    pub(crate) key: &'t str,
    /// The end of the encoded `=` or `:`.
    separator_end: usize,
}

impl EncodedPair<'_> {
    /// Returns the start and the end of the value. Call this only if a rule hides the key, because
    /// it reads the whole value.
    pub(crate) fn value(&self, text: &str) -> (usize, usize) {
        let bytes = text.as_bytes();
        let mut start = self.separator_end;
        while let Some(next) = end_of_code_in(bytes, start, &["22", "27", "20", "5B", "7B"]) {
            start = next;
        }
        (start, end_of_value(bytes, start))
    }
}

/// Returns the next pair from `*at` on, and moves `*at` into the code of its separator.
pub(crate) fn next<'t>(text: &'t str, at: &mut usize) -> Option<EncodedPair<'t>> {
    let bytes = text.as_bytes();
    loop {
        let percent_at = find(bytes, b'%', *at)?;
        *at = percent_at + 1;
        let Some(separator_end) = end_of_code_in(bytes, percent_at, &["3D", "3A"]) else {
            continue;
        };
        // The quote or bracket after a key is also encoded.
        let mut end = percent_at;
        let near = &bytes[end.saturating_sub(8)..end];
        let mark_at = near
            .iter()
            .rposition(|byte| *byte == b'%')
            .map(|at| end - near.len() + at);
        if let Some(mark_at) = mark_at
            && end_of_code_in(bytes, mark_at, &["22", "27", "5D"]) == Some(end)
        {
            end = mark_at;
        }
        let mut start = ByteClass::KEY.run_start(bytes, end, MAX_KEY_LEN);
        // In `%26password`, the digits of the code do not belong to the key.
        if start > 0 && bytes[start - 1] == b'%' {
            start =
                run_end(&bytes[..end], start, |byte| byte == b'2' || byte == b'5').min(start + 4);
            let code_at = run_start(bytes, start, 8, |byte| byte != b'%') - 1;
            start = end_of_code(bytes, code_at).min(end);
        }
        let Some(key) = text.get(start..end).filter(|key| !key.is_empty()) else {
            continue;
        };
        return Some(EncodedPair { key, separator_end });
    }
}

/// Returns the end of the code at `at` if its last two digits are one of `wanted`. So `%3D` and
/// `%253D` are both `3D`.
fn end_of_code_in(text: &[u8], at: usize, wanted: &[&str]) -> Option<usize> {
    (text.get(at) == Some(&b'%')).then_some(())?;
    let end = end_of_code(text, at);
    contains_word(wanted, text.get(end - 2..end)?).then_some(end)
}

/// Returns the end of the code at `at`, which may be encoded several times: `%252526`.
fn end_of_code(text: &[u8], at: usize) -> usize {
    let mut digits_at = at + 1;
    while text.get(digits_at..digits_at + 2) == Some(b"25") {
        digits_at += 2;
    }
    digits_at + 2
}

/// Returns the end of the value: white space, or a separator or closing mark, plain or encoded.
fn end_of_value(text: &[u8], start: usize) -> usize {
    let mut at = start;
    loop {
        at = run_end(text, at, |byte| {
            !is_space(byte) && !b"%&\"'<>#\\".contains(&byte)
        });
        let separators = ["26", "22", "3B", "0A", "0D", "2C", "7D", "5D"];
        if text.get(at) != Some(&b'%') || end_of_code_in(text, at, &separators).is_some() {
            return at;
        }
        at += 1;
    }
}

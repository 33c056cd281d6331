//! Sets of ASCII characters, searches for bytes, and the characters around a place in a text.
//!
//! All loops over a text go through these functions or report their bytes to [`work`] themselves.

use crate::work;

/// A set of the characters that secrets are made of; every other byte is in none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteClass(u16);

impl ByteClass {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const HEX: Self = Self(LOWER_HEX | UPPER_HEX | DIGIT);
    pub(crate) const LOWER_HEX: Self = Self(LOWER_HEX | DIGIT);
    pub(crate) const ALPHA: Self = Self(LOWER_HEX | LOWER | UPPER_HEX | UPPER);
    pub(crate) const ALNUM: Self = Self(Self::ALPHA.0 | DIGIT);
    pub(crate) const UPPER_ALNUM: Self = Self(UPPER_HEX | UPPER | DIGIT);
    /// `\w`
    pub(crate) const WORD: Self = Self(Self::ALNUM.0 | UNDERSCORE);
    pub(crate) const ALNUM_DASH: Self = Self(Self::ALNUM.0 | DASH);
    /// What base64url is written in.
    pub(crate) const BASE64URL: Self = Self(Self::WORD.0 | DASH);
    pub(crate) const BASE64URL_DOT: Self = Self(Self::BASE64URL.0 | DOT);
    pub(crate) const BASE64: Self = Self(Self::ALNUM.0 | PLUS | SLASH);
    pub(crate) const BASE64_PADDED: Self = Self(Self::BASE64.0 | EQUALS);
    pub(crate) const BASE64_ANY: Self = Self(Self::BASE64.0 | UNDERSCORE);
    pub(crate) const BASE64_ANY_PADDED: Self = Self(Self::BASE64_ANY.0 | EQUALS);
    pub(crate) const PATH: Self = Self(Self::BASE64.0 | UNDERSCORE | DASH);
    pub(crate) const SENDGRID: Self = Self(Self::BASE64URL_DOT.0 | EQUALS);
    /// `token68` of RFC 7235, without the padding.
    pub(crate) const TOKEN68: Self = Self(Self::PATH.0 | DOT | TILDE);
    /// What the name before an `=` is made of.
    pub(crate) const KEY: Self = Self(Self::BASE64URL_DOT.0);
    pub(crate) const LOCAL_PART: Self = Self(Self::BASE64URL_DOT.0 | PLUS | PERCENT);
    pub(crate) const DIGIT: Self = Self(DIGIT);
    pub(crate) const LOWER_ALNUM: Self = Self(LOWER_HEX | LOWER | DIGIT);
    pub(crate) const UPPER_ALNUM_DOT: Self = Self(Self::UPPER_ALNUM.0 | DOT);
    pub(crate) const HEX_DASH: Self = Self(Self::HEX.0 | DASH);
    /// What a part of the path of a URL is made of.
    pub(crate) const PATH_PART: Self = Self(Self::BASE64URL_DOT.0 | TILDE | PERCENT);
    pub(crate) const PATH_REST: Self = Self(Self::PATH.0 | AT);
    pub(crate) const TWITTER: Self = Self(Self::ALNUM.0 | PERCENT);
    /// What hashes of passwords are written in.
    pub(crate) const CRYPT: Self = Self(Self::BASE64_PADDED.0 | DOT | DOLLAR);
    pub(crate) const IPV6: Self = Self(Self::HEX.0 | COLON | DOT);

    #[inline]
    pub(crate) const fn has(self, byte: u8) -> bool {
        CLASS[byte as usize] & self.0 != 0
    }

    /// Where the characters of this set that begin at `start` end.
    #[inline]
    pub(crate) fn run_end(self, text: &[u8], start: usize) -> usize {
        run_end(text, start, |byte| self.has(byte))
    }

    /// Where the characters of this set that end at `end` begin, `most` of them at most.
    #[inline]
    pub(crate) fn run_start(self, text: &[u8], end: usize, most: usize) -> usize {
        run_start(text, end, most, |byte| self.has(byte))
    }
}

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

const LOWER_HEX: u16 = 1;
const LOWER: u16 = 1 << 1;
const UPPER_HEX: u16 = 1 << 2;
const UPPER: u16 = 1 << 3;
const DIGIT: u16 = 1 << 4;
const UNDERSCORE: u16 = 1 << 5;
const DASH: u16 = 1 << 6;
const DOT: u16 = 1 << 7;
const PLUS: u16 = 1 << 8;
const SLASH: u16 = 1 << 9;
const EQUALS: u16 = 1 << 10;
const TILDE: u16 = 1 << 11;
const PERCENT: u16 = 1 << 12;
const COLON: u16 = 1 << 13;
const DOLLAR: u16 = 1 << 14;
const AT: u16 = 1 << 15;

static CLASS: [u16; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = match byte as u8 {
            b'a'..=b'f' => LOWER_HEX,
            b'g'..=b'z' => LOWER,
            b'A'..=b'F' => UPPER_HEX,
            b'G'..=b'Z' => UPPER,
            b'0'..=b'9' => DIGIT,
            b'_' => UNDERSCORE,
            b'-' => DASH,
            b'.' => DOT,
            b'+' => PLUS,
            b'/' => SLASH,
            b'=' => EQUALS,
            b'~' => TILDE,
            b'%' => PERCENT,
            b':' => COLON,
            b'$' => DOLLAR,
            b'@' => AT,
            _ => 0,
        };
        byte += 1;
    }
    class
};

//! Decides whether a punctuation mark inside a value ends the value.

use spanwise_core::REDACTED;

use crate::{
    byte_class::ByteClass,
    byte_search::{is_space, run_end},
    normalized_key::MAX_KEY_LEN,
    scan_cost,
};

/// The role of a mark in a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Boundary {
    End,
    /// The value continues. The next mark may be at this position.
    Continue(usize),
}

impl Boundary {
    /// Decides by the text after the mark at `at`.
    pub(crate) fn after_mark(text: &[u8], at: usize) -> Self {
        match text[at] {
            b'"' | b'\'' => {
                // The quote begins the value of another key.
                let opens = at > 0 && matches!(text[at - 1], b'=' | b':' | b'>');
                Self::end_if(opens || !goes_on(text, at + 1), at + 1)
            }
            b'<' => Self::end_if(is_end_tag(text, at), at + 1),
            // The bracket belongs to a redacted value.
            b']' if text[..=at].ends_with(REDACTED.as_bytes()) => Self::Continue(at + 1),
            b')' | b']' | b'}' | b'>' | b'`' => {
                let after = run_end(text, at, |byte| b")]}>`".contains(&byte));
                Self::after_bracket(text, after)
            }
            b'\\' => {
                let after = run_end(text, at, |byte| byte == b'\\');
                match text.get(after) {
                    // The quote of a nested string, or a quote inside the value.
                    Some(b'"' | b'\'') => Self::after_mark(text, after),
                    _ => Self::end_if(is_escape(text, after), after),
                }
            }
            b',' | b';' | b'&' => Self::end_if(is_separator(text, at), at + 1),
            _ => Self::Continue(at + 1),
        }
    }

    /// Decides by the text after a quote. If a word follows, the value continues.
    pub(crate) fn after_quote(text: &[u8], at: usize) -> Self {
        Self::end_if(!goes_on(text, at + 1), at + 1)
    }

    fn end_if(ends: bool, next: usize) -> Self {
        if ends {
            Self::End
        } else {
            Self::Continue(next)
        }
    }

    /// Decides by the text after brackets. The value continues if a word follows the marks, or if
    /// the marks do not end a sentence.
    fn after_bracket(text: &[u8], after: usize) -> Self {
        // `after_mark` decides about these marks.
        let is_own = |byte: u8| b",;&<\\\"'".contains(&byte);
        let marks = run_end(text, after, |byte| {
            byte.is_ascii_punctuation() && byte != b'_' && !is_own(byte)
        });
        let is_word = |byte: u8| ByteClass::WORD.has(byte) || !byte.is_ascii();
        let ends = match text.get(marks) {
            Some(byte) if is_own(*byte) => Self::after_mark(text, marks) == Self::End,
            Some(byte) => !is_word(*byte),
            None => true,
        };
        Self::end_if(ends && ends_sentence(&text[after..marks]), marks)
    }
}

/// Returns whether marks after a bracket end a sentence: one or a few of one kind, with brackets
/// between them: `.`, `...`, `?)`.
fn ends_sentence(marks: &[u8]) -> bool {
    const MAX_MARKS: usize = 3;
    let marks = marks.iter().filter(|byte| !b")]}>`".contains(byte));
    let first = marks.clone().next();
    first.is_none_or(|first| b".,;:!?".contains(first))
        && marks.clone().all(|byte| Some(byte) == first)
        && marks.count() <= MAX_MARKS
}

/// Returns whether a word is at `at`, or a mark that does not begin another part.
fn goes_on(text: &[u8], at: usize) -> bool {
    text.get(at).is_some_and(|byte| {
        ByteClass::WORD.has(*byte) || !byte.is_ascii() || b"@$%!#*+~^=".contains(byte)
    })
}

/// Returns whether `</name>` is at `at` and `<name` shortly before it. A password may contain
/// `</name>` alone.
fn is_end_tag(text: &[u8], at: usize) -> bool {
    const MAX_NAME_LEN: usize = 64;
    const MAX_ELEMENT_LEN: usize = 512;
    let near = &text[..text.len().min(at + MAX_NAME_LEN)];
    if near.get(at + 1) != Some(&b'/') {
        return false;
    }
    let end = run_end(near, at + 2, |byte| {
        ByteClass::KEY.has(byte) || byte == b':'
    });
    let name = &near[at + 2..end];
    let before = &text[at.saturating_sub(MAX_ELEMENT_LEN)..at];
    scan_cost::add(before.len());
    let is_start = |tag: usize| before[..tag].ends_with(b"<");
    near.get(end) == Some(&b'>')
        && !name.is_empty()
        && memchr::memmem::find_iter(before, name).any(is_start)
}

/// Returns whether the value ends at the backslashes before `at`. It does at an escape such as
/// `\u0026`, and before white space or the end of the text.
///
/// At an escaped line break or tab, the value ends only if a space, a quote, another escape, a key
/// or the end of the text follows.
fn is_escape(text: &[u8], at: usize) -> bool {
    match text.get(at) {
        None => true,
        Some(b'n' | b'r' | b't') => match text.get(at + 1) {
            None | Some(b'\\' | b' ' | b'"' | b'\'') => true,
            _ => key_follows(text, at + 1, false),
        },
        Some(b'u') => {
            let code = text.get(at + 1..at + 5);
            code.is_some_and(|code| code.starts_with(b"00") && ByteClass::HEX.has_all(code))
        }
        Some(byte) => is_space(*byte),
    }
}

/// Returns whether the `,`, `;` or `&` at `at` separates the value from another part.
fn is_separator(text: &[u8], at: usize) -> bool {
    let spaced = text[at] == b';';
    let escaped = run_end(text, at + 1, |byte| byte == b'\\');
    match text.get(escaped) {
        None => true,
        // The quote closes the text around the pair, or opens the next key.
        Some(quote @ (b'"' | b'\'')) => {
            let name = run_end(&text[..text.len().min(escaped + 65)], escaped + 1, |byte| {
                ByteClass::KEY.has(byte) || byte == b' '
            });
            let closed = run_end(text, name, |byte| byte == b'\\');
            let end = run_end(text, closed + 1, |byte| byte == b' ');
            let is_key =
                text.get(closed) == Some(quote) && matches!(text.get(end), Some(b':' | b'='));
            is_key || Boundary::after_quote(text, escaped) == Boundary::End
        }
        Some(b'n' | b'r') if escaped > at + 1 => true,
        Some(b'`' | b')' | b']' | b'}' | b'>' | b'{' | b'[' | b'<') => {
            let marks = run_end(text, escaped, |byte| b"`)]}>{[<".contains(&byte));
            !goes_on(text, marks)
        }
        Some(byte) if is_space(*byte) => true,
        Some(_) if text[at..].starts_with(b"&amp;") => key_follows(text, at + 5, false),
        Some(_) => key_follows(text, at + 1, spaced),
    }
}

/// Returns whether a key with its separator is at `at`. In a connection string, the key may contain
/// spaces.
pub(crate) fn key_follows(text: &[u8], at: usize, spaced: bool) -> bool {
    let near = &text[..text.len().min(at + MAX_KEY_LEN)];
    let is_part = |byte: u8| ByteClass::KEY.has(byte) || matches!(byte, b'[' | b']');
    let begun = at + usize::from(matches!(near.get(at), Some(b'$' | b'@')));
    let mut name = run_end(near, begun, is_part);
    // `User ID`, `Initial Catalog`: words with a capital each.
    if spaced && near.get(name) == Some(&b' ') {
        let words = run_end(near, name, |byte| {
            byte.is_ascii_alphabetic() || byte == b' '
        });
        let is_word = |word: &[u8]| word.first().is_some_and(u8::is_ascii_uppercase);
        let all = near[at..words].trim_ascii_end().split(|byte| *byte == b' ');
        if near[at..words].is_ascii() && all.clone().all(is_word) {
            name = words;
        }
    }
    let end = run_end(near, name, |byte| byte == b' ');
    let is_encoded = || {
        let code = near.get(end..end + 3);
        code.is_some_and(|code| {
            code.eq_ignore_ascii_case(b"%3D") || code.eq_ignore_ascii_case(b"%5B")
        })
    };
    let is_separator = |byte: &u8| *byte == b'=' || *byte == b':' && begun == at;
    name > begun && (near.get(end).is_some_and(is_separator) || is_encoded())
}

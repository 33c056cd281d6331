//! Decides whether a punctuation mark ends an unquoted value, as the `,` of `password=a,b` may do.
//!
//! A password may contain any mark. So a mark ends the value only if the text after the mark is
//! plausible as a new part, such as the next key. Positions and lengths are in bytes.

use spanwise_core::REDACTED;

use crate::{
    byte_class::ByteClass,
    byte_search::{is_space, run_end},
    normalized_key::MAX_KEY_LEN,
    scan_cost,
};

/// The role of a punctuation mark: the end of a value, or a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Boundary {
    /// The value ends before the mark.
    End,
    /// The value continues. Search for the next mark from this position.
    Continue(usize),
}

impl Boundary {
    /// Decides whether the value ends at the mark at `at`, by the text before and after the mark.
    pub(crate) fn at_mark(text: &[u8], at: usize) -> Self {
        match text[at] {
            b'"' | b'\'' => {
                // The quote may begin the value of another key.
                let opens_value = at > 0 && matches!(text[at - 1], b'=' | b':' | b'>');
                Self::end_if(opens_value || !value_goes_on(text, at + 1), at + 1)
            }
            b'<' => Self::end_if(is_end_tag(text, at), at + 1),
            // The bracket belongs to a redacted value.
            b']' if text[..=at].ends_with(REDACTED.as_bytes()) => Self::Continue(at + 1),
            b')' | b']' | b'}' | b'>' | b'`' => {
                let brackets_end = run_end(text, at, |byte| b")]}>`".contains(&byte));
                Self::after_brackets(text, brackets_end)
            }
            b'\\' => {
                let after_slashes = run_end(text, at, |byte| byte == b'\\');
                match text.get(after_slashes) {
                    // The quote of a nested string, or a quote inside the value.
                    Some(b'"' | b'\'') => Self::at_mark(text, after_slashes),
                    _ => Self::end_if(ends_at_backslashes(text, after_slashes), after_slashes),
                }
            }
            b',' | b';' | b'&' => Self::end_if(is_separator(text, at), at + 1),
            _ => Self::Continue(at + 1),
        }
    }

    /// Decides about the quote at `at`. The value continues if a word character, a non-ASCII
    /// character, or one of `@$%!#*+~^=` follows the quote.
    pub(crate) fn at_quote(text: &[u8], at: usize) -> Self {
        Self::end_if(!value_goes_on(text, at + 1), at + 1)
    }

    fn end_if(ends: bool, next: usize) -> Self {
        if ends {
            Self::End
        } else {
            Self::Continue(next)
        }
    }

    /// Decides about the brackets that end at `brackets_end`, by the further marks that follow the
    /// brackets, and by the text after these marks.
    ///
    /// The value continues if the further marks cannot end a sentence, or if a word follows them.
    /// If one of `,;&<\"'` follows them, the value ends only if it would end at that mark: see
    /// [`at_mark`](Self::at_mark).
    fn after_brackets(text: &[u8], brackets_end: usize) -> Self {
        // The marks other than brackets for which `at_mark` has a rule.
        let has_rule = |byte: u8| b",;&<\\\"'".contains(&byte);
        let marks_end = run_end(text, brackets_end, |byte| {
            byte.is_ascii_punctuation() && byte != b'_' && !has_rule(byte)
        });
        let is_word_byte = |byte: u8| ByteClass::WORD.has(byte) || !byte.is_ascii();
        let ends = match text.get(marks_end) {
            Some(byte) if has_rule(*byte) => Self::at_mark(text, marks_end) == Self::End,
            Some(byte) => !is_word_byte(*byte),
            None => true,
        };
        let marks = &text[brackets_end..marks_end];
        Self::end_if(ends && may_end_sentence(marks), marks_end)
    }
}

/// Returns whether these marks may end a sentence: at most three equal marks of `.:!?`, such as
/// `.`, `...` or `?)`. Brackets are ignored. Returns true if there are no marks.
fn may_end_sentence(marks: &[u8]) -> bool {
    const MAX_MARKS: usize = 3;
    let marks = marks.iter().filter(|byte| !b")]}>`".contains(byte));
    let first = marks.clone().next();
    first.is_none_or(|first| b".:!?".contains(first))
        && marks.clone().all(|byte| Some(byte) == first)
        && marks.count() <= MAX_MARKS
}

/// Returns whether the character at `at` continues a value: a word character, a non-ASCII
/// character, or one of the marks that occur inside passwords (`@$%!#*+~^=`).
fn value_goes_on(text: &[u8], at: usize) -> bool {
    text.get(at).is_some_and(|byte| {
        ByteClass::WORD.has(*byte) || !byte.is_ascii() || b"@$%!#*+~^=".contains(byte)
    })
}

/// Returns whether the end tag `</name>` is at `at`, and `<name` is shortly before it. Without the
/// `<name`, the end tag may be part of a password.
fn is_end_tag(text: &[u8], at: usize) -> bool {
    const MAX_NAME_LEN: usize = 64;
    const MAX_ELEMENT_LEN: usize = 512;
    let near = &text[..text.len().min(at + MAX_NAME_LEN)];
    if near.get(at + 1) != Some(&b'/') {
        return false;
    }
    let name_end = run_end(near, at + 2, |byte| {
        ByteClass::KEY.has(byte) || byte == b':'
    });
    let name = &near[at + 2..name_end];
    let before = &text[at.saturating_sub(MAX_ELEMENT_LEN)..at];
    scan_cost::add(before.len());
    let is_in_start_tag = |name_at: usize| before[..name_at].ends_with(b"<");
    near.get(name_end) == Some(&b'>')
        && !name.is_empty()
        && memchr::memmem::find_iter(before, name).any(is_in_start_tag)
}

/// Returns whether the value ends at the backslashes whose end is `at`.
///
/// The value ends if an escape of the form `\u00XX`, white space or the end of the text follows the
/// backslashes. It also ends at an escaped line break or tab with one of these after it: a space, a
/// quote, another escape, a key, the end of the text.
fn ends_at_backslashes(text: &[u8], at: usize) -> bool {
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
    const MAX_NAME_LEN: usize = 64;
    let after_slashes = run_end(text, at + 1, |byte| byte == b'\\');
    match text.get(after_slashes) {
        None => true,
        // The quote closes the text around the key and its value, or opens the next key.
        Some(quote @ (b'"' | b'\'')) => {
            let name_start = after_slashes + 1;
            let near = &text[..text.len().min(name_start + MAX_NAME_LEN)];
            let name_end = run_end(near, name_start, |byte| {
                ByteClass::KEY.has(byte) || byte == b' '
            });
            let close_at = run_end(text, name_end, |byte| byte == b'\\');
            let after_spaces = run_end(text, close_at + 1, |byte| byte == b' ');
            let is_key = text.get(close_at) == Some(quote)
                && matches!(text.get(after_spaces), Some(b':' | b'='));
            is_key || Boundary::at_quote(text, after_slashes) == Boundary::End
        }
        Some(b'n' | b'r') if after_slashes > at + 1 => true,
        Some(b'`' | b')' | b']' | b'}' | b'>' | b'{' | b'[' | b'<') => {
            let brackets_end = run_end(text, after_slashes, |byte| b"`)]}>{[<".contains(&byte));
            !value_goes_on(text, brackets_end)
        }
        Some(byte) if is_space(*byte) => true,
        Some(_) if text[at..].starts_with(b"&amp;") => key_follows(text, at + 5, false),
        Some(_) => {
            // After `;`, the text may be a connection string.
            let may_have_spaces = text[at] == b';';
            key_follows(text, at + 1, may_have_spaces)
        }
    }
}

/// Returns whether a key with its separator is at `at`. If `may_have_spaces`, the key may be
/// several words, as in a connection string (`User ID=`).
pub(crate) fn key_follows(text: &[u8], at: usize, may_have_spaces: bool) -> bool {
    let near = &text[..text.len().min(at + MAX_KEY_LEN)];
    let is_key_byte = |byte: u8| ByteClass::KEY.has(byte) || matches!(byte, b'[' | b']');
    let name_start = at + usize::from(matches!(near.get(at), Some(b'$' | b'@')));
    let mut name_end = run_end(near, name_start, is_key_byte);
    // `User ID`, `Initial Catalog`: each word begins with a capital letter.
    if may_have_spaces && near.get(name_end) == Some(&b' ') {
        let words_end = run_end(near, name_end, |byte| {
            byte.is_ascii_alphabetic() || byte == b' '
        });
        let is_capitalized = |word: &[u8]| word.first().is_some_and(u8::is_ascii_uppercase);
        let words = near[at..words_end].trim_ascii_end();
        if words.split(|byte| *byte == b' ').all(is_capitalized) {
            name_end = words_end;
        }
    }
    let separator_at = run_end(near, name_end, |byte| byte == b' ');
    let is_encoded = || {
        let code = near.get(separator_at..separator_at + 3);
        code.is_some_and(|code| {
            code.eq_ignore_ascii_case(b"%3D") || code.eq_ignore_ascii_case(b"%5B")
        })
    };
    // `$name` and `@name` are keys only before a `=`, not before a `:`.
    let is_separator = |byte: &u8| *byte == b'=' || *byte == b':' && name_start == at;
    name_end > name_start && (near.get(separator_at).is_some_and(is_separator) || is_encoded())
}

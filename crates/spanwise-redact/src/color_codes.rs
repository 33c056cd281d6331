//! Color codes of terminals (ANSI escape sequences) around a key: `ESC [ 3 m`.
//!
//! Programs that color their output, such as `tracing-subscriber` and `jq`, write codes between a
//! key and its value. The `ESC` of a code may itself be escaped, as in JSON.
//!
//! ```text
//! code   = escape "[" { digit | ";" } ( "m" | "K" )
//! escape = ESC | "\u001b" | "\x1b" | "\u{1b}" | "\033"     ; with any number of backslashes
//! ```

use crate::{
    byte_search::{ends_with_word, is_space, matches_at, run_end, run_start},
    scan_cost,
};

/// Notations of `ESC` after a backslash.
const ESCAPES: [&[u8]; 4] = [b"u001b", b"x1b", b"u{1b}", b"033"];

pub(crate) const ESC: u8 = 0x1B;

/// The maximum number of backslashes before an escaped `ESC`, and the maximum number of bytes
/// between the `[` and the last letter of a code.
const MAX_LEN: usize = 24;

/// Returns the end of the text before the codes that end at `end`. Also skips blanks before each
/// code. Returns `end` if no code ends there.
#[inline]
pub(crate) fn before(text: &[u8], end: usize) -> usize {
    // Few keys end like a code, so most keys cost two comparisons.
    match &text[..end] {
        [.., b'[' | b';' | b'0'..=b'9', b'm' | b'K'] => before_codes(text, end),
        _ => end,
    }
}

#[cold]
fn before_codes(text: &[u8], end: usize) -> usize {
    let mut end = end;
    while end > 0 && matches!(text[end - 1], b'm' | b'K') {
        let parameters_start = run_start(text, end - 1, MAX_LEN, is_parameter);
        let Some(start) = start_of_code(text, parameters_start) else {
            break;
        };
        end = run_start(text, start, start, |byte| matches!(byte, b' ' | b'\t'));
    }
    end
}

/// Returns the end of the code whose parameters contain `at`, or `at` if there is none. A key may
/// begin after a `[`, but in `ESC[3mtoken` it begins only after the `m`.
#[inline]
pub(crate) fn after_parameters(text: &[u8], at: usize) -> usize {
    match at.checked_sub(1).map(|before| text[before]) {
        Some(b'[' | b';') => after_code_at(text, at),
        _ => at,
    }
}

#[cold]
fn after_code_at(text: &[u8], at: usize) -> usize {
    let parameters_start = run_start(text, at, MAX_LEN, is_parameter);
    let end = run_end(text, at, is_parameter);
    let is_code = matches!(text.get(end), Some(b'm' | b'K'))
        && start_of_code(text, parameters_start).is_some();
    if is_code { end + 1 } else { at }
}

/// Returns the end of the codes that begin at `start`. Also skips blanks after each code.
pub(crate) fn after(text: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(end) = end_of_code(text, at) {
        at = run_end(text, end, |byte| matches!(byte, b' ' | b'\t'));
    }
    at
}

/// Returns whether a value ends at the codes at `at`, because white space, a mark or the end of the
/// text follows them. Otherwise, the codes color only a part of the value, as those of `grep` do.
pub(crate) fn ends_value(text: &[u8], at: usize) -> bool {
    let mut end = at;
    while let Some(code_end) = end_of_code(text, end) {
        end = code_end;
    }
    let is_end = |byte: u8| is_space(byte) || b",;)]}\"'".contains(&byte);
    end > at && text.get(end).is_none_or(|byte| is_end(*byte))
}

/// Returns the text before its first code, or the whole text.
pub(crate) fn until(text: &[u8]) -> &[u8] {
    let code_start = (0..text.len()).find(|at| end_of_code(text, *at).is_some());
    scan_cost::add(text.len());
    &text[..code_start.unwrap_or(text.len())]
}

fn end_of_code(text: &[u8], start: usize) -> Option<usize> {
    let bracket_at = match *text.get(start)? {
        ESC => start + 1,
        b'\\' => {
            let near = &text[..text.len().min(start + MAX_LEN)];
            let name_at = run_end(near, start, |byte| byte == b'\\');
            let name = ESCAPES
                .iter()
                .find(|name| matches_at(text, name_at, name))?;
            name_at + name.len()
        }
        _ => return None,
    };
    let near = &text[..text.len().min(bracket_at + MAX_LEN)];
    let end = run_end(near, bracket_at + 1, is_parameter);
    let is_code = near.get(bracket_at) == Some(&b'[') && matches!(near.get(end), Some(b'm' | b'K'));
    is_code.then_some(end + 1)
}

/// Returns the start of the code whose parameters begin at `parameters_start`.
fn start_of_code(text: &[u8], parameters_start: usize) -> Option<usize> {
    match &text[..parameters_start] {
        [.., ESC, b'['] => Some(parameters_start - 2),
        [before @ .., b'['] => {
            let name = ESCAPES.iter().find(|name| ends_with_word(before, name))?;
            let name_start = before.len() - name.len();
            let start = run_start(before, name_start, MAX_LEN, |byte| byte == b'\\');
            (start < name_start).then_some(start)
        }
        _ => None,
    }
}

fn is_parameter(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b';'
}

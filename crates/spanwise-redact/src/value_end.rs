//! Finds where the value of a key ends.
//!
//! [`pair_lexer`](crate::pair_lexer) has the grammar. A value ends at its closing quote, at its
//! closing bracket, or at the character that separates pairs in its [`Notation`]. A password may
//! contain any punctuation mark. So a mark without white space around it ends the value only if
//! the text after the mark is plausible as a new part, such as the next key ([`Boundary`]).
//! Positions and lengths are in bytes.

use spanwise_core::REDACTED;

use crate::{
    byte_class::ByteClass,
    byte_search::{backslashes_before, find, find2, is_space, run_end},
    color_codes::{self, ESC},
    scan_cost,
    value_boundary::{Boundary, key_follows},
    word_lists::contains_word,
};

/// The range of a value in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ValueSpan {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// If the replacement needs quotes to keep the JSON valid: the number of backslashes before
    /// each quote.
    pub(crate) needs_quotes: Option<usize>,
}

/// A quote mark, and the number of backslashes before it, which escape the mark in a string.
pub(crate) type Quote = (u8, usize);

/// The notation around an unquoted value, which decides where the value ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notation {
    /// The query of a URL. A fragment may follow in a web URL.
    Query { is_web: bool },
    /// A member of a connection string, after a `;`. It may contain spaces.
    ConnectionString,
    /// A member of a form, after a `&`.
    Form,
    /// Any other text.
    Plain,
}

impl ValueSpan {
    /// Returns the position from which to search for the next separator. This is usually the end of
    /// the value. If the value ends with a key and its separator, it is that separator.
    pub(crate) fn next_separator_start(&self, text: &[u8]) -> usize {
        let value = text[self.start..self.end].trim_ascii_end();
        let value = value.strip_suffix(b">").unwrap_or(value);
        match value.last() {
            Some(b'=' | b':') => {
                let equal_signs = value.iter().rev().take_while(|byte| **byte == b'=');
                self.start + value.len() - equal_signs.count().max(1)
            }
            _ => self.end,
        }
    }
}

/// Returns the start of the quote that closes the string whose content begins at `start`, or the
/// end of the text. The backslashes before a quote mark belong to the quote. `slashes` is the
/// number of backslashes before the opening quote mark.
pub(crate) fn closing_quote(text: &[u8], start: usize, mark: u8, slashes: usize) -> usize {
    let mut at = start;
    while let Some(mark_at) = find(text, mark, at) {
        let slashes_before = backslashes_before(&text[start..], mark_at - start);
        // A nested string has quotes with more backslashes: `"`, `\"`, `\\\"`. A backslash in the
        // content is written as `2 * (slashes + 1)` backslashes, which do not escape a quote after
        // them. A quote with fewer backslashes than the opening quote closes an enclosing string.
        if slashes_before < slashes || slashes_before % (2 * (slashes + 1)) == slashes {
            return mark_at - slashes_before.min(slashes);
        }
        at = mark_at + 1;
    }
    text.len()
}

/// Returns the range of the value after the opening quote, which ends at `start`. A doubled quote
/// is part of the value (`'it''s'`), and so is a quote directly before a word (`'it's'`). Three
/// quotes enclose a value of several lines.
pub(crate) fn quoted(
    text: &[u8],
    start: usize,
    mark: u8,
    slashes: usize,
    open_string: Option<Quote>,
) -> (usize, usize) {
    let after_quote_at = |at: usize| {
        let after = run_end(text, at, |byte| byte == b'\\');
        (after - at == slashes && text.get(after) == Some(&mark)).then_some(after + 1)
    };
    if let Some(content_start) = after_quote_at(start).and_then(after_quote_at) {
        let mut at = content_start;
        while let Some(mark_at) = find(text, mark, at) {
            let close_start = mark_at - slashes.min(mark_at - at);
            if after_quote_at(close_start)
                .and_then(after_quote_at)
                .and_then(after_quote_at)
                .is_some()
            {
                return (content_start, close_start);
            }
            at = mark_at + 1;
        }
        return (content_start, text.len());
    }
    (
        start,
        end_of_quoted(text, start, mark, slashes, open_string),
    )
}

/// Returns the end of a value that is not in three quotes: see [`quoted`].
fn end_of_quoted(
    text: &[u8],
    start: usize,
    mark: u8,
    slashes: usize,
    open_string: Option<Quote>,
) -> usize {
    // The number of `"` strings around a value in `'`. Each doubles the backslashes of the value.
    let nesting = match open_string {
        Some((b'"', around)) if mark == b'\'' && slashes == 0 => around + 1,
        _ => 0,
    };
    let mut from = start;
    loop {
        let end = closing_quote(text, from, mark, slashes);
        if nesting > 0 && end < text.len() {
            let slashes_before = backslashes_before(&text[start..], end - start);
            // An unpaired `"` may look like the quote of an enclosing string. So there are only as
            // many enclosing strings as the backslashes prove.
            let nesting = nesting.min(slashes_before.trailing_zeros() as usize);
            let is_escaped = slashes_before >> nesting & 1 == 1;
            if is_escaped {
                from = end + 1;
                continue;
            }
        }
        let after = (end + slashes + 1).min(text.len());
        if end == text.len() {
            return end;
        }
        if slashes == 0 && text.get(after) == Some(&mark) && end > start {
            from = after + 1;
            continue;
        }
        let word_follows = text
            .get(after)
            .is_some_and(|byte| ByteClass::WORD.has(*byte) || !byte.is_ascii());
        return if word_follows && text.get(end) == Some(&mark) {
            end_of_unquoted(text, after, Notation::Plain, Some((mark, slashes)))
        } else {
            end
        };
    }
}

/// Returns the end of the closing quote of the string whose opening quote is at `at`.
fn after_string(text: &[u8], at: usize) -> usize {
    let slashes = backslashes_before(text, at);
    let end = closing_quote(text, at + 1, text[at], slashes);
    (end + slashes + 1).min(text.len())
}

/// Returns the end of an unquoted value. A value in brackets ends with its bracket: `Some("…")`,
/// `Secret { … }`, `[…]`.
pub(crate) fn end_of_unquoted(
    text: &[u8],
    start: usize,
    notation: Notation,
    open_string: Option<Quote>,
) -> usize {
    let mut value = UnquotedValue {
        text,
        start,
        notation,
        open_string,
        at: start,
        is_word: true,
        has_bracket: false,
    };
    if text[start..].starts_with(REDACTED.as_bytes()) {
        value.skip_to(start + REDACTED.len());
    }
    if notation == Notation::ConnectionString && text.get(start) == Some(&b'{') {
        return end_of_braces(text, start);
    }
    // `${{ secrets.TOKEN }}`, `$(cat token)`
    let may_be_template = matches!(text.get(start), Some(b'$' | b'#' | b'%'));
    if may_be_template && matches!(text.get(start + 1), Some(b'{' | b'(')) {
        value.skip_to(end_of_brackets(text, start + 1));
    }
    while let Some(byte) = text.get(value.at) {
        scan_cost::add(1);
        match value.step(*byte) {
            Step::Next => {
                value.is_word &= ByteClass::WORD.has(*byte);
                value.at += 1;
            }
            Step::Moved => {}
            Step::End => break,
        }
    }
    value.at
}

/// The state of the search for the end of an unquoted value.
struct UnquotedValue<'t> {
    text: &'t [u8],
    start: usize,
    notation: Notation,
    /// The innermost string that is open at the start of the value.
    open_string: Option<Quote>,
    /// The next position to read.
    at: usize,
    /// Whether the value so far is a single word.
    is_word: bool,
    /// Whether an opening bracket is part of the value.
    has_bracket: bool,
}

enum Step {
    /// The byte is part of the value.
    Next,
    /// [`UnquotedValue::at`] is already at the next byte to read.
    Moved,
    /// The value ends at [`UnquotedValue::at`].
    End,
}

impl UnquotedValue<'_> {
    /// Moves to `at`, past a part of the value that makes it more than a single word.
    fn skip_to(&mut self, at: usize) -> Step {
        self.at = at;
        self.is_word = false;
        Step::Moved
    }

    /// Decides whether `byte`, the byte at `self.at`, belongs to the value.
    fn step(&mut self, byte: u8) -> Step {
        use Notation::{ConnectionString, Form, Query};
        let (text, at, notation) = (self.text, self.at, self.notation);
        match byte {
            b'(' | b'[' | b'{' => self.step_at_bracket(),
            // `r"…"`, `N'…'`
            b'"' | b'\'' if self.is_word && at > self.start && self.open_string.is_none() => {
                let end = after_string(text, at);
                let inside = &text[at + 1..end];
                let is_closed = inside.last() == Some(&byte);
                let is_string = is_closed && find2(inside, *b"\r\n", 0).is_none();
                self.skip_to(if is_string { end } else { at + 1 })
            }
            b' ' => self.step_at_space(),
            byte if is_space(byte) => Step::End,
            ESC if color_codes::ends_value(text, at) => Step::End,
            b'#' if notation == (Query { is_web: true }) && is_fragment(text, at) => Step::End,
            b',' if matches!(notation, Query { .. } | ConnectionString | Form) => Step::Next,
            b'&' if notation == ConnectionString => Step::Next,
            b';' if notation == Form => Step::Next,
            b')' | b']' if self.has_bracket => Step::Next,
            b'\\' if is_escaped_break_or_tab(text, at, self.open_string) => Step::End,
            b')' | b']' | b'}' if matches!(notation, Query { .. }) && url_goes_on(text, at) => {
                Step::Next
            }
            b'"' | b'\'' | b'`' | b')' | b']' | b'}' | b'<' | b'\\' | b',' | b';' | b'&' => {
                match Boundary::at_mark(text, at) {
                    // If a `;` ends the member of a connection string, no bracket ends it.
                    Boundary::End if notation == ConnectionString && b")]}<`".contains(&byte) => {
                        match end_of_member(text, at).filter(|end| *end > at) {
                            Some(end) => {
                                self.at = end;
                                Step::Moved
                            }
                            None => Step::End,
                        }
                    }
                    Boundary::End => Step::End,
                    Boundary::Continue(next) => self.skip_to(next),
                }
            }
            _ => Step::Next,
        }
    }

    fn step_at_bracket(&mut self) -> Step {
        let debug_end = if self.is_word {
            end_of_debug(self.text, self.at, self.notation)
        } else {
            None
        };
        match debug_end {
            Some(end) => self.skip_to(end),
            None => {
                self.has_bracket = true;
                self.skip_to(self.at + 1)
            }
        }
    }

    fn step_at_space(&mut self) -> Step {
        let (text, at, notation) = (self.text, self.at, self.notation);
        // `Secret { … }`, or `Array […]` as in the `Debug` of `serde_json`.
        let is_struct = self.is_word
            && matches!(text.get(at + 1), Some(b'{' | b'['))
            && text[self.start].is_ascii_uppercase();
        if is_struct {
            self.is_word = false;
            if let Some(end) = end_of_debug(text, at + 1, notation) {
                self.at = end;
                return Step::End;
            }
        }
        // `Bearer …`: the value is the scheme and the credential after it.
        if is_scheme(&text[self.start..at]) {
            self.at = end_of_unquoted(text, at + 1, notation, self.open_string);
            return Step::End;
        }
        let member_end = match notation {
            Notation::ConnectionString => end_of_member(text, at),
            // If a `;` and another key follow, the value may be the first member of a connection
            // string.
            Notation::Plain => {
                end_of_member(text, at).filter(|end| key_follows(text, end + 1, true))
            }
            Notation::Query { .. } | Notation::Form => None,
        };
        member_end.map_or(Step::End, |end| self.skip_to(end))
    }
}

/// Returns whether the URL continues after the marks at `at`.
fn url_goes_on(text: &[u8], at: usize) -> bool {
    let is_end = |byte: u8| is_space(byte) || b"\"'\\<".contains(&byte);
    let marks_end = run_end(text, at, |byte| {
        byte.is_ascii_punctuation() && !is_end(byte)
    });
    text.get(marks_end).is_some_and(|byte| !is_end(*byte))
}

/// Returns whether a line break or tab that is escaped once in the open string is at `at`. Returns
/// false for an escape in a string that is nested in the open string, and outside of strings.
pub(crate) fn is_escaped_break_or_tab(text: &[u8], at: usize, open_string: Option<Quote>) -> bool {
    let after_slashes = run_end(text, at, |byte| byte == b'\\');
    let is_in_string =
        matches!(open_string, Some((b'"', slashes)) if after_slashes - at == slashes + 1);
    is_in_string && matches!(text.get(after_slashes), Some(b'n' | b'r' | b't'))
}

/// Returns the end of the tab at `at`, if it is escaped once in the open string.
pub(crate) fn after_escaped_tab(
    text: &[u8],
    at: usize,
    open_string: Option<Quote>,
) -> Option<usize> {
    let after_slashes = run_end(text, at, |byte| byte == b'\\');
    let is_tab =
        is_escaped_break_or_tab(text, at, open_string) && text.get(after_slashes) == Some(&b't');
    is_tab.then_some(after_slashes + 1)
}

/// Returns whether a word is an authentication scheme, such as `Bearer`.
pub(crate) fn is_scheme(word: &[u8]) -> bool {
    contains_word(&SCHEMES, word)
}

#[rustfmt::skip]
const SCHEMES: [&str; 8] = [
    "bearer", "basic", "token", "digest", "negotiate", "apikey", "bot", "hmac",
];

/// Returns the end of the `}` that closes the ODBC value whose `{` is at `start`. A doubled brace
/// is part of the value.
fn end_of_braces(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(brace_at) = find(text, b'}', at) {
        let braces_end = run_end(text, brace_at, |byte| byte == b'}');
        let is_odd = (braces_end - brace_at) % 2 == 1;
        if is_odd
            && !text
                .get(braces_end)
                .is_some_and(|byte| !is_space(*byte) && !b";\"'\\".contains(byte))
        {
            return braces_end;
        }
        at = braces_end;
    }
    text.len()
}

/// Returns whether the byte at `at` is a backtick that is part of a member of a connection string,
/// and not a quote. It is part of the member if no other backtick precedes the next `;`, or if the
/// value continues after the other backtick.
pub(crate) fn is_backtick_in_member(text: &[u8], at: usize, notation: Notation) -> bool {
    if notation != Notation::ConnectionString || text.get(at) != Some(&b'`') {
        return false;
    }
    let until_separator = &text[..run_end(text, at, |byte| byte != b';')];
    let Some(close_at) = find(until_separator, b'`', at + 1) else {
        return true;
    };
    match text.get(close_at + 1) {
        Some(b' ') => end_of_member(text, close_at + 1).is_some(),
        Some(b';' | b'"' | b'\'' | b'\\' | b'\r' | b'\n') | None => false,
        Some(b')' | b']' | b'}') => {
            close_at == at + 1 || Boundary::at_mark(text, close_at + 1) != Boundary::End
        }
        Some(_) => true,
    }
}

/// Returns the end of the member of a connection string that contains `at`, if a `;` ends the
/// member.
fn end_of_member(text: &[u8], at: usize) -> Option<usize> {
    const MAX_LEN: usize = 160;
    let near = &text[..text.len().min(at + MAX_LEN)];
    let mut end = at;
    let mut may_have_field = false;
    loop {
        end = run_end(near, end, |byte| !b"=;\"\r\n".contains(&byte));
        match near.get(end)? {
            b';' if may_have_field && !key_follows(text, end + 1, true) => return None,
            b';' => return Some(end),
            b'=' => {
                // ` status=200` may be the next field of a log line.
                let name_start = ByteClass::KEY.run_start(near, end, end - at);
                may_have_field |= end - name_start > 2 && near[name_start - 1] == b' ';
                end += 1;
            }
            _ => return None,
        }
    }
}

/// Returns whether the `#` at `at` begins a URL fragment: a run without capital letters, or a name
/// before a `=`. A run before a `&` is not a fragment, because no parameter follows a fragment.
fn is_fragment(text: &[u8], at: usize) -> bool {
    let end = run_end(text, at + 1, |byte| {
        byte.is_ascii_alphabetic() || b"-_./".contains(&byte)
    });
    let is_small = || !text[at + 1..end].iter().any(u8::is_ascii_uppercase);
    match text.get(end) {
        Some(b'=') => true,
        Some(byte) => is_small() && (is_space(*byte) || b"\"'`<>),;]}\\".contains(byte)),
        None => is_small(),
    }
}

/// Returns the end of `Debug` output in the brackets that open at `at`.
///
/// A password in a connection string may contain an opening bracket. So in a connection string, the
/// brackets are `Debug` output only if they are closed, and one of these follows: white space, a
/// separator, a closing quote or bracket, the end of the text.
fn end_of_debug(text: &[u8], at: usize, notation: Notation) -> Option<usize> {
    let end = end_of_brackets(text, at);
    let is_closed = b")]}".contains(&text[end - 1]);
    let is_end = |byte: u8| is_space(byte) || b",;)]}\"'\\".contains(&byte);
    let is_value_end = is_closed && text.get(end).is_none_or(|byte| is_end(*byte));
    (notation != Notation::ConnectionString || is_value_end).then_some(end)
}

/// Returns the end of the brackets that open at `at`, or the end of the text.
fn end_of_brackets(text: &[u8], at: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = at;
    while let Some(byte) = text.get(at) {
        scan_cost::add(1);
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b'"' => {
                at = after_string(text, at);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// Returns the end of a header: the next line break, which may be escaped, or the end of the string
/// that contains the header.
pub(crate) fn end_of_header(text: &[u8], start: usize, open_string: Option<Quote>) -> usize {
    let line_end = find2(text, *b"\r\n", start).unwrap_or(text.len());
    let Some((mark, slashes)) = open_string else {
        return line_end;
    };
    let end = closing_quote(&text[..line_end], start, mark, slashes);
    let is_line_break = |two: &[u8]| matches!(two, [b'\\', b'n' | b'r']);
    scan_cost::add(end - start);
    let break_at = text[start..end].windows(2).position(is_line_break);
    // The escape begins at the first of its backslashes.
    break_at.map_or(end, |at| {
        start + at - backslashes_before(&text[start..], at)
    })
}

/// Returns the range of the indented lines of a YAML block after `key: |`, if a block begins at
/// `start`.
pub(crate) fn yaml_block(text: &[u8], start: usize) -> Option<(usize, usize)> {
    let style_end = run_end(text, start + 1, |byte| b"+-0123456789".contains(&byte));
    let is_block = matches!(text.get(start), Some(b'|' | b'>')) && style_end <= start + 3;
    let newline_at = style_end + usize::from(text.get(style_end) == Some(&b'\r'));
    if !is_block || text.get(newline_at) != Some(&b'\n') {
        return None;
    }
    let content_start = run_end(text, newline_at + 1, |byte| matches!(byte, b' ' | b'\t'));
    let mut end = newline_at + 1;
    while matches!(text.get(end), Some(b' ' | b'\t')) {
        end = find(text, b'\n', end).map_or(text.len(), |newline| newline + 1);
    }
    let length = text[content_start.min(end)..end].trim_ascii_end().len();
    (length > 0).then_some((content_start, content_start + length))
}

/// Returns the range of the items of a YAML list on the lines after `key:`, with their dashes, if a
/// list begins at `start`. `indent` is the indentation of the key.
pub(crate) fn yaml_list(text: &[u8], start: usize, indent: usize) -> Option<(usize, usize)> {
    let is_blank = |byte: u8| byte == b' ';
    let newline_at = start + usize::from(text.get(start) == Some(&b'\r'));
    let mut line_start = (text.get(newline_at) == Some(&b'\n')).then_some(newline_at + 1)?;
    let items_start = run_end(text, line_start, is_blank);
    let column = items_start - line_start;
    let is_item = |at: usize| text[at..].starts_with(b"- ");
    if column < indent || !is_item(items_start) {
        return None;
    }
    let mut end = items_start;
    while line_start < text.len() {
        let indent_end = run_end(text, line_start, is_blank);
        let is_in_list = indent_end - line_start > column
            || indent_end - line_start == column && is_item(indent_end);
        if !is_in_list {
            break;
        }
        line_start = find(text, b'\n', indent_end).map_or(text.len(), |newline| newline + 1);
        end = line_start;
    }
    Some((
        items_start,
        items_start + text[items_start..end].trim_ascii_end().len(),
    ))
}

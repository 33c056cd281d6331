//! Finds where the value of a key ends.
//!
//! [`pair_lexer`](crate::pair_lexer) has the grammar. A value ends at its closing quote, at its
//! closing bracket, or at the character that separates pairs in its context. Passwords contain all
//! kinds of punctuation marks. So a mark inside an unbroken run ends the value only if the
//! following text makes this plausible ([`Boundary`]).

use spanwise_core::REDACTED;

use crate::{
    byte_class::ByteClass,
    byte_search::{backslashes_before, find, find2, is_space, run_end},
    scan_cost,
    value_boundary::{Boundary, key_follows},
    word_lists::contains_word,
};

/// The position of a value in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ValueSpan {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// The number of backslashes before the quotes that the replacement needs to keep JSON valid.
    pub(crate) needs_quotes: Option<usize>,
}

/// A quote, and the number of backslashes before it.
pub(crate) type Quote = (u8, usize);

/// The notation around an unquoted value. It decides where the value ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueContext {
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
    /// Returns where to search for the next key. A value may end with a key and its separator.
    pub(crate) fn next_key_start(&self, text: &[u8]) -> usize {
        let hidden = text[self.start..self.end].trim_ascii_end();
        let hidden = hidden.strip_suffix(b">").unwrap_or(hidden);
        match hidden.last() {
            Some(b'=' | b':') => {
                let again = hidden.iter().rev().take_while(|byte| **byte == b'=');
                self.start + hidden.len() - again.count().max(1)
            }
            _ => self.end,
        }
    }
}

/// Returns the position of the closing quote, or the end of the text.
pub(crate) fn closing_quote(text: &[u8], start: usize, mark: u8, slashes: usize) -> usize {
    let mut at = start;
    while let Some(quote) = find(text, mark, at) {
        let run = backslashes_before(&text[start..], quote - start);
        // Each level of nesting adds a backslash to the quotes and doubles the backslashes. The
        // closing quote has as many backslashes as the opening quote, not counting pairs. A quote
        // with fewer closes an outer string.
        if run < slashes || run % (2 * (slashes + 1)) == slashes {
            return quote - run.min(slashes);
        }
        at = quote + 1;
    }
    text.len()
}

/// Returns the value after the quote that ends at `start`. A doubled quote is part of the value
/// (`'it''s'`), three quotes enclose several lines, and a quote before a word ends nothing.
pub(crate) fn quoted(
    text: &[u8],
    start: usize,
    mark: u8,
    slashes: usize,
    open: Option<Quote>,
) -> (usize, usize) {
    let is_quote = |at: usize| {
        let after = run_end(text, at, |byte| byte == b'\\');
        (after - at == slashes && text.get(after) == Some(&mark)).then_some(after + 1)
    };
    if let Some(third) = is_quote(start).and_then(is_quote) {
        let mut at = third;
        while let Some(quote) = find(text, mark, at) {
            let first = quote - slashes.min(quote - at);
            if is_quote(first)
                .and_then(is_quote)
                .and_then(is_quote)
                .is_some()
            {
                return (third, first);
            }
            at = quote + 1;
        }
        return (third, text.len());
    }
    (start, end_of_quoted(text, start, mark, slashes, open))
}

fn end_of_quoted(
    text: &[u8],
    start: usize,
    mark: u8,
    slashes: usize,
    open: Option<Quote>,
) -> usize {
    // Each enclosing string doubles the backslashes.
    let level = match open {
        Some((b'"', around)) if mark == b'\'' && slashes == 0 => around + 1,
        _ => 0,
    };
    let mut from = start;
    loop {
        let end = closing_quote(text, from, mark, slashes);
        if level > 0 && end < text.len() {
            let escapes = backslashes_before(&text[start..], end - start);
            // An unpaired quote may look like an enclosing string.
            let level = level.min(escapes.trailing_zeros() as usize);
            if escapes >> level & 1 == 1 {
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
        let is_word = text
            .get(after)
            .is_some_and(|byte| ByteClass::WORD.has(*byte) || !byte.is_ascii());
        return if is_word && text.get(end) == Some(&mark) {
            end_of_bare(text, after, ValueContext::Plain, Some((mark, slashes)))
        } else {
            end
        };
    }
}

/// Returns the end of the string whose opening quote is at `at`.
fn after_string(text: &[u8], at: usize) -> usize {
    let slashes = backslashes_before(text, at);
    let end = closing_quote(text, at + 1, text[at], slashes);
    (end + slashes + 1).min(text.len())
}

/// Returns the end of an unquoted value. A value in brackets ends with its bracket: `Some("…")`,
/// `Secret { … }`, `[…]`.
pub(crate) fn end_of_bare(
    text: &[u8],
    start: usize,
    notation: ValueContext,
    open: Option<Quote>,
) -> usize {
    let mut value = BareValue {
        text,
        start,
        notation,
        open,
        at: start,
        is_word: true,
        has_bracket: false,
    };
    if text[start..].starts_with(REDACTED.as_bytes()) {
        value.skip_to(start + REDACTED.len());
    }
    if notation == ValueContext::ConnectionString && text.get(start) == Some(&b'{') {
        return end_of_braces(text, start);
    }
    // `${{ secrets.TOKEN }}`, `$(cat token)`
    let is_template = matches!(text.get(start), Some(b'$' | b'#' | b'%'));
    if is_template && matches!(text.get(start + 1), Some(b'{' | b'(')) {
        value.skip_to(closing_bracket(text, start + 1));
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
struct BareValue<'t> {
    text: &'t [u8],
    start: usize,
    notation: ValueContext,
    open: Option<Quote>,
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
    /// [`BareValue::at`] is already at the next byte to read.
    Moved,
    /// The value ends at the position.
    End,
}

impl BareValue<'_> {
    /// Moves past text that is not a word.
    fn skip_to(&mut self, at: usize) -> Step {
        self.at = at;
        self.is_word = false;
        Step::Moved
    }

    fn step(&mut self, byte: u8) -> Step {
        use ValueContext::{ConnectionString, Form, Query};
        let (text, at, notation) = (self.text, self.at, self.notation);
        match byte {
            b'(' | b'[' | b'{' => self.bracket(),
            b'"' | b'\'' if self.is_word && at > self.start && self.open.is_none() => {
                let end = after_string(text, at);
                let inside = &text[at + 1..end];
                let is_closed = inside.last() == Some(&byte);
                let is_string = is_closed && find2(inside, *b"\r\n", 0).is_none();
                self.skip_to(if is_string { end } else { at + 1 })
            }
            b' ' => self.space(),
            byte if is_space(byte) => Step::End,
            b'#' if notation == (Query { is_web: true }) && is_fragment(text, at) => Step::End,
            b',' if matches!(notation, Query { .. } | ConnectionString | Form) => Step::Next,
            b'&' if notation == ConnectionString => Step::Next,
            b';' if notation == Form => Step::Next,
            b')' | b']' if self.has_bracket => Step::Next,
            b'\\' if is_break(text, at, self.open) => Step::End,
            b')' | b']' | b'}' if matches!(notation, Query { .. }) && url_goes_on(text, at) => {
                Step::Next
            }
            b'"' | b'\'' | b'`' | b')' | b']' | b'}' | b'<' | b'\\' | b',' | b';' | b'&' => {
                match Boundary::after_mark(text, at) {
                    // If another member follows, only the separator ends this member.
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

    fn bracket(&mut self) -> Step {
        let debug = if self.is_word {
            end_of_debug(self.text, self.at, self.notation)
        } else {
            None
        };
        match debug {
            Some(end) => self.skip_to(end),
            None => {
                self.has_bracket = true;
                self.skip_to(self.at + 1)
            }
        }
    }

    fn space(&mut self) -> Step {
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
        // A scheme, and the credential after it.
        if is_scheme(&text[self.start..at]) {
            self.at = end_of_bare(text, at + 1, notation, self.open);
            return Step::End;
        }
        let member = match notation {
            ValueContext::ConnectionString => end_of_member(text, at),
            // The value is the first member of a connection string, because another member follows.
            ValueContext::Plain => {
                end_of_member(text, at).filter(|end| key_follows(text, end + 1, true))
            }
            ValueContext::Query { .. } | ValueContext::Form => None,
        };
        member.map_or(Step::End, |end| self.skip_to(end))
    }
}

/// Returns whether the URL continues after the marks at `at`.
fn url_goes_on(text: &[u8], at: usize) -> bool {
    let is_end = |byte: u8| is_space(byte) || b"\"'\\<".contains(&byte);
    let marks = run_end(text, at, |byte| {
        byte.is_ascii_punctuation() && !is_end(byte)
    });
    text.get(marks).is_some_and(|byte| !is_end(*byte))
}

/// Returns whether an escaped line break or tab is at `at`, at the nesting of the open string.
pub(crate) fn is_break(text: &[u8], at: usize, open: Option<Quote>) -> bool {
    let after = run_end(text, at, |byte| byte == b'\\');
    let is_one = matches!(open, Some((b'"', slashes)) if after - at == slashes + 1);
    is_one && matches!(text.get(after), Some(b'n' | b'r' | b't'))
}

/// Returns the end of an escaped tab at `at`, at the nesting of the open string.
pub(crate) fn after_tab(text: &[u8], at: usize, open: Option<Quote>) -> Option<usize> {
    let after = run_end(text, at, |byte| byte == b'\\');
    let is_tab = is_break(text, at, open) && text.get(after) == Some(&b't');
    is_tab.then_some(after + 1)
}

pub(crate) fn is_scheme(word: &[u8]) -> bool {
    contains_word(&SCHEMES, word)
}

#[rustfmt::skip]
const SCHEMES: [&str; 8] = [
    "bearer", "basic", "token", "digest", "negotiate", "apikey", "bot", "hmac",
];

/// Returns the end of the `}` that closes an ODBC value. A doubled brace is part of the value.
fn end_of_braces(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(brace) = find(text, b'}', at) {
        let after = run_end(text, brace, |byte| byte == b'}');
        let is_odd = (after - brace) % 2 == 1;
        if is_odd
            && !text
                .get(after)
                .is_some_and(|byte| !is_space(*byte) && !b";\"'\\".contains(byte))
        {
            return after;
        }
        at = after;
    }
    text.len()
}

/// Returns whether the backtick at `at` is part of a connection string's member: it is not closed
/// before the next `;`, or the value continues after the closing backtick.
pub(crate) fn is_mark_of_member(text: &[u8], at: usize, notation: ValueContext) -> bool {
    if notation != ValueContext::ConnectionString || text.get(at) != Some(&b'`') {
        return false;
    }
    let member = &text[..run_end(text, at, |byte| byte != b';')];
    let Some(close) = find(member, b'`', at + 1) else {
        return true;
    };
    match text.get(close + 1) {
        Some(b' ') => end_of_member(text, close + 1).is_some(),
        Some(b';' | b'"' | b'\'' | b'\\' | b'\r' | b'\n') | None => false,
        Some(b')' | b']' | b'}') => {
            close == at + 1 || Boundary::after_mark(text, close + 1) != Boundary::End
        }
        Some(_) => true,
    }
}

/// Returns the end of a connection string's member that has a space at `at`, if a `;` ends it.
fn end_of_member(text: &[u8], at: usize) -> Option<usize> {
    const MAX_LEN: usize = 160;
    let near = &text[..text.len().min(at + MAX_LEN)];
    let mut end = at;
    let mut has_field = false;
    loop {
        end = run_end(near, end, |byte| !b"=;\"\r\n".contains(&byte));
        match near.get(end)? {
            b';' if has_field && !key_follows(text, end + 1, true) => return None,
            b';' => return Some(end),
            b'=' => {
                // ` status=200` may be the next field of a line.
                let name = ByteClass::KEY.run_start(near, end, end - at);
                has_field |= end - name > 2 && near[name - 1] == b' ';
                end += 1;
            }
            _ => return None,
        }
    }
}

/// Returns whether the `#` at `at` begins a URL fragment: small letters only, or a pair. No
/// parameter follows a fragment.
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

/// Returns the end of `Debug` output in the brackets that open at `at`. A password in a connection
/// string may contain such a bracket. So in a connection string a separator must follow the closing
/// bracket.
fn end_of_debug(text: &[u8], at: usize, notation: ValueContext) -> Option<usize> {
    let end = closing_bracket(text, at);
    let is_closed = b")]}".contains(&text[end - 1]);
    let is_end = |byte: u8| is_space(byte) || b",;)]}\"'\\".contains(&byte);
    let is_whole = is_closed && text.get(end).is_none_or(|byte| is_end(*byte));
    (notation != ValueContext::ConnectionString || is_whole).then_some(end)
}

/// Returns the end of the bracket that closes the one at `at`, or the end of the text.
fn closing_bracket(text: &[u8], at: usize) -> usize {
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

/// Returns the end of a header: the end of the line, escaped or not, or of the string that contains
/// it.
pub(crate) fn end_of_header(text: &[u8], start: usize, quote: Option<Quote>) -> usize {
    let line = find2(text, *b"\r\n", start).unwrap_or(text.len());
    let Some((mark, slashes)) = quote else {
        return line;
    };
    let end = closing_quote(&text[..line], start, mark, slashes);
    let is_line_break = |two: &[u8]| matches!(two, [b'\\', b'n' | b'r']);
    scan_cost::add(end - start);
    let written = text[start..end].windows(2).position(is_line_break);
    // The backslashes before the letter belong to the escape.
    written.map_or(end, |at| {
        start + at - backslashes_before(&text[start..], at)
    })
}

/// Returns the indented lines of a YAML block after `key: |`, if one begins at `start`.
pub(crate) fn block(text: &[u8], start: usize) -> Option<(usize, usize)> {
    let style = run_end(text, start + 1, |byte| b"+-0123456789".contains(&byte));
    let is_block = matches!(text.get(start), Some(b'|' | b'>')) && style <= start + 3;
    let first = style + usize::from(text.get(style) == Some(&b'\r'));
    if !is_block || text.get(first) != Some(&b'\n') {
        return None;
    }
    let from = run_end(text, first + 1, |byte| matches!(byte, b' ' | b'\t'));
    let mut end = first + 1;
    while matches!(text.get(end), Some(b' ' | b'\t')) {
        end = find(text, b'\n', end).map_or(text.len(), |line| line + 1);
    }
    let length = text[from.min(end)..end].trim_ascii_end().len();
    (length > 0).then_some((from, from + length))
}

/// Returns the items of a YAML list on the lines after `key:`, each with its dash, if a list begins
/// at `start`. `indent` is the indentation of the key.
pub(crate) fn list(text: &[u8], start: usize, indent: usize) -> Option<(usize, usize)> {
    let is_space = |byte: u8| byte == b' ';
    let first = start + usize::from(text.get(start) == Some(&b'\r'));
    let mut line = (text.get(first) == Some(&b'\n')).then_some(first + 1)?;
    let from = run_end(text, line, is_space);
    let column = from - line;
    let is_item = |at: usize| text[at..].starts_with(b"- ");
    if column < indent || !is_item(from) {
        return None;
    }
    let mut end = from;
    while line < text.len() {
        let begun = run_end(text, line, is_space);
        let goes_on = begun - line > column || begun - line == column && is_item(begun);
        if !goes_on {
            break;
        }
        line = find(text, b'\n', begun).map_or(text.len(), |line| line + 1);
        end = line;
    }
    Some((from, from + text[from..end].trim_ascii_end().len()))
}

//! Where the value of a key begins and ends.
//!
//! See the grammar in [`pairs`](crate::pairs). A value ends where its writer ended it: at the quote
//! that closes it, at the bracket, at the separator in use. A mark within an unbroken run of
//! characters ends it only if something after the mark says so ([`Boundary`]): passwords have all marks
//! in them.

use spanwise_core::REDACTED;

use crate::{
    byte_class::{ByteClass, backslashes_before, find, find2, is_space, run_end},
    work,
};

/// A value as it stands in a text: what to replace, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// The quotes its replacement needs, so that JSON stays JSON: a backslash count, if any.
    pub(crate) needs_quotes: Option<usize>,
}

/// A quote, and how many backslashes stand before it.
pub(crate) type Quote = (u8, usize);

/// What a bare value is part of, which says where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueContext {
    /// The query of a URL; of one of the web, a fragment may follow.
    Query { is_web: bool },
    /// A member of a connection string, after a `;`: spaces may be in it.
    Member,
    /// A member of a form, after a `&`.
    Form,
    /// Anything else.
    Free,
}

impl Value {
    /// Where the next key may be: a value may end in one, whose own value comes after it.
    pub(crate) fn next(&self, text: &[u8]) -> usize {
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

/// Whether a value ends at a mark that may end one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Boundary {
    Ends,
    /// It goes on, and the next mark may be from there on.
    GoesOn(usize),
}

impl Boundary {
    /// Decides by what follows the mark at `at`.
    pub(crate) fn at(text: &[u8], at: usize) -> Self {
        let end_if = |ends: bool, next: usize| if ends { Self::Ends } else { Self::GoesOn(next) };
        match text[at] {
            b'"' | b'\'' => {
                // It begins the value of another key.
                let opens = at > 0 && matches!(text[at - 1], b'=' | b':' | b'>');
                if opens {
                    Self::Ends
                } else {
                    Self::at_quote(text, at)
                }
            }
            b'<' => end_if(is_end_tag(text, at), at + 1),
            // What was hidden before is no bracket.
            b']' if text[..=at].ends_with(REDACTED.as_bytes()) => Self::GoesOn(at + 1),
            b')' | b']' | b'}' | b'>' | b'`' => {
                let after = run_end(text, at, |byte| b")]}>`".contains(&byte));
                Self::after_bracket(text, after)
            }
            b'\\' => {
                let after = run_end(text, at, |byte| byte == b'\\');
                match text.get(after) {
                    // A quote of a string in a string, or one in a value.
                    Some(b'"' | b'\'') => match Self::at(text, after) {
                        Self::Ends => Self::Ends,
                        Self::GoesOn(next) => Self::GoesOn(next),
                    },
                    _ => end_if(is_escape(text, after), after),
                }
            }
            b',' | b';' | b'&' => end_if(is_separator(text, at), at + 1),
            _ => Self::GoesOn(at + 1),
        }
    }
}

impl Boundary {
    /// Decides by what follows a quote, which ends nothing if a word does.
    pub(crate) fn at_quote(text: &[u8], at: usize) -> Self {
        if goes_on(text, at + 1) {
            Self::GoesOn(at + 1)
        } else {
            Self::Ends
        }
    }

    /// Decides by what follows brackets: a word after more marks is a part of the value, and so
    /// are marks that end no sentence.
    fn after_bracket(text: &[u8], after: usize) -> Self {
        // What is one of these decides for itself.
        let is_own = |byte: u8| b",;&<\\\"'".contains(&byte);
        let marks = run_end(text, after, |byte| {
            byte.is_ascii_punctuation() && byte != b'_' && !is_own(byte)
        });
        let is_word = |byte: u8| ByteClass::WORD.has(byte) || !byte.is_ascii();
        let ends = match text.get(marks) {
            Some(byte) if is_own(*byte) => Self::at(text, marks) == Self::Ends,
            Some(byte) => !is_word(*byte),
            None => true,
        };
        if ends && ends_sentence(&text[after..marks]) {
            Self::Ends
        } else {
            Self::GoesOn(marks)
        }
    }
}

/// Returns whether marks after a bracket are those of a sentence, each alone or a few of one kind,
/// with brackets between them: `.`, `...`, `?)`.
fn ends_sentence(marks: &[u8]) -> bool {
    const MAX_MARKS: usize = 3;
    let marks = marks.iter().filter(|byte| !b")]}>`".contains(byte));
    let first = marks.clone().next();
    first.is_none_or(|first| b".,;:!?".contains(first))
        && marks.clone().all(|byte| Some(byte) == first)
        && marks.count() <= MAX_MARKS
}

/// Returns whether a word, or a mark that begins no other part of a text, stands at `at`.
fn goes_on(text: &[u8], at: usize) -> bool {
    text.get(at).is_some_and(|byte| {
        ByteClass::WORD.has(*byte) || !byte.is_ascii() || b"@$%!#*+~^=".contains(byte)
    })
}

/// Returns whether `</name>` stands at `at`, and `<name` not far before it: a password may have
/// the former alone.
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
    work::step(before.len());
    let is_start = |tag: usize| before[..tag].ends_with(b"<");
    near.get(end) == Some(&b'>')
        && !name.is_empty()
        && memchr::memmem::find_iter(before, name).any(is_start)
}

/// Returns whether what follows backslashes is a quote, or a line break that is written out and
/// ends a line: nothing, a space, another one or a key follows it.
fn is_escape(text: &[u8], at: usize) -> bool {
    match text.get(at) {
        None => true,
        Some(b'n' | b'r' | b't') => match text.get(at + 1) {
            None | Some(b'\\' | b' ' | b'"' | b'\'') => true,
            _ => key_follows(text, at + 1, false),
        },
        Some(b'u') => {
            let code = text.get(at + 1..at + 5);
            code.is_some_and(|code| {
                code.starts_with(b"00") && code.iter().all(|byte| ByteClass::HEX.has(*byte))
            })
        }
        Some(byte) => is_space(*byte),
    }
}

/// Returns whether the `,`, `;` or `&` at `at` separates the value before it from another part.
fn is_separator(text: &[u8], at: usize) -> bool {
    let spaced = text[at] == b';';
    let escaped = run_end(text, at + 1, |byte| byte == b'\\');
    match text.get(escaped) {
        None => true,
        // It closes the text around the pair, or opens the next key.
        Some(quote @ (b'"' | b'\'')) => {
            let name = run_end(&text[..text.len().min(escaped + 65)], escaped + 1, |byte| {
                ByteClass::KEY.has(byte) || byte == b' '
            });
            let closed = run_end(text, name, |byte| byte == b'\\');
            let end = run_end(text, closed + 1, |byte| byte == b' ');
            let is_key =
                text.get(closed) == Some(quote) && matches!(text.get(end), Some(b':' | b'='));
            is_key || Boundary::at_quote(text, escaped) == Boundary::Ends
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

/// Returns whether a key with its separator stands at `at`. One of a connection string has spaces.
fn key_follows(text: &[u8], at: usize, spaced: bool) -> bool {
    const MAX_KEY_LEN: usize = 64;
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

/// Where the text in quotes ends: at the closing one, or at the end of everything.
pub(crate) fn closing_quote(text: &[u8], start: usize, mark: u8, slashes: usize) -> usize {
    let mut at = start;
    while let Some(quote) = find(text, mark, at) {
        let run = backslashes_before(&text[start..], quote - start);
        // In a string in a string each quote has one backslash more, and each backslash is two: the
        // quote that closes has as many as the one that opened, beside pairs. One with less closes
        // a string around this one.
        if run < slashes || run % (2 * (slashes + 1)) == slashes {
            return quote - run.min(slashes);
        }
        at = quote + 1;
    }
    text.len()
}

/// Where a value is that follows the quote before `start`. A quote twice is one (`'it''s'`), three
/// are around a text of several lines, and a quote with a word right after it ends nothing.
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
    // In a string each backslash is written twice, once more for each string around it.
    let level = match open {
        Some((b'"', around)) if mark == b'\'' && slashes == 0 => around + 1,
        _ => 0,
    };
    let mut from = start;
    loop {
        let end = closing_quote(text, from, mark, slashes);
        if level > 0 && end < text.len() {
            let escapes = backslashes_before(&text[start..], end - start);
            // An odd quote may have been taken for a string, in which there were more of them.
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
            end_of_bare(text, after, ValueContext::Free, Some((mark, slashes)))
        } else {
            end
        };
    }
}

/// The place after the quote that closes the string whose quote is at `at`.
fn after_string(text: &[u8], at: usize) -> usize {
    let slashes = backslashes_before(text, at);
    let end = closing_quote(text, at + 1, text[at], slashes);
    (end + slashes + 1).min(text.len())
}

/// Where a value without quotes around it ends. One in brackets ends with them: `Some("…")`,
/// `Secret { … }`, `[…]`.
pub(crate) fn end_of_bare(
    text: &[u8],
    start: usize,
    place: ValueContext,
    open: Option<Quote>,
) -> usize {
    let mut at = start;
    let mut word = true;
    let mut opened = false;
    if text[start..].starts_with(REDACTED.as_bytes()) {
        at += REDACTED.len();
        word = false;
    }
    if place == ValueContext::Member && text.get(start) == Some(&b'{') {
        return end_of_braces(text, start);
    }
    // `${{ secrets.TOKEN }}`, `$(cat token)`
    let is_template = matches!(text.get(start), Some(b'$' | b'#' | b'%'));
    if is_template && matches!(text.get(start + 1), Some(b'{' | b'(')) {
        at = closing_bracket(text, start + 1);
        word = false;
    }
    while let Some(byte) = text.get(at) {
        work::step(1);
        match byte {
            b'(' | b'[' | b'{' if word => {
                word = false;
                match end_of_debug(text, at, place) {
                    Some(end) => at = end,
                    None => {
                        opened = true;
                        at += 1;
                    }
                }
                continue;
            }
            b'"' | b'\'' if word && at > start && open.is_none() => {
                let end = after_string(text, at);
                let inside = &text[at + 1..end];
                word = false;
                at = if inside.last() == Some(byte) && find2(inside, *b"\r\n", 0).is_none() {
                    end
                } else {
                    at + 1
                };
                continue;
            }
            // `Secret { … }`, and `Array […]` as `serde_json` has it.
            b' ' if word
                && matches!(text.get(at + 1), Some(b'{' | b'['))
                && text[start].is_ascii_uppercase() =>
            {
                word = false;
                match end_of_debug(text, at + 1, place) {
                    Some(end) => return end,
                    None => continue,
                }
            }
            // A scheme, and the credential after it.
            b' ' if is_scheme(&text[start..at]) => {
                return end_of_bare(text, at + 1, place, open);
            }
            b' ' if matches!(place, ValueContext::Member | ValueContext::Free) => {
                match end_of_member(text, at) {
                    // A first member is one because another follows it.
                    Some(end)
                        if place == ValueContext::Member || key_follows(text, end + 1, true) =>
                    {
                        at = end - 1
                    }
                    _ => break,
                }
            }
            byte if is_space(*byte) => break,
            b'#' if place == (ValueContext::Query { is_web: true }) && is_fragment(text, at) => {
                break;
            }
            b',' if matches!(
                place,
                ValueContext::Query { .. } | ValueContext::Member | ValueContext::Form
            ) => {}
            b'&' if place == ValueContext::Member => {}
            b';' if place == ValueContext::Form => {}
            b')' | b']' if opened => {}
            b'\\' if is_line_break(text, at, open) => break,
            b')' | b']' | b'}'
                if matches!(place, ValueContext::Query { .. }) && url_goes_on(text, at) => {}
            b'"' | b'\'' | b'`' | b')' | b']' | b'}' | b'<' | b'\\' | b',' | b';' | b'&' => {
                match Boundary::at(text, at) {
                    // Only its separator ends a member that another one follows.
                    Boundary::Ends if place == ValueContext::Member && b")]}<`".contains(byte) => {
                        match end_of_member(text, at) {
                            Some(end) if end > at => at = end,
                            _ => break,
                        }
                        continue;
                    }
                    Boundary::Ends => break,
                    Boundary::GoesOn(next) => {
                        word = false;
                        at = next;
                        continue;
                    }
                }
            }
            b'(' | b'[' | b'{' => opened = true,
            _ => {}
        }
        word &= ByteClass::WORD.has(*byte);
        at += 1;
    }
    at
}

/// Returns whether more of a URL follows the marks at `at`.
fn url_goes_on(text: &[u8], at: usize) -> bool {
    let is_end = |byte: u8| is_space(byte) || b"\"'\\<".contains(&byte);
    let marks = run_end(text, at, |byte| {
        byte.is_ascii_punctuation() && !is_end(byte)
    });
    text.get(marks).is_some_and(|byte| !is_end(*byte))
}

/// Returns whether a line break is written out at `at`, as it is in the string that is open.
pub(crate) fn is_line_break(text: &[u8], at: usize, open: Option<Quote>) -> bool {
    let after = run_end(text, at, |byte| byte == b'\\');
    let is_one = matches!(open, Some((b'"', slashes)) if after - at == slashes + 1);
    is_one && matches!(text.get(after), Some(b'n' | b'r' | b't'))
}

/// The place after a tab that is written out at `at`, as it is in the string that is open.
pub(crate) fn after_tab(text: &[u8], at: usize, open: Option<Quote>) -> Option<usize> {
    let after = run_end(text, at, |byte| byte == b'\\');
    let is_tab = is_line_break(text, at, open) && text.get(after) == Some(&b't');
    is_tab.then_some(after + 1)
}

pub(crate) fn is_scheme(word: &[u8]) -> bool {
    SCHEMES
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme.as_bytes()))
}

const SCHEMES: [&str; 8] = [
    "bearer",
    "basic",
    "token",
    "digest",
    "negotiate",
    "apikey",
    "bot",
    "hmac",
];

/// The place after the `}` that closes a value of ODBC: one of two is a character of the value.
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

/// Returns whether a member of a connection string begins with a backtick at `at` that is no quote:
/// it is not closed before the next `;`, or the value goes on after that.
pub(crate) fn is_mark_of_member(text: &[u8], at: usize, place: ValueContext) -> bool {
    if place != ValueContext::Member || text.get(at) != Some(&b'`') {
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
            close == at + 1 || Boundary::at(text, close + 1) != Boundary::Ends
        }
        Some(_) => true,
    }
}

/// The place after a member of a connection string with a space at `at`, if it ends with a `;`.
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

/// Returns whether the `#` at `at` begins the fragment of a URL: small letters and no more, or a
/// pair. No parameter follows one.
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

/// The place after what `Debug` puts into the brackets that open at `at`. A password in a
/// connection string may have such a bracket, too: there a separator follows the last one.
fn end_of_debug(text: &[u8], at: usize, place: ValueContext) -> Option<usize> {
    let end = closing_bracket(text, at);
    let is_closed = b")]}".contains(&text[end - 1]);
    let is_end = |byte: u8| is_space(byte) || b",;)]}\"'\\".contains(&byte);
    let is_whole = is_closed && text.get(end).is_none_or(|byte| is_end(*byte));
    (place != ValueContext::Member || is_whole).then_some(end)
}

/// The place after the bracket that closes the one at `at`; the end, if none does.
fn closing_bracket(text: &[u8], at: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = at;
    while let Some(byte) = text.get(at) {
        work::step(1);
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

/// At the end of the line, written out or not, and of the string that the header is in.
pub(crate) fn end_of_header(text: &[u8], start: usize, quote: Option<Quote>) -> usize {
    let line = find2(text, *b"\r\n", start).unwrap_or(text.len());
    let Some((mark, slashes)) = quote else {
        return line;
    };
    let end = closing_quote(&text[..line], start, mark, slashes);
    let is_line_break = |two: &[u8]| matches!(two, [b'\\', b'n' | b'r']);
    work::step(end - start);
    let written = text[start..end].windows(2).position(is_line_break);
    // Each backslash before it is part of it.
    written.map_or(end, |at| {
        start + at - backslashes_before(&text[start..], at)
    })
}

/// The indented lines of a YAML block after `key: |`, if the text at `start` begins one.
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

/// The items of a YAML list on the lines after `key:`, if the text at `start` begins one, each with
/// its dash. `indent` is how far the key is indented.
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

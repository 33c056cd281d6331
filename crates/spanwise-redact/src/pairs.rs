//! Keys with their values inside a text: `key=value`, JSON, the `Debug` of a struct, headers, parameters of a URL.

use spanwise_core::REDACTED;

use crate::{
    bytes::{Set, after_escape, is_space},
    document::Document,
};

/// A key in a text, and where to look for its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair<'t> {
    pub(crate) key: &'t str,
    /// Where the `=` or `:` is.
    separator: usize,
    /// After it.
    after: usize,
    colon: bool,
    /// The quotes around the key: which, and how many backslashes before it.
    quote: Option<(u8, usize)>,
    /// It is a parameter of a URL.
    pub(crate) in_query: bool,
}

/// A value as it stands in a text: what to replace, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// It stands in quotes, which stay.
    pub(crate) quoted: bool,
    /// The quotes its replacement needs, so that JSON stays JSON: a backslash count, if any.
    pub(crate) needs_quotes: Option<usize>,
}

/// The next key with something after it, from `*at` on.
pub(crate) fn next<'t>(text: &'t str, at: &mut usize) -> Option<Pair<'t>> {
    let bytes = text.as_bytes();
    loop {
        let separator = *at + memchr::memchr2(b'=', b':', bytes.get(*at..)?)?;
        let colon = bytes[separator] == b':';
        *at = separator + 1;
        match (colon, bytes.get(separator + 1)) {
            // `std::fmt`, `https://`: no key.
            (true, Some(next @ (b':' | b'/')))
                if *next == b':' || bytes.get(separator + 2) == Some(&b'/') =>
            {
                *at += 1;
                continue;
            }
            (false, Some(b'=' | b'>')) | (true, Some(b'=')) => *at += 1,
            (_, None) => return None,
            _ => {}
        }
        if let Some((start, end, quote)) = key_before(bytes, separator)
            && let Some(key) = text.get(start..end)
        {
            let name = if matches!(bytes[end], b']' | b'%') {
                start_of_form(bytes, start)
            } else {
                start
            };
            let before = &bytes[..name];
            // The `&` may be written out, as in the JSON that Go writes.
            let is_parameter =
                matches!(before.last(), Some(b'?' | b'&' | b';')) || before.ends_with(b"\\u0026");
            return Some(Pair {
                key,
                separator,
                after: *at,
                colon,
                quote,
                in_query: !colon && quote.is_none() && is_parameter,
            });
        }
    }
}

/// A key and its quotes are no longer than this.
const LONGEST_KEY: usize = 128;

type Quote = (u8, usize);

fn key_before(text: &[u8], separator: usize) -> Option<(usize, usize, Option<Quote>)> {
    // No separator is among them, so that each is walked over once.
    let before = text[..separator].iter().rev();
    let gap = before.take_while(|byte| is_space(**byte)).count();
    let mut end = separator - gap;
    let gap = &text[end..separator];
    // `headers["cookie"] = …`
    if end > 1 && text[end - 1] == b']' && matches!(text[end - 2], b'"' | b'\'') {
        end -= 1;
    }
    match end.checked_sub(1).map(|last| text[last]) {
        Some(mark @ (b'"' | b'\'')) => {
            let slashes = backslashes_before(text, end - 1);
            let end = end - 1 - slashes;
            let from = end.saturating_sub(LONGEST_KEY);
            match memchr::memrchr(mark, &text[from..end]) {
                Some(open) => {
                    let start = from + open + 1;
                    (start < end).then_some((start, end, Some((mark, slashes))))
                }
                // What opened the quotes was cut off.
                None => plain_key(text, end),
            }
        }
        // Only JSON has line breaks there.
        _ if gap.iter().any(|byte| !matches!(byte, b' ' | b'\t')) => None,
        Some(b']' | b'd' | b'D')
            if gap.is_empty()
                && text[separator] == b'='
                && without_bracket(&text[..end], b']').is_some() =>
        {
            form_key(text, end)
        }
        _ => plain_key(text, end),
    }
}

/// `user[password]=`, `user[pins][]=`: a field of a form, whose brackets may be encoded.
fn form_key(text: &[u8], end: usize) -> Option<(usize, usize, Option<Quote>)> {
    let text = &text[..end];
    let text = without_bracket(text, b']')
        .and_then(|list| without_bracket(list, b'['))
        .unwrap_or(text);
    let text = without_bracket(text, b']')?;
    let (start, end, quote) = plain_key(text, text.len())?;
    if text[..start].ends_with(b"[") {
        return Some((start, end, quote));
    }
    let is_encoded = text[..start].ends_with(b"%") && text[start..].starts_with(b"5");
    (is_encoded && text[start + 1].eq_ignore_ascii_case(&b'B') && start + 2 < end).then_some((
        start + 2,
        end,
        quote,
    ))
}

fn without_bracket(text: &[u8], bracket: u8) -> Option<&[u8]> {
    let encoded = if bracket == b'[' { b"%5B" } else { b"%5D" };
    text.strip_suffix(&[bracket]).or_else(|| {
        let (before, last) = text.split_last_chunk::<3>()?;
        last.eq_ignore_ascii_case(encoded).then_some(before)
    })
}

/// Where the name of a field of a form begins, of which a part in brackets is at `part`.
fn start_of_form(text: &[u8], part: usize) -> usize {
    let before = &text[part.saturating_sub(LONGEST_KEY)..part];
    let is_part = |byte: &&u8| Set::LOCAL_PART.has(**byte) || matches!(byte, b'[' | b']');
    part - before.iter().rev().take_while(is_part).count()
}

fn plain_key(text: &[u8], end: usize) -> Option<(usize, usize, Option<Quote>)> {
    // `\npassword=`, where the line break is written out.
    let start = after_escape(text, start_of_key(text, end)).min(end);
    // The hour of a time is no key, and no rule has a name of one letter.
    let letters = text[start..end]
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii());
    (letters.take(2).count() == 2).then_some((start, end, None))
}

/// Letters beyond ASCII may look like others: a key with them begins where it seems to.
fn start_of_key(text: &[u8], end: usize) -> usize {
    let start = Set::KEY.run_back(text, end, LONGEST_KEY);
    if start == 0 || text[start - 1].is_ascii() {
        return start;
    }
    let before = &text[end.saturating_sub(LONGEST_KEY)..end];
    let is_part = |byte: &&u8| Set::KEY.has(**byte) || !byte.is_ascii();
    let start = end - before.iter().rev().take_while(is_part).count();
    // Not in the middle of a character.
    let is_rest = |byte: &&u8| **byte & 0xC0 == 0x80;
    start + text[start..end].iter().take_while(is_rest).count()
}

fn backslashes_before(text: &[u8], at: usize) -> usize {
    text[..at]
        .iter()
        .rev()
        .take_while(|byte| **byte == b'\\')
        .count()
}

impl Value {
    /// Where the next key may be: a value may end in one, whose own value comes after it.
    pub(crate) fn next(&self, text: &[u8]) -> usize {
        let hidden = text[self.start..self.end].trim_ascii_end();
        let hidden = hidden.strip_suffix(b">").unwrap_or(hidden);
        match hidden.last() {
            Some(b'=' | b':') => {
                let again = hidden
                    .iter()
                    .rev()
                    .take_while(|byte| **byte == b'=')
                    .count();
                self.start + hidden.len() - again.max(1)
            }
            _ => self.end,
        }
    }
}

impl Pair<'_> {
    /// Where its value may begin.
    pub(crate) fn after(&self) -> usize {
        self.after
    }

    /// True if it may be a key of its own though it stands in a hidden value, which ends at `end`: what is hidden may have run over the
    /// end of a string, and into the value of the key after it.
    pub(crate) fn may_go_on(&self, text: &[u8], end: usize) -> bool {
        let rest = text.get(self.after..end).unwrap_or_default();
        let slashes = rest.iter().take_while(|byte| b" \t\\".contains(byte));
        let value = &rest[slashes.count()..];
        self.separator >= end
            || self.quote.is_some()
            || self.in_query
            || rest.trim_ascii_start().is_empty()
            || matches!(value.first(), Some(b'"' | b'\''))
    }

    /// Where the value must end that stands in JSON: at the end of the string that the key is part of.
    pub(crate) fn place(&mut self, document: &Document) -> usize {
        match document.string_at(self.after - 1) {
            Some((_, end)) => end,
            None => {
                self.quote = Some((b'"', 0));
                usize::MAX
            }
        }
    }

    /// The value; nothing if there is none, or one that tells nothing.
    ///
    /// `header` values go on to the end of the line.
    pub(crate) fn value(&self, text: &[u8], header: bool) -> Option<Value> {
        let mut start = self.after.min(text.len());
        let is_gap = |byte: &u8| match self.quote {
            Some(_) => is_space(*byte),
            None => matches!(byte, b' ' | b'\t'),
        };
        start += text[start..].iter().take_while(|byte| is_gap(byte)).count();
        let slashes = text[start..]
            .iter()
            .take_while(|byte| **byte == b'\\')
            .count();
        let value = match text.get(start + slashes)? {
            mark @ (b'"' | b'\'' | b'`') => {
                let start = start + slashes + 1;
                Value {
                    start,
                    end: closing_quote(text, start, *mark, slashes),
                    quoted: true,
                    needs_quotes: None,
                }
            }
            _ => {
                // There is no space in a URL.
                let end = if self.in_query && start == self.after {
                    end_of_parameter(text, start)
                } else if header && self.colon && self.quote.is_none() && !is_debug(&text[start..])
                {
                    if is_hidden(&text[start..]) {
                        return None;
                    }
                    let end = end_of_header(text, start, open_quote(text, self.after));
                    // What `Debug` puts in brackets has quotes in it, and lines with `{:#?}`.
                    let word = Set::WORD.run(text, start);
                    match text.get(word) {
                        Some(b'(' | b'[' | b'{' | b' ') => end.max(end_of_bare(text, start)),
                        _ => end,
                    }
                } else {
                    end_of_bare(text, start)
                };
                let needs_quotes = self
                    .quote
                    .filter(|(mark, _)| *mark == b'"')
                    .map(|(_, slashes)| slashes);
                Value {
                    start,
                    end,
                    quoted: false,
                    needs_quotes,
                }
            }
        };
        let says = &text[value.start..value.end];
        let nothing = says.iter().all(|byte| *byte == b'*')
            || says == REDACTED.as_bytes()
            || NOTHING
                .iter()
                .any(|word| says.eq_ignore_ascii_case(word.as_bytes()));
        (!nothing).then_some(value)
    }
}

/// Values that keep no secret.
const NOTHING: [&str; 7] = ["null", "none", "nil", "true", "false", "undefined", "Some("];

/// Where the text in quotes ends: at the closing one, or at the end of everything.
fn closing_quote(text: &[u8], start: usize, mark: u8, slashes: usize) -> usize {
    let mut at = start;
    while let Some(found) = memchr::memchr(mark, &text[at..]) {
        let quote = at + found;
        let run = backslashes_before(&text[start..], quote - start);
        // In a string in a string each quote has one backslash more, and each backslash is two: the quote that closes has as many
        // as the one that opened, beside pairs. One with less closes a string around this one.
        if run < slashes || run % (2 * (slashes + 1)) == slashes {
            return quote - run.min(slashes);
        }
        at = quote + 1;
    }
    text.len()
}

/// The place after the quote that closes the string whose quote is at `at`.
fn after_string(text: &[u8], at: usize) -> usize {
    let slashes = backslashes_before(text, at);
    let end = closing_quote(text, at + 1, text[at], slashes);
    (end + slashes + 1).min(text.len())
}

fn end_of_parameter(text: &[u8], start: usize) -> usize {
    let rest = &text[start..];
    let is_end = |byte: &u8| is_space(*byte) || b"&#\"'<>;\\".contains(byte);
    start + rest.iter().position(is_end).unwrap_or(rest.len())
}

/// Whether it is the `Debug` of an option or of a list rather than the value of a header: it ends with its bracket.
fn is_debug(value: &[u8]) -> bool {
    let begins = |with: &&str| value.starts_with(with.as_bytes());
    ["Some(", "[\"", "[("].iter().any(begins)
}

/// Whether a value was hidden before, which is all of it: in the `Debug` of a struct what follows is another field.
fn is_hidden(value: &[u8]) -> bool {
    let after = value.strip_prefix(REDACTED.as_bytes());
    after.is_some_and(|after| {
        matches!(
            after.first(),
            None | Some(b',' | b'\r' | b'\n' | b'"' | b'\'')
        )
    })
}

/// At the end of the line, written out or not, and of the string that the header is in.
fn end_of_header(text: &[u8], start: usize, quote: Option<Quote>) -> usize {
    let rest = &text[start..];
    let line = memchr::memchr2(b'\r', b'\n', rest).map_or(text.len(), |end| start + end);
    let Some((mark, slashes)) = quote else {
        return line;
    };
    let end = closing_quote(&text[..line], start, mark, slashes);
    let is_line_break = |two: &[u8]| matches!(two, [b'\\', b'n' | b'r']);
    let written = text[start..end].windows(2).position(is_line_break);
    // Each backslash before it is part of it.
    written.map_or(end, |at| {
        start + at - backslashes_before(&text[start..], at)
    })
}

/// The quote of a string that was opened on this line and not closed, as far as a short look back tells: the innermost one, as a
/// string in a string has quotes with more backslashes. One of `'` may be an apostrophe.
fn open_quote(text: &[u8], at: usize) -> Option<Quote> {
    let from = at.saturating_sub(512);
    let line = memchr::memrchr(b'\n', &text[from..at]).map_or(from, |end| from + end + 1);
    let line = &text[line..at];
    // One bit a number of backslashes; strings are in one another no deeper.
    let mut open = 0_u64;
    for quote in memchr::memchr_iter(b'"', line) {
        let bit = 1 << backslashes_before(line, quote).min(63);
        // What is in a string ends with it.
        open = (open ^ bit) & (bit | (bit - 1));
    }
    if let Some(slashes) = open.checked_ilog2() {
        return Some((b'"', slashes as usize));
    }
    let is_open = memchr::memchr_iter(b'\'', line).count() % 2 == 1;
    let opened = memchr::memrchr(b'\'', line).filter(|_| is_open)?;
    Some((b'\'', backslashes_before(line, opened)))
}

/// Where a value without quotes around it ends. One in brackets ends with them: `Some("…")`, `Secret { … }`, `[…]`.
fn end_of_bare(text: &[u8], start: usize) -> usize {
    let mut at = start;
    let mut word = true;
    while let Some(byte) = text.get(at) {
        match byte {
            b'(' | b'[' | b'{' if word => return after_bracket(text, closing_bracket(text, at)),
            b'"' | b'\'' if word && at > start => {
                return after_bracket(text, after_string(text, at));
            }
            // `Secret { … }`, and `Array […]` as `serde_json` has it.
            b' ' if word
                && matches!(text.get(at + 1), Some(b'{' | b'['))
                && text[start].is_ascii_uppercase() =>
            {
                return closing_bracket(text, at + 1);
            }
            // A scheme, and the credential after it.
            b' ' if SCHEMES
                .iter()
                .any(|scheme| text[start..at].eq_ignore_ascii_case(scheme.as_bytes())) =>
            {
                let next = at + 1;
                let rest = text[next..]
                    .iter()
                    .take_while(|byte| !is_end_of_bare(**byte))
                    .count();
                return next + rest;
            }
            byte if is_end_of_bare(*byte) => break,
            byte => word &= Set::WORD.has(*byte),
        }
        at += 1;
    }
    at
}

/// Where a value ends that has brackets or quotes in it, which end at `at`: what is around it may be closed right after it.
fn after_bracket(text: &[u8], at: usize) -> usize {
    let rest = &text[at..];
    let rest = rest
        .iter()
        .take_while(|byte| !is_end_of_bare(**byte))
        .count();
    let closing = text[at..at + rest].iter().rev();
    at + rest
        - closing
            .take_while(|byte| matches!(byte, b')' | b']'))
            .count()
}

fn is_end_of_bare(byte: u8) -> bool {
    is_space(byte) || b",;&}\"'\\".contains(&byte)
}

const SCHEMES: [&str; 6] = ["bearer", "basic", "token", "digest", "negotiate", "apikey"];

/// The place after the bracket that closes the one at `at`; the end, if none does.
fn closing_bracket(text: &[u8], at: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = at;
    while let Some(byte) = text.get(at) {
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

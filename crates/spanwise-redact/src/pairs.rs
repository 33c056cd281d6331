//! Keys with their values inside a text: `key=value`, JSON, the `Debug` of a struct, headers, parameters of a URL.

use crate::bytes::{Set, is_space};

/// A key in a text, and where to look for its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair<'t> {
    pub(crate) key: &'t str,
    /// After the `=` or `:`.
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
            (true, Some(b':' | b'/')) => {
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
            let before = start.checked_sub(1).map(|before| bytes[before]);
            return Some(Pair {
                key,
                after: *at,
                colon,
                quote,
                in_query: !colon && quote.is_none() && matches!(before, Some(b'?' | b'&' | b';')),
            });
        }
    }
}

/// A key and its quotes are no longer than this.
const LONGEST_KEY: usize = 128;

type Quote = (u8, usize);

fn key_before(text: &[u8], separator: usize) -> Option<(usize, usize, Option<Quote>)> {
    // No separator is among them, so that each is walked over once.
    let spaces = text[..separator]
        .iter()
        .rev()
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count();
    let mut end = separator - spaces;
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
        _ => plain_key(text, end),
    }
}

fn plain_key(text: &[u8], end: usize) -> Option<(usize, usize, Option<Quote>)> {
    let mut start = Set::KEY.run_back(text, end, LONGEST_KEY);
    // `\npassword=`, where the line break is written out.
    let escaped = start > 0
        && text[start - 1] == b'\\'
        && matches!(text.get(start), Some(b'n' | b'r' | b't'));
    start += usize::from(escaped);
    // The hour of a time is no key, and no rule has a name of one letter.
    let letters = text[start..end]
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic());
    (letters.take(2).count() == 2).then_some((start, end, None))
}

fn backslashes_before(text: &[u8], at: usize) -> usize {
    text[..at]
        .iter()
        .rev()
        .take_while(|byte| **byte == b'\\')
        .count()
}

impl Pair<'_> {
    /// The value; nothing if there is none, or one that tells nothing.
    ///
    /// `header` values go on to the end of the line.
    pub(crate) fn value(&self, text: &[u8], header: bool) -> Option<Value> {
        let mut start = self.after;
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
                let end = if self.in_query {
                    end_of_parameter(text, start)
                } else if header && self.colon && self.quote.is_none() {
                    let line = end_of_line(text, start, is_in_quotes(text, self.after));
                    // What `Debug` puts in brackets has quotes in it, and lines with `{:#?}`.
                    line.max(end_of_bare(text, start))
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
            || says.starts_with(b"[REDACTED]")
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

fn end_of_line(text: &[u8], start: usize, in_quotes: bool) -> usize {
    let rest = &text[start..];
    let is_end = |byte: &u8| match byte {
        b'\r' | b'\n' => true,
        b'"' | b'\'' | b'\\' => in_quotes,
        _ => false,
    };
    start + rest.iter().position(is_end).unwrap_or(rest.len())
}

/// True if a string was opened on this line and not closed, as far as a short look back tells.
fn is_in_quotes(text: &[u8], at: usize) -> bool {
    let before = text[at.saturating_sub(512)..at].iter().rev();
    let line = before.take_while(|byte| **byte != b'\n');
    let (double, single) = line.fold((0, 0), |(double, single), byte| match byte {
        b'"' => (double + 1, single),
        b'\'' => (double, single + 1),
        _ => (double, single),
    });
    double % 2 == 1 || single % 2 == 1
}

/// Where a value without quotes around it ends. One in brackets ends with them: `Some("…")`, `Secret { … }`, `[…]`.
fn end_of_bare(text: &[u8], start: usize) -> usize {
    let mut at = start;
    let mut word = true;
    while let Some(byte) = text.get(at) {
        match byte {
            b'(' | b'[' | b'{' if word => return closing_bracket(text, at),
            b'"' | b'\'' if word && at > start => return after_string(text, at),
            b' ' if word && text.get(at + 1) == Some(&b'{') && text[start].is_ascii_uppercase() => {
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

//! Finds pairs in a text: keys with a value, such as `password=hunter2`.
//!
//! The lexer returns every pair, with the position at which its value may begin. Then the key rules
//! decide whether to hide the value, and only then is its end searched. The grammar:
//!
//! ```text
//! pair      = key gap separator gap value
//! key       = name [ " (" remark ")" ]      ; password, db.password, X-Api-Key, --token, -Dtoken
//!           | word " key " number         ; Unseal Key 1
//!           | "`" name "`" | "[" name "]" ; a column of SQL
//!           | "(" name { ", " name } ")"  ; before "=(": Key (token)=(…)
//!           | quote text quote            ; "password", 'password', \"password\"
//!           | name { "[" index "]" }      ; password[], password[0]
//!           | name "[" name "]" …         ; user[password], user%5Bpassword%5D, pins[a][]
//!           | name "[" quote text quote "]"       ; headers["cookie"]
//!           | word " " name             ; API key, seed phrase
//! name      = letters, digits and the other bytes of `ByteClass::KEY`
//! word      = ASCII letters
//! index     = digits, or nothing
//! remark    = letters, digits, spaces, "-" and "_"        ; seed phrase (12 words)
//! separator = "=" | ":" | "=>" | "==" | ":=" | "?=" | "+=" | "||="
//! gap       = { space | tab | color-code }        ; after a key in quotes also line breaks
//! value     = quote text quote            ; with \" and with '' or "" in it, and with """ … """
//!           | "|" line-break { indented-line }     ; a block of YAML
//!           | line-break indent run       ; alone on the next line, which is indented more
//!           | { line-break "- " item }    ; a list of YAML; an item is the rest of its line
//!           | header                      ; after ":": to the end of the line or of the string
//!           | name "(" … ")" | name "{" … "}" | "[" … "]"  ; Debug: to the closing bracket
//!           | name quote text quote       ; r"…", N'…'
//!           | scheme space run            ; Bearer …, Basic …: an authentication scheme
//!           | run
//! ```
//!
//! A *color-code* is a code of a terminal ([`color_codes`]).
//!
//! A *header* is the value of a key that names an HTTP header, such as `Cookie`.
//!
//! A pair may be written as two pairs: `name: API_TOKEN`, directly followed by `value: …`.
//!
//! A *run* extends to white space or to a mark that separates pairs. The notation of the pair
//! ([`Notation`](crate::value_end::Notation)) decides which marks do:
//!
//! - In the query of a URL: `&`, `;`, or the `#` of a fragment.
//! - In a connection string, where a `;` precedes the pair: only `;`. The run may contain spaces.
//! - In a form, where a `&` precedes the pair outside of a query: only `&`.
//! - In any other text: `,`, `;` or `&`.
//!
//! A `,`, `;` or `&` separates pairs only before white space, a bracket, a quote, a key or the end
//! of the text.
//!
//! A pair directly after `?`, `&` or `;` is in a query if a `?` or the `://` of a web URL precedes
//! the pair, without white space in between. A name between `::` and `:` is a module, not a key. A
//! backslash before a name may begin an escape (`\ntoken=`) or a path segment (`C:\token=`), so
//! both readings are tried.

use crate::{
    byte_class::ByteClass,
    byte_search::{
        after_escape, backslashes_before, ends_with_word, find2, is_space, rfind, run_end,
        run_start,
    },
    color_codes,
    normalized_key::MAX_KEY_LEN,
    scan_cost,
    value_end::Quote,
};

/// A key in a text, with the position of its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair<'t> {
    pub(crate) key: &'t str,
    /// Other ways to read the key. The first is without the letter of an escape (`\ntoken`) or of
    /// an option (`-Dtoken`). The second is [`KeySpan::outer_name`].
    other_readings: [Option<&'t str>; 2],
    /// The start of the name that contains the key, such as `user[password]`. If the key has no
    /// brackets, the start of the key.
    pub(crate) name_start: usize,
    /// The position of the `=` or `:`.
    pub(crate) separator_at: usize,
    /// The end of the separator.
    pub(crate) separator_end: usize,
    /// Whether the separator begins with `:`.
    pub(crate) is_colon: bool,
    /// The quotes around the key, and the number of backslashes before each.
    pub(crate) key_quote: Option<Quote>,
    /// Whether the pair has a `=` and directly follows a `?`, `&` or `;`. If so, it may belong to a
    /// query, a form or a connection string.
    pub(crate) may_be_parameter: bool,
}

/// Returns the next pair whose separator is at `*at` or later, and moves `*at` past the separator.
pub(crate) fn next_pair<'t>(text: &'t str, at: &mut usize) -> Option<Pair<'t>> {
    let bytes = text.as_bytes();
    loop {
        let separator_at = find2(bytes, *b"=:", *at)?;
        let is_colon = bytes[separator_at] == b':';
        *at = separator_at + 1;
        match (is_colon, bytes.get(separator_at + 1)) {
            // `std::fmt` and `https://` contain no key.
            (true, Some(next @ (b':' | b'/')))
                if *next == b':' || bytes.get(separator_at + 2) == Some(&b'/') =>
            {
                *at += 1;
                continue;
            }
            (false, Some(b'=' | b'>')) | (true, Some(b'=')) => *at += 1,
            (_, None) => return None,
            _ => {}
        }
        if let Some(span) = key_before(bytes, separator_at)
            && let Some(key) = text.get(span.start..span.end)
        {
            let before = &bytes[..span.name_start];
            // A module name follows `::`, and a user name follows `://`.
            let is_module_or_user = before.ends_with(b"::") || before.ends_with(b"://");
            let is_arrow = bytes.get(separator_at + 1) == Some(&b'>');
            if (is_colon || is_arrow) && span.quote.is_none() && is_module_or_user {
                continue;
            }
            // The `&` may be escaped, for example by Go's JSON encoder.
            let may_be_parameter =
                matches!(before.last(), Some(b'?' | b'&' | b';')) || before.ends_with(b"\\u0026");
            let escape_end = after_escape(bytes, span.start);
            let without_escape = (escape_end > span.start && escape_end < span.end)
                .then(|| text.get(escape_end..span.end));
            // `-Dtoken=…`, `-etoken=…`
            let without_option = key.strip_prefix('-').filter(|key| !key.starts_with('-'));
            let without_option = without_option
                .and_then(|key| key.get(1..))
                .filter(|key| !key.is_empty());
            let outer_name = span
                .outer_name
                .and_then(|(start, end)| text.get(start..end));
            return Some(Pair {
                key,
                other_readings: [without_escape.flatten().or(without_option), outer_name],
                name_start: span.name_start,
                separator_at,
                separator_end: *at,
                is_colon,
                key_quote: span.quote,
                may_be_parameter: !is_colon && span.quote.is_none() && may_be_parameter,
            });
        }
    }
}

/// The maximum length of a remark in parentheses after a key, in bytes.
const MAX_REMARK_LEN: usize = 32;

const BACKTICK: u8 = 0x60;

/// The range of a key, and of the names and quotes around it.
struct KeySpan {
    start: usize,
    end: usize,
    /// See [`Pair::name_start`].
    name_start: usize,
    /// The range of a second name to read as the key: the one before the brackets, such as `user`,
    /// or the first of several columns.
    outer_name: Option<(usize, usize)>,
    /// The quotes around the key, and the number of backslashes before each.
    quote: Option<Quote>,
}

impl KeySpan {
    fn new(start: usize, end: usize, quote: Option<Quote>) -> Self {
        Self {
            start,
            end,
            name_start: start,
            outer_name: None,
            quote,
        }
    }
}

/// Returns the key before the separator at `separator_at`, or `None` if there is none.
fn key_before(text: &[u8], separator_at: usize) -> Option<KeySpan> {
    if let Some(number_start) = number_start(&text[..separator_at]) {
        // Most colons after a number are in a time such as `12:30`. A check of two bytes excludes
        // them, because in a key with a number (`Unseal Key 1`), `y ` precedes the number.
        let may_have_key = matches!(&text[..number_start], [.., b'y' | b'Y', b' ']);
        return may_have_key
            .then(|| numbered_key(text, number_start, separator_at))
            .flatten();
    }
    // No other separator is in this white space, so each byte is read only once.
    let gap_start = run_start(text, separator_at, separator_at, is_space);
    let gap = &text[gap_start..separator_at];
    let mut end = color_codes::before(text, gap_start);
    let is_one_line = gap.iter().all(|byte| matches!(byte, b' ' | b'\t'));
    // An escaped tab: `key\\t=\\tvalue`.
    while end > 1 && text[end - 1] == b't' && text[end - 2] == b'\\' {
        end = run_start(text, end - 1, end - 1, |byte| byte == b'\\');
    }
    // `KEY ?= …`, `key ||= …`, `**key**: …`
    let marks_start = run_start(text, end, 2, |byte| b"?+|*".contains(&byte));
    if marks_start < end {
        end = run_start(text, marks_start, 4, |byte| byte == b' ');
    }
    // `seed phrase (12 words): …`
    if gap.is_empty() && text[..end].ends_with(b")") {
        if text[separator_at..].starts_with(b"=(")
            && let Some(key) = column_key(text, end)
        {
            return Some(key);
        }
        let remark_start = run_start(text, end - 1, MAX_REMARK_LEN, |byte| {
            byte.is_ascii_alphanumeric() || b" -_".contains(&byte)
        });
        if text[..remark_start].ends_with(b" (") {
            end = remark_start - 2;
        }
    }
    // `headers["cookie"] = …`
    if end > 1 && text[end - 1] == b']' && matches!(text[end - 2], b'"' | b'\'') {
        end -= 1;
    }
    match end.checked_sub(1).map(|last| text[last]) {
        Some(mark @ (b'"' | b'\'')) => {
            let slashes = backslashes_before(text, end - 1);
            let end = end - 1 - slashes;
            let from = end.saturating_sub(MAX_KEY_LEN);
            match rfind(&text[from..end], mark) {
                Some(open_at) => {
                    let start = from + open_at + 1;
                    (start < end).then(|| KeySpan::new(start, end, Some((mark, slashes))))
                }
                // The opening quote is not in the text, or too far away.
                None => plain_key(text, end),
            }
        }
        // Only JSON has line breaks between a key and its separator. But JSON keys have quotes.
        _ if !is_one_line => None,
        // A column of MySQL.
        Some(BACKTICK) => {
            plain_key(text, end - 1).filter(|key| text[..key.start].ends_with(&[BACKTICK]))
        }
        Some(b']' | b'd' | b'D')
            if (gap.is_empty()
                || text.get(separator_at + 1) == Some(&b'>')
                || ends_with_column(&text[..end]))
                && text[separator_at] == b'='
                && without_bracket(&text[..end], b']').is_some() =>
        {
            form_key(text, end)
        }
        _ => plain_key(text, end),
    }
}

/// Returns the start of the last word if it consists of digits and dots, such as the hour of a
/// time. A number cannot be a key. In a log, a number precedes most colons.
#[inline]
fn number_start(text: &[u8]) -> Option<usize> {
    let is_number_byte = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    let start = run_start(text, text.len(), MAX_KEY_LEN, is_number_byte);
    let is_before_word = |before: &u8| before.is_ascii() && !ByteClass::KEY.has(*before);
    let is_number = start < text.len() && text[..start].last().is_none_or(is_before_word);
    is_number.then_some(start)
}

/// Returns whether a text ends with a column of SQL Server in brackets: `SET [password]`, but not
/// `names[token]`.
fn ends_with_column(text: &[u8]) -> bool {
    let end = text.len().saturating_sub(1);
    let start = ByteClass::KEY.run_start(text, end, MAX_KEY_LEN);
    matches!(
        &text[..start],
        [b'['] | [.., b' ' | b'(' | b',' | b'.', b'[']
    )
}

/// Returns the key of `Key (token)=(…)`, with which PostgreSQL reports a duplicate value. The
/// parentheses that end at `end` may name several columns. The last one is the key, and the first
/// one is its outer name.
fn column_key(text: &[u8], end: usize) -> Option<KeySpan> {
    const MAX_LEN: usize = 256;
    let list_end = run_start(text, end, 3, |byte| b")\"".contains(&byte));
    let list_start = run_start(text, list_end, MAX_LEN, |byte| {
        ByteClass::KEY.has(byte) || b", \"(".contains(&byte)
    });
    let list_start = list_start
        + text[list_start..list_end]
            .iter()
            .position(|byte| *byte == b'(')?;
    // `len(token)=(…)` is a function call.
    if list_start > 0 && ByteClass::KEY.has(text[list_start - 1]) {
        return None;
    }
    let first_start = run_end(text, list_start, |byte| b"(\"".contains(&byte));
    let first_end = ByteClass::KEY.run_end(&text[..list_end], first_start);
    let mut key = plain_key(text, list_end)?;
    key.outer_name = (first_end < key.start).then_some((first_start, first_end));
    Some(key)
}

/// Returns the key of `Unseal Key 1: …`. Its number begins at `number_start`, and has at most two
/// digits.
#[cold]
fn numbered_key(text: &[u8], number_start: usize, separator_at: usize) -> Option<KeySpan> {
    let (before, number) = text[..separator_at].split_at(number_start);
    let is_match = text[separator_at] == b':'
        && number.len() <= 2
        && number.iter().all(u8::is_ascii_digit)
        && ends_with_word(before, b"key ");
    is_match
        .then(|| plain_key(text, number_start - 1))
        .flatten()
}

/// Returns the key of a form field with brackets, which may be percent-encoded: `user[password]=`,
/// `user[pins][]=`, `password[0]=`.
fn form_key(text: &[u8], end: usize) -> Option<KeySpan> {
    let mut text = &text[..end];
    // Skips indexes such as `[0]` and `[]`, because they are not names.
    while let Some(inside) = without_bracket(text, b']') {
        let index_start = ByteClass::DIGIT.run_start(inside, inside.len(), 8);
        match without_bracket(&inside[..index_start], b'[') {
            Some(before) => text = before,
            None => break,
        }
    }
    let Some(inner) = without_bracket(text, b']') else {
        return plain_key(text, text.len());
    };
    let mut key = plain_key(inner, inner.len())?;
    let start = key.start;
    // The start of the opening bracket.
    let bracket_at = if inner[..start].ends_with(b"[") {
        start - 1
    } else {
        // In `user%5Bpassword`, `plain_key` returns `5Bpassword`, because `%` does not belong to a
        // key. Skip the `5B` of the encoded bracket.
        let is_encoded = inner[..start].ends_with(b"%") && inner[start..].starts_with(b"5");
        if !is_encoded || !inner[start + 1].eq_ignore_ascii_case(&b'B') || start + 2 >= key.end {
            return None;
        }
        key.start += 2;
        start - 1
    };
    key.name_start = start_of_form_name(text, bracket_at);
    let outer_end = ByteClass::KEY.run_end(&text[..bracket_at], key.name_start);
    key.outer_name = (outer_end > key.name_start).then_some((key.name_start, outer_end));
    Some(key)
}

/// Returns the text before the final bracket, which may be percent-encoded. Returns `None` if the
/// text does not end with `bracket`.
fn without_bracket(text: &[u8], bracket: u8) -> Option<&[u8]> {
    let encoded = if bracket == b'[' { b"%5B" } else { b"%5D" };
    text.strip_suffix(&[bracket]).or_else(|| {
        let (before, last) = text.split_last_chunk::<3>()?;
        last.eq_ignore_ascii_case(encoded).then_some(before)
    })
}

/// Returns the start of the name of a form field with a bracket at `bracket_at`.
fn start_of_form_name(text: &[u8], bracket_at: usize) -> usize {
    run_start(text, bracket_at, MAX_KEY_LEN, |byte| {
        ByteClass::LOCAL_PART.has(byte) || matches!(byte, b'[' | b']')
    })
}

/// Returns the key that ends at `end`, if it has at least two letters.
fn plain_key(text: &[u8], end: usize) -> Option<KeySpan> {
    let mut start = color_codes::after_parameters(text, start_of_key(text, end)).min(end);
    // In `\u0026sig=`, the key begins after the escape.
    let escape_end = after_escape(text, start);
    if escape_end > start + 1 {
        start = escape_end.min(end);
    }
    // No rule has a name of one letter. This also excludes a time such as `2026-12-01T09`.
    let letters = text[start..end]
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii());
    scan_cost::add(end - start);
    (letters.take(2).count() == 2).then(|| KeySpan::new(start, end, None))
}

/// Returns the start of the key that ends at `end`. Non-ASCII letters belong to a key, because they
/// may look like ASCII letters.
fn start_of_key(text: &[u8], end: usize) -> usize {
    let start = ByteClass::KEY.run_start(text, end, MAX_KEY_LEN);
    if start == 0 || text[start - 1].is_ascii() {
        return start;
    }
    let start = run_start(text, end, MAX_KEY_LEN, |byte| {
        ByteClass::KEY.has(byte) || !byte.is_ascii()
    });
    // Do not start in the middle of a character.
    run_end(&text[..end], start, |byte| byte & 0xC0 == 0x80)
}

impl<'t> Pair<'t> {
    /// Returns the ways to read the key, the most likely first.
    pub(crate) fn readings(&self, text: &'t str) -> impl Iterator<Item = &'t str> + use<'t> {
        let (start, end) = (self.name_start, self.name_start + self.key.len());
        // In `API key: …`, the key may be only the second word of a name.
        let may_be_second_word = self.key_quote.is_none()
            && text.get(start..end) == Some(self.key)
            && SECOND_WORDS
                .iter()
                .chain(&AMBIGUOUS_SECOND_WORDS)
                .any(|word| self.key.eq_ignore_ascii_case(word));
        let first_word_starts = move || {
            may_be_second_word
                .then(|| word_starts_before(text, start))
                .flatten()
        };
        let starts = std::iter::once_with(first_word_starts).flatten().flatten();
        let two_word_keys = starts.filter_map(move |from| text.get(from..end));
        std::iter::once(self.key)
            .chain(self.other_readings.into_iter().flatten())
            .chain(two_word_keys)
    }

    /// Returns the key with the word before it, if both are words without quotes: `first pass: …`.
    pub(crate) fn key_in_prose(&self, text: &'t str) -> Option<&'t str> {
        let end = self.name_start + self.key.len();
        let is_unquoted = self.is_colon && self.key_quote.is_none();
        let is_key = is_unquoted && text.get(self.name_start..end) == Some(self.key);
        let [word_start, _] = is_key
            .then(|| word_starts_before(text, self.name_start))
            .flatten()?;
        text.get(word_start..end)
    }

    /// Returns the name that a pair such as `name: API_TOKEN` gives to the value in the next pair,
    /// `value: …`, and the end of the name.
    pub(crate) fn name_of_next_value(&self, text: &'t str) -> Option<(&'t str, usize)> {
        let is_match = ["name", "key"]
            .iter()
            .any(|key| self.key.eq_ignore_ascii_case(key));
        let near = &text.as_bytes()[..text.len().min(self.separator_end + MAX_KEY_LEN)];
        let start = is_match
            .then(|| run_end(near, self.separator_end, |byte| b" \"'\\".contains(&byte)))?;
        let end = ByteClass::KEY.run_end(near, start);
        let name = text.get(start..end).filter(|name| name.len() > 1)?;
        Some((name, end))
    }

    /// Returns whether the key is `value` and follows a name that ends at `end`, with only white
    /// space, quotes, commas and semicolons in between.
    pub(crate) fn is_value_after(&self, text: &[u8], end: usize) -> bool {
        let gap = text
            .get(end..self.name_start)
            .filter(|gap| gap.len() <= MAX_KEY_LEN);
        let is_gap = |gap: &[u8]| {
            let mut last = b' ';
            gap.iter().all(|byte| {
                let is_escape = last == b'\\' && b"nrt".contains(byte);
                last = *byte;
                is_escape || is_space(*byte) || b"\"'\\,;".contains(byte)
            })
        };
        self.key.eq_ignore_ascii_case("value") && gap.is_some_and(is_gap)
    }

    /// Returns whether the value of the pair may extend beyond `end`, the end of a hidden value. If
    /// it cannot, the whole pair is already hidden.
    pub(crate) fn may_extend_beyond(&self, text: &[u8], end: usize) -> bool {
        if self.separator_at >= end || self.key_quote.is_some() || self.may_be_parameter {
            return true;
        }
        let hidden = &text[..end];
        let value_start = run_end(hidden, self.separator_end, |byte| b" \t\\".contains(&byte));
        // `Debug` values extend past inner brackets: `Secret { a: ["…"] }`.
        let word_end = ByteClass::WORD.run_end(hidden, value_start);
        let bracket_at = run_end(hidden, word_end, |byte| byte == b' ');
        let is_debug = hidden.get(value_start).is_some_and(u8::is_ascii_uppercase)
            && matches!(hidden.get(bracket_at), Some(b'{' | b'(' | b'['));
        is_debug
            || matches!(hidden.get(value_start), None | Some(b'"' | b'\''))
            || run_end(hidden, value_start, is_space) >= end
    }
}

/// Second words in names of secrets: `API key`, `seed phrase`.
pub(crate) const SECOND_WORDS: [&str; 12] = [
    "key", "keys", "value", "code", "codes", "string", "phrase", "hash", "id", "no", "header",
    "data",
];

/// Second words that may also describe the first word: `card number` names a secret, `token name`
/// does not. Two words that end in one of these are not a key if a rule hides the first word alone:
/// see `Policy::rule_of_reading`.
#[rustfmt::skip]
const AMBIGUOUS_SECOND_WORDS: [&str; 10] = [
    "number", "name", "address", "words", "card", "date", "secret", "security", "assertion",
    "verifier",
];

/// Returns the possible starts of the word before the key at `start`: `seed phrase: …`. The two
/// starts differ only if a backslash precedes the word, because its first letter may belong to an
/// escape. The first start is after that letter, the second is at it.
fn word_starts_before(text: &str, start: usize) -> Option<[usize; 2]> {
    let bytes = text.as_bytes();
    let end = start.checked_sub(1).filter(|space| bytes[*space] == b' ')?;
    let letters_start = ByteClass::ALPHA.run_start(bytes, end, 16);
    let word_start = after_escape(bytes, letters_start).min(end);
    let before = letters_start.checked_sub(1).map(|last| bytes[last]);
    let is_whole_word =
        before.is_none_or(|before| !ByteClass::KEY.has(before) && !b"=:/".contains(&before));
    (is_whole_word && end > word_start + 1).then_some([word_start, letters_start])
}

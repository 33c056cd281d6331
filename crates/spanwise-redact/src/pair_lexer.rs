//! Keys with their values inside a text.
//!
//! The grammar, where `key` is one that a rule hides:
//!
//! ```text
//! pair      = key gap separator gap value
//! key       = name [ " (" remark ")" ]      ; password, db.password, X-Api-Key, --token, -Dtoken
//!           | quote text quote            ; "password", 'password', \"password\"
//!           | name { "[" index "]" }      ; password[], password[0]
//!           | name "[" name "]" …         ; user[password], user%5Bpassword%5D, pins[a][]
//!           | name "[" quote text quote "]"       ; headers["cookie"]
//!           | word " " name             ; API key, seed phrase
//! separator = "=" | ":" | "=>" | "==" | ":=" | "?=" | "+=" | "||="
//! gap       = { space | tab }             ; after a key in quotes also line breaks
//! value     = quote text quote            ; with \" and with '' or "" in it, and with """ … """
//!           | "|" line-break { indented-line }     ; a block of YAML
//!           | line-break indent run       ; alone on the next line, which is indented more
//!           | { line-break "- " item }    ; a list of YAML
//!           | header                      ; after ":": to the end of the line or of the string
//!           | name "(" … ")" | name "{" … "}" | "[" … "]"  ; Debug: to the bracket
//!           | name quote text quote       ; r"…", N'…'
//!           | scheme space run            ; Bearer …, Basic …
//!           | run                         ; to white space or to the separator in use
//! ```
//!
//! A pair may be written as two: `name: API_TOKEN` and, right after it, `value: …`.
//!
//! A *run* has no white space. Its end depends on where the pair stands ([`ValueContext`]):
//!
//! - in the query of a URL it ends at `&`, and at the `#` of a fragment;
//! - after a `;` it is a member of a connection string, with spaces in it, and ends at `;`;
//! - else it ends at `,`, `;` or `&` only if another key, a quote or nothing follows the mark.
//!
//! A pair is in a query if a `?` or the `://` of the web stands before it without white space
//! between. A name after `::` is that of a module, and no key before a `:`. A backslash before a
//! name may begin an escape (`\ntoken=`) or a part of a path (`C:\token=`): both are tried.

use crate::{
    byte_class::{
        ByteClass, after_escape, backslashes_before, find2, is_space, matches_at, rfind, run_end,
        run_start,
    },
    credential::{self, KeySubject, ValueReading},
    json_strings::JsonStrings,
    urls,
    value_end::{self, Quote, Value, ValueContext},
    work,
};

/// A key in a text, and where to look for its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair<'t> {
    pub(crate) key: &'t str,
    /// Other readings of the key: without the letter of an escape, and the name before brackets.
    others: [Option<&'t str>; 2],
    /// Where the name begins that the key is part of.
    name: usize,
    /// Where the `=` or `:` is.
    separator: usize,
    /// After it.
    after: usize,
    colon: bool,
    /// The quotes around the key: which, and how many backslashes before it.
    quote: Option<Quote>,
    /// A `?`, `&` or `;` stands before it.
    pub(crate) may_be_parameter: bool,
}

/// The next key with something after it, from `*at` on.
pub(crate) fn next<'t>(text: &'t str, at: &mut usize) -> Option<Pair<'t>> {
    let bytes = text.as_bytes();
    loop {
        let separator = find2(bytes, *b"=:", *at)?;
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
        if let Some(found) = key_before(bytes, separator)
            && let Some(key) = text.get(found.start..found.end)
        {
            let before = &bytes[..found.name];
            // What follows `::` is a name of a module.
            // and what follows `://` is a user.
            let is_none = before.ends_with(b"::") || before.ends_with(b"://");
            let is_arrow = bytes.get(separator + 1) == Some(&b'>');
            if (colon || is_arrow) && found.quote.is_none() && is_none {
                continue;
            }
            // The `&` may be written out, as in the JSON that Go writes.
            let may_be_parameter =
                matches!(before.last(), Some(b'?' | b'&' | b';')) || before.ends_with(b"\\u0026");
            let shorter = after_escape(bytes, found.start);
            let shorter = (shorter > found.start && shorter < found.end)
                .then(|| text.get(shorter..found.end));
            // `-Dtoken=…`, `-etoken=…`
            let option = key.strip_prefix('-').filter(|key| !key.starts_with('-'));
            let option = option
                .and_then(|key| key.get(1..))
                .filter(|key| !key.is_empty());
            let outer = found.outer.and_then(|(start, end)| text.get(start..end));
            return Some(Pair {
                key,
                others: [shorter.flatten().or(option), outer],
                name: found.name,
                separator,
                after: *at,
                colon,
                quote: found.quote,
                may_be_parameter: !colon && found.quote.is_none() && may_be_parameter,
            });
        }
    }
}

/// A key and its quotes are no longer than this.
const MAX_KEY_LEN: usize = 128;

/// What stands in brackets after a key is no longer than this.
const MAX_REMARK_LEN: usize = 32;

/// Where a key stands.
struct KeySpan {
    start: usize,
    end: usize,
    /// Where the name begins that it is part of.
    name: usize,
    /// The name before its brackets.
    outer: Option<(usize, usize)>,
    quote: Option<Quote>,
}

impl KeySpan {
    fn new(start: usize, end: usize, quote: Option<Quote>) -> Self {
        Self {
            start,
            end,
            name: start,
            outer: None,
            quote,
        }
    }
}

fn key_before(text: &[u8], separator: usize) -> Option<KeySpan> {
    // No separator is among them, so that each is walked over once.
    let mut end = run_start(text, separator, separator, is_space);
    let gap = &text[end..separator];
    let is_one_line = gap.iter().all(|byte| matches!(byte, b' ' | b'\t'));
    // A tab that is written out: `key\\t=\\tvalue`.
    while end > 1 && text[end - 1] == b't' && text[end - 2] == b'\\' {
        end = run_start(text, end - 1, end - 1, |byte| byte == b'\\');
    }
    // `KEY ?= …`, `key ||= …`, `**key**: …`
    let mark = run_start(text, end, 2, |byte| b"?+|*".contains(&byte));
    if mark < end {
        end = run_start(text, mark, 4, |byte| byte == b' ');
    }
    // `seed phrase (12 words): …`
    if gap.is_empty() && text[..end].ends_with(b")") {
        let open = run_start(text, end - 1, MAX_REMARK_LEN, |byte| {
            byte.is_ascii_alphanumeric() || b" -_".contains(&byte)
        });
        if text[..open].ends_with(b" (") {
            end = open - 2;
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
                Some(open) => {
                    let start = from + open + 1;
                    (start < end).then(|| KeySpan::new(start, end, Some((mark, slashes))))
                }
                // What opened the quotes was cut off.
                None => plain_key(text, end),
            }
        }
        // Only JSON has line breaks there.
        _ if !is_one_line => None,
        Some(b']' | b'd' | b'D')
            if (gap.is_empty() || text.get(separator + 1) == Some(&b'>'))
                && text[separator] == b'='
                && without_bracket(&text[..end], b']').is_some() =>
        {
            form_key(text, end)
        }
        _ => plain_key(text, end),
    }
}

/// `user[password]=`, `user[pins][]=`, `password[0]=`: a field of a form, whose brackets may be
/// encoded.
fn form_key(text: &[u8], end: usize) -> Option<KeySpan> {
    let mut text = &text[..end];
    // Elements of lists say nothing.
    while let Some(inside) = without_bracket(text, b']') {
        let index = ByteClass::DIGIT.run_start(inside, inside.len(), 8);
        match without_bracket(&inside[..index], b'[') {
            Some(before) => text = before,
            None => break,
        }
    }
    let Some(inner) = without_bracket(text, b']') else {
        return plain_key(text, text.len());
    };
    let mut found = plain_key(inner, inner.len())?;
    let start = found.start;
    let name = if inner[..start].ends_with(b"[") {
        start - 1
    } else {
        let is_encoded = inner[..start].ends_with(b"%") && inner[start..].starts_with(b"5");
        if !is_encoded || !inner[start + 1].eq_ignore_ascii_case(&b'B') || start + 2 >= found.end {
            return None;
        }
        found.start += 2;
        start - 1
    };
    found.name = start_of_form(text, name);
    let outer = ByteClass::KEY.run_end(&text[..name], found.name);
    found.outer = (outer > found.name).then_some((found.name, outer));
    Some(found)
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
    run_start(text, part, MAX_KEY_LEN, |byte| {
        ByteClass::LOCAL_PART.has(byte) || matches!(byte, b'[' | b']')
    })
}

fn plain_key(text: &[u8], end: usize) -> Option<KeySpan> {
    let mut start = start_of_key(text, end);
    // `\\u0026sig=`: no path has such a part.
    let escaped = after_escape(text, start);
    if escaped > start + 1 {
        start = escaped.min(end);
    }
    // The hour of a time is no key, and no rule has a name of one letter.
    let letters = text[start..end]
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii());
    work::step(end - start);
    (letters.take(2).count() == 2).then(|| KeySpan::new(start, end, None))
}

/// Letters beyond ASCII may look like others: a key with them begins where it seems to.
fn start_of_key(text: &[u8], end: usize) -> usize {
    let start = ByteClass::KEY.run_start(text, end, MAX_KEY_LEN);
    if start == 0 || text[start - 1].is_ascii() {
        return start;
    }
    let start = run_start(text, end, MAX_KEY_LEN, |byte| {
        ByteClass::KEY.has(byte) || !byte.is_ascii()
    });
    // Not in the middle of a character.
    run_end(&text[..end], start, |byte| byte & 0xC0 == 0x80)
}

/// What stands around a place of a text: the strings and the URL that it is in.
///
/// It is moved on from one key to the next, so that each byte is looked at once.
#[derive(Debug, Default)]
pub(crate) struct ContextTracker {
    at: usize,
    /// One bit for each number of backslashes before a `"` that is open.
    double: u64,
    /// The backslashes before a `'` that is open.
    single: Option<usize>,
    slashes: usize,
    /// Since the last white space or quote: a `?`, and the `://` of a URL of the web.
    query: bool,
    web: bool,
    other_url: bool,
}

impl ContextTracker {
    fn move_to(&mut self, text: &[u8], to: usize) {
        if to <= self.at {
            return;
        }
        work::step(to - self.at);
        for at in self.at..to {
            let byte = text[at];
            match byte {
                b'\\' => {
                    self.slashes += 1;
                    continue;
                }
                b'\n' => {
                    *self = Self {
                        at,
                        ..Self::default()
                    }
                }
                b'"' => {
                    let bit = 1 << self.slashes.min(63);
                    // What is in a string ends with it.
                    self.double = (self.double ^ bit) & (bit | (bit - 1));
                    self.leave_url();
                }
                b'\'' => {
                    let is_letter = |at: Option<usize>| {
                        at.and_then(|at| text.get(at))
                            .is_some_and(u8::is_ascii_alphabetic)
                    };
                    let is_apostrophe = is_letter(at.checked_sub(1)) && is_letter(Some(at + 1));
                    if !is_apostrophe || self.single.is_some() {
                        self.single = match self.single {
                            Some(_) => None,
                            None => Some(self.slashes),
                        };
                    }
                    self.leave_url();
                }
                b'?' => self.query = true,
                b'/' if text[..at].ends_with(b":/") => {
                    let is_web = urls::ends_with_web_scheme(&text[..at - 2]);
                    self.web |= is_web;
                    self.other_url |= !is_web;
                }
                b'<' | b'>' => self.leave_url(),
                byte if is_space(byte) => self.leave_url(),
                _ => {}
            }
            self.slashes = 0;
        }
        self.at = to;
    }

    fn leave_url(&mut self) {
        (self.query, self.web, self.other_url) = (false, false, false);
    }

    /// The innermost string that is open, as a string in a string has quotes with more
    /// backslashes. One of `'` may be an apostrophe.
    fn open(&self) -> Option<Quote> {
        match self.double.checked_ilog2() {
            Some(slashes) => Some((b'"', slashes as usize)),
            None => self.single.map(|slashes| (b'\'', slashes)),
        }
    }
}

/// What is known of the rule that hides a key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RuleTraits {
    /// The value of a header goes on to the end of the line.
    pub(crate) header: bool,
    /// A rule of this crate leaves alone what is no credential; one of the user hides every value.
    pub(crate) built_in: bool,
}

impl<'t> Pair<'t> {
    /// Where its value may begin.
    pub(crate) fn after(&self) -> usize {
        self.after
    }

    /// The ways to read its key, the most likely first.
    pub(crate) fn readings(&self, text: &'t str) -> impl Iterator<Item = &'t str> + use<'t> {
        let (start, end) = (self.name, self.name + self.key.len());
        let is_plain = self.quote.is_none()
            && text.get(start..end) == Some(self.key)
            && NOUNS
                .iter()
                .chain(&ATTRIBUTES)
                .any(|word| self.key.eq_ignore_ascii_case(word));
        let with_word = move || is_plain.then(|| word_before(text, start)).flatten();
        let two = std::iter::once_with(with_word).flatten().flatten();
        let two = two.filter_map(move |from| text.get(from..end));
        std::iter::once(self.key)
            .chain(self.others.into_iter().flatten())
            .chain(two)
    }

    /// What a pair such as `name: API_TOKEN` says that the value after it is called, and where that
    /// name ends.
    pub(crate) fn gives_name(&self, text: &'t str) -> Option<(&'t str, usize)> {
        let is_it = ["name", "key"]
            .iter()
            .any(|key| self.key.eq_ignore_ascii_case(key));
        let near = &text.as_bytes()[..text.len().min(self.after + MAX_KEY_LEN)];
        let start = is_it.then(|| run_end(near, self.after, |byte| b" \"'\\".contains(&byte)))?;
        let end = ByteClass::KEY.run_end(near, start);
        let name = text.get(start..end).filter(|name| name.len() > 1)?;
        Some((name, end))
    }

    /// Whether it is the `value` right after a name that ends at `end`.
    pub(crate) fn is_value_after(&self, text: &[u8], end: usize) -> bool {
        let gap = text
            .get(end..self.name)
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

    /// True if it may be a key of its own though it stands in a hidden value, which ends at `end`:
    /// what is hidden may have run over the end of a string, and into the value of the key after
    /// it.
    pub(crate) fn may_go_on(&self, text: &[u8], end: usize) -> bool {
        if self.separator >= end || self.quote.is_some() || self.may_be_parameter {
            return true;
        }
        let rest = &text[..end];
        let value = run_end(rest, self.after, |byte| b" \t\\".contains(&byte));
        // What `Debug` puts in brackets goes on beyond them: `Secret { a: ["…"] }`.
        let word = ByteClass::WORD.run_end(rest, value);
        let bracket = run_end(rest, word, |byte| byte == b' ');
        let is_debug = rest.get(value).is_some_and(u8::is_ascii_uppercase)
            && matches!(rest.get(bracket), Some(b'{' | b'(' | b'['));
        is_debug
            || matches!(rest.get(value), None | Some(b'"' | b'\''))
            || run_end(rest, value, is_space) >= end
    }

    /// Where the value must end that stands in JSON: at the end of the string that the key is part
    /// of.
    pub(crate) fn place(&mut self, document: &JsonStrings) -> usize {
        match document.string_at(self.after - 1) {
            Some((_, end)) => end,
            None => {
                self.quote = Some((b'"', 0));
                usize::MAX
            }
        }
    }

    fn where_is(&self, text: &[u8], around: &mut ContextTracker) -> ValueContext {
        // What is open around a key in quotes, not the quotes themselves.
        let quotes = self.quote.map_or(0, |(_, slashes)| slashes + 1);
        around.move_to(text, self.name.saturating_sub(quotes));
        if !self.may_be_parameter {
            let before = run_start(text, self.name, 2, |byte| byte == b' ');
            let is_member = !self.colon && before > 0 && text[before - 1] == b';';
            return if is_member {
                ValueContext::Member
            } else {
                ValueContext::Free
            };
        }
        let is_member = text[self.name - 1] == b';';
        if around.query || around.web {
            ValueContext::Query {
                is_web: !around.other_url,
            }
        } else if is_member {
            ValueContext::Member
        } else {
            ValueContext::Form
        }
    }

    /// The value; nothing if there is none, or one that tells nothing.
    pub(crate) fn value(
        &self,
        text: &[u8],
        around: &mut ContextTracker,
        hiding: RuleTraits,
    ) -> Option<Value> {
        let mut start = self.after.min(text.len());
        start = match self.quote {
            Some(_) => run_end(text, start, is_space),
            None => run_end(text, start, |byte| matches!(byte, b' ' | b'\t')),
        };
        if text[start..].starts_with(b"** ") {
            start += 3;
        }
        let place = self.where_is(text, around);
        while let Some(after) = value_end::after_tab(text, start, around.open()) {
            start = after;
        }
        let slashes = run_end(text, start, |byte| byte == b'\\') - start;
        let word = run_end(text, start, |byte| byte.is_ascii_lowercase());
        let is_word = word > start && text.get(word) == Some(&b' ');
        let loose = self.colon
            && text[self.after - 1] == b':'
            && (self.quote.is_none() || is_word)
            && start > self.after
            && hiding.built_in;
        let place = match place {
            // There is no space in a URL.
            ValueContext::Query { .. } if start > self.after => ValueContext::Free,
            place => place,
        };
        let mark = *text.get(start + slashes)?;
        if let Some((start, end)) = self.value_on_next_line(text, start, around.open()) {
            return Some(Value {
                start,
                end,
                needs_quotes: None,
            });
        }
        if hiding.built_in
            && (self.is_in_arn(text) || value_end::is_line_break(text, start, around.open()))
        {
            return None;
        }
        // `"password:", …`: the quote ends the string that the key is in.
        let after = text.get(start + slashes + 1);
        let is_end = self.quote.is_none() && around.open() == Some((mark, slashes));
        if is_end && matches!(after, None | Some(b',' | b')' | b']' | b'}')) {
            return None;
        }
        let (value, is_quoted) = match &mark {
            mark @ (b'"' | b'\'' | b'`') if !value_end::is_mark_of_member(text, start, place) => {
                let start = start + slashes + 1;
                let (start, end) = value_end::quoted(text, start, *mark, slashes, around.open());
                let value = Value {
                    start,
                    end,
                    needs_quotes: None,
                };
                (value, true)
            }
            _ => (self.bare(text, start, place, around, hiding, loose)?, false),
        };
        let content = &text[value.start..value.end];
        let shown = if !hiding.built_in {
            credential::is_absent(content)
        } else {
            credential::is_nothing(content)
                || credential::is_placeholder(content)
                || credential::has_other_meaning(self.key, content, &text[value.end..])
                || loose
                    && is_quoted
                    && (self.is_of_a_parser(text, content)
                        || self.is_of_a_sentence(text, content, value.end))
        };
        (!shown).then_some(value)
    }

    fn bare(
        &self,
        text: &[u8],
        start: usize,
        place: ValueContext,
        around: &ContextTracker,
        hiding: RuleTraits,
        loose: bool,
    ) -> Option<Value> {
        let about = KeySubject::key(self.key);
        let needs_quotes = self
            .quote
            .filter(|(mark, _)| *mark == b'"')
            .map(|(_, slashes)| slashes);
        let until = |start: usize, end: usize| Value {
            start,
            end,
            needs_quotes,
        };
        if let Some((from, to)) = value_end::block(text, start).filter(|_| self.colon) {
            return Some(until(from, to));
        }
        if let Some((from, to)) = self.list(text, start, about) {
            return Some(until(from, to));
        }
        let is_debug = is_debug(&text[start..]);
        let open = around.open();
        if loose && !is_debug {
            let word = &text[start..run_end(text, start, |byte| byte.is_ascii_graphic())];
            if self.is_of_a_parser(text, word) {
                return None;
            }
            match credential::read_after_colon(in_string(text, start, open), about) {
                ValueReading::Prose => return None,
                ValueReading::Through(length) => return Some(until(start, start + length)),
                ValueReading::Value => {}
            }
        }
        let mut end = if hiding.header && self.colon && self.quote.is_none() && !is_debug {
            if is_hidden(&text[start..]) {
                return None;
            }
            let end = value_end::end_of_header(text, start, open);
            // What `Debug` puts in brackets has quotes in it, and lines with `{:#?}`.
            let word = ByteClass::WORD.run_end(text, start);
            match text.get(word) {
                Some(b'(' | b'[' | b'{' | b' ') => {
                    end.max(value_end::end_of_bare(text, start, place, open))
                }
                _ => end,
            }
        } else {
            value_end::end_of_bare(text, start, place, open)
        };
        let is_alone = self.quote.is_none()
            && place != ValueContext::Form
            && !matches!(place, ValueContext::Query { .. })
            && hiding.built_in;
        if is_alone && about == KeySubject::Password {
            end = end.max(start + credential::end_of_groups(&text[start..]));
        } else if is_alone && about == KeySubject::Phrase && !is_debug {
            end = end.max(start + credential::end_of_phrase(&text[start..]));
        } else if loose && about == KeySubject::Code {
            end = start + credential::end_of_code(&text[start..], end - start);
        } else if about == KeySubject::Person
            && (loose || is_alone && has_words(self.key, &text[start..end]))
        {
            end = start + credential::end_of_person(&text[start..], end - start);
        }
        Some(until(start, end))
    }

    /// A credential alone on the next line, which is indented more than the key.
    fn value_on_next_line(
        &self,
        text: &[u8],
        start: usize,
        open: Option<Quote>,
    ) -> Option<(usize, usize)> {
        const MAX_INDENT: usize = 64;
        // What is longer is none: it is not followed to its end from each key again.
        const MAX_LEN: usize = 512;
        if !self.colon || self.quote.is_some() {
            return None;
        }
        let line = match text.get(start)? {
            b'\r' | b'\n' => start + 1 + usize::from(text[start..].starts_with(b"\r\n")),
            b'\\' if value_end::is_line_break(text, start, open) => {
                run_end(text, start, |byte| byte == b'\\') + 1
            }
            _ => return None,
        };
        let near = &text[..text.len().min(line + MAX_INDENT)];
        let mut from = run_end(near, line, |byte| byte == b' ');
        let key = run_start(text, self.name, MAX_INDENT, |byte| b" -".contains(&byte));
        if from - line <= self.name - key {
            return None;
        }
        let near = &text[..text.len().min(from + MAX_LEN)];
        let slashes = run_end(near, from, |byte| byte == b'\\') - from;
        let end = match near.get(from + slashes)? {
            mark @ (b'"' | b'\'') => {
                from += slashes + 1;
                value_end::closing_quote(line_end(near, from), from, *mark, slashes)
            }
            _ => value_end::end_of_bare(near, from, ValueContext::Free, open),
        };
        if end == near.len() && near.len() < text.len() {
            return None;
        }
        let is_last = || {
            let after = run_end(text, end, |byte| byte == b' ');
            text.get(after)
                .is_none_or(|byte| b"\r\n\\\"'`#(,)]}".contains(byte))
        };
        (credential::is_value(&text[from..end]) && is_last()).then_some((from, end))
    }

    /// The list of YAML after the key, unless all its items are prose.
    fn list(&self, text: &[u8], start: usize, about: KeySubject) -> Option<(usize, usize)> {
        const MAX_INDENT: usize = 64;
        if !self.colon || !matches!(text.get(start), Some(b'\r' | b'\n')) {
            return None;
        }
        let line = run_start(text, self.name, MAX_INDENT, |byte| b" -".contains(&byte));
        let (from, to) = value_end::list(text, start, self.name - line)?;
        let items = text[from..to].split(|byte| *byte == b'\n');
        let is_prose = |item: &[u8]| {
            let item = item.trim_ascii_start();
            let item = item.strip_prefix(b"- ").unwrap_or(item);
            credential::read_after_colon(item, about) == ValueReading::Prose
        };
        (!items.into_iter().all(is_prose)).then_some((from, to))
    }

    /// A part of the name of a resource: `arn:aws:…:secret:stock-db`.
    fn is_in_arn(&self, text: &[u8]) -> bool {
        if !self.colon || self.name == 0 || text[self.name - 1] != b':' {
            return false;
        }
        let start = run_start(text, self.name, MAX_KEY_LEN, |byte| {
            ByteClass::KEY.has(byte) || byte == b':' || byte == b'/'
        });
        text[start..].starts_with(b"arn:") || text[start..].starts_with(b"urn:")
    }

    /// A name in quotes that the sentence goes on about.
    fn is_of_a_sentence(&self, text: &[u8], name: &[u8], end: usize) -> bool {
        if KeySubject::key(self.key) == KeySubject::Password {
            return false;
        }
        let rest = run_end(text, end, |byte| b"\\\"'`".contains(&byte));
        credential::is_sentence_subject(name, &text[rest..])
    }

    /// The token that a parser did not expect: `` unexpected token: `}` ``.
    fn is_of_a_parser(&self, text: &[u8], content: &[u8]) -> bool {
        // `unknown password: "tulip"` is none.
        let key = self.key.as_bytes();
        let is_token = |word: &[u8]| matches_at(key, key.len().saturating_sub(word.len()), word);
        if !is_token(b"token") && !is_token(b"tokens") {
            return false;
        }
        if content.len() <= 3
            && !content
                .iter()
                .any(|byte| ByteClass::WORD.has(*byte) || !byte.is_ascii())
        {
            return true;
        }
        let before = run_start(text, self.name, 1, is_space);
        let word = run_start(text, before, 16, |byte| byte.is_ascii_alphabetic());
        let words = [&b"unexpected"[..], b"expected", b"illegal", b"stray"];
        let is_parser = words
            .iter()
            .any(|known| text[word..before].eq_ignore_ascii_case(known));
        is_parser
            && content.len() <= 12
            && content
                .iter()
                .all(|byte| byte.is_ascii_lowercase() || !ByteClass::WORD.has(*byte))
    }
}

/// The second words of keys of two that name a secret: `API key`, `seed phrase`.
pub(crate) const NOUNS: [&str; 12] = [
    "key", "keys", "value", "code", "codes", "string", "phrase", "hash", "id", "no", "header",
    "data",
];

/// Others, with which the first word must not be a key by itself: `card number`, no `token name`.
const ATTRIBUTES: [&str; 10] = [
    "number",
    "name",
    "address",
    "words",
    "card",
    "date",
    "secret",
    "security",
    "assertion",
    "verifier",
];

/// Where the word may begin that a key of two words has: `seed phrase: …`, `API key: …`. After a
/// backslash it begins with the letter of an escape or after it.
fn word_before(text: &str, start: usize) -> Option<[usize; 2]> {
    let bytes = text.as_bytes();
    let end = start.checked_sub(1).filter(|space| bytes[*space] == b' ')?;
    let letters = ByteClass::ALPHA.run_start(bytes, end, 16);
    let word = after_escape(bytes, letters).min(end);
    let before = letters.checked_sub(1).map(|before| bytes[before]);
    let begins =
        before.is_none_or(|before| !ByteClass::KEY.has(before) && !b"=:/".contains(&before));
    (begins && end > word + 1).then_some([word, letters])
}

/// Whether words may follow the first one of personal data after `=`: those of a name or a street,
/// and no message after the address of a host: `address=db-1 Connection refused`.
fn has_words(key: &str, first: &[u8]) -> bool {
    let key = key.as_bytes();
    let has = |part: &[u8]| {
        key.windows(part.len())
            .any(|word| word.eq_ignore_ascii_case(part))
    };
    !first.is_empty() && !has(b"phone") && (!has(b"addr") || first.iter().all(u8::is_ascii_digit))
}

/// The text to the end of the line that `at` is in.
fn line_end(text: &[u8], at: usize) -> &[u8] {
    &text[..find2(text, *b"\r\n", at).unwrap_or(text.len())]
}

/// The text from `start` to the end of the string that is open, as far as sentences are read.
fn in_string(text: &[u8], start: usize, open: Option<Quote>) -> &[u8] {
    let near = &text[..text.len().min(start + credential::MAX_LINE_LEN)];
    let end = match open {
        Some((mark, slashes)) => value_end::closing_quote(near, start, mark, slashes),
        None => near.len(),
    };
    &text[start..end]
}

/// Whether it is the `Debug` of an option or of a list rather than the value of a header: it ends
/// with its bracket.
fn is_debug(value: &[u8]) -> bool {
    let begins = |with: &&str| value.starts_with(with.as_bytes());
    ["Some(", "Ok(", "[\"", "[("].iter().any(begins)
}

/// Whether a value was hidden before, which is all of it: in the `Debug` of a struct what follows
/// is another field.
fn is_hidden(value: &[u8]) -> bool {
    let after = value.strip_prefix(spanwise_core::REDACTED.as_bytes());
    after.is_some_and(|after| {
        matches!(
            after.first(),
            None | Some(b',' | b'\r' | b'\n' | b'"' | b'\'')
        )
    })
}

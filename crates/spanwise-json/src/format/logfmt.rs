//! `logfmt`: words, as Loki and the tools of Heroku and Go read them.

use std::borrow::Cow;

use crate::{
    conversion::unquoted,
    format::json,
    format_table::{
        ErrorPart, ErrorShape, FormatTable, Kind, MessageKey, PartInputs, Style, ThreadKeys,
        environment, file, line as line_number, service_name, service_version, target, text,
    },
    json_lexer::members,
    line_buffer::LineBuffer,
    plan::quoted_key,
    rewrite::{LineParts, Rewrite, RewriteByParts, RewrittenFields, RewrittenPart},
    spelling::Spelling,
};

pub(crate) const TABLE: FormatTable = FormatTable {
    style: Style::Words,
    timestamp: "ts",
    head: &[("level", level), ("target", target)],
    message: MessageKey {
        key: "msg",
        is_text: true,
        missing: None,
        blank: None,
    },
    origin: &[("file", file), ("line", line_number)],
    thread: ThreadKeys {
        name: "thread",
        id: "thread_id",
        always: false,
    },
    tail: &[
        ("service", service_name),
        ("version", service_version),
        ("environment", environment),
    ],
    spelling: Spelling {
        text: &key,
        number: &key,
        number_as_text: &key,
    },
    error: ErrorShape::Members(&[
        (ErrorPart::Message, "error"),
        (ErrorPart::Chain, "error.chain"),
    ]),
    rewrite: Some(Rewrite {
        start: |_| Vec::new(),
        line: |_, json, to| line(json, to),
        by_parts: Some(RewriteByParts {
            head,
            tail,
            compose,
            fields: RewrittenFields {
                around,
                rewrite: words,
                has_words: true,
                compose: compose_words,
            },
        }),
    }),
    ..json::TABLE
};

fn level(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    text(inputs.by_level(["trace", "debug", "info", "warn", "error", "error"]))
}

/// Returns the name without characters that end a key, that JSON escapes, or that change the
/// direction of text.
fn key(name: &str) -> Cow<'_, str> {
    let ends_key = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '=' | '"' | '\\');
    let is_invisible = |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let name = match name.contains(|c| ends_key(c) || is_invisible(c)) {
        true => Cow::Owned(name.replace(|c| ends_key(c) || is_invisible(c), "")),
        false => Cow::Borrowed(name),
    };
    match name.is_empty() {
        true => Cow::Borrowed("_"),
        false => name,
    }
}

/// Writes an object of texts, numbers and booleans as `key=value key=value`.
fn line(json: &[u8], to: &mut LineBuffer) {
    let start = to.len();
    words(json, to);
    // The first word has no space in front.
    to.splice(start..start + 1, b"");
    to.push_byte(b'\n');
}

fn head(json: &[u8]) -> RewrittenPart {
    let mut to = LineBuffer::default();
    words(json, &mut to);
    RewrittenPart {
        first: to.as_bytes().to_vec(),
        last: Vec::new(),
    }
}

fn tail(json: &[u8], [to, _]: &mut [LineBuffer; 2]) {
    words(json, to);
    to.push_byte(b'\n');
}

fn compose(parts: &LineParts<'_>, to: &mut LineBuffer) {
    compose_with(parts, to, |to| words(parts.fields, to));
}

fn compose_words(parts: &LineParts<'_>, to: &mut LineBuffer) {
    compose_with(parts, to, |to| to.push(parts.fields));
}

#[inline]
fn compose_with(
    parts: &LineParts<'_>,
    to: &mut LineBuffer,
    push_fields: impl FnOnce(&mut LineBuffer),
) {
    to.push_small(time_key(parts.open));
    to.push_byte(b'=');
    to.push(parts.time);
    to.push(&parts.head.first);
    push_fields(to);
    to.push(&parts.tail.first);
}

/// Returns ` key=` for any value: texts, numbers and booleans are written as in JSON, and
/// [`unquote_word`] removes the quotes of texts. Nested values are text.
fn around(opening: &[u8], _: Kind, _: bool) -> Option<(Vec<u8>, &'static [u8])> {
    let key = unquoted(quoted_key(opening));
    Some(([b" ", key, b"="].concat(), b""))
}

/// Returns the key of the timestamp in the start of a line, `{"ts":"`.
fn time_key(open: &[u8]) -> &[u8] {
    let key = open.strip_prefix(b"{\"").unwrap_or(open);
    key.strip_suffix(b"\":\"").unwrap_or(key)
}

/// Appends members as ` key=value`.
fn words(json: &[u8], to: &mut LineBuffer) {
    for member in members(json) {
        to.push_byte(b' ');
        to.push_small(unquoted(member.quoted_key()));
        to.push_byte(b'=');
        to.push_small(word(member.value()));
    }
}

/// Returns a JSON value as a word: a text that needs no quotes has none.
pub(crate) fn word(value: &[u8]) -> &[u8] {
    match value.first() {
        Some(b'"') if is_word(unquoted(value)) => unquoted(value),
        _ => value,
    }
}

/// Removes the quotes of the text at the end of a line, if it needs none.
#[inline]
pub(crate) fn unquote_word(line: &mut LineBuffer, start: usize) {
    let quoted = &line.as_bytes()[start..];
    if is_word(unquoted(quoted)) {
        line.remove_quotes(start);
    }
}

/// Returns whether the inside of a JSON string needs no quotes.
#[inline]
fn is_word(text: &[u8]) -> bool {
    // Tests all bytes without an early end, which spares a branch for each byte.
    let ends_word = |ends, byte: &u8| ends | matches!(byte, b' ' | b'=' | b'\\');
    !text.is_empty() && text != b"null" && !text.iter().fold(false, ends_word)
}

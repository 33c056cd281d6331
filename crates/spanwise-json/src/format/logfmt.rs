//! `logfmt`: words, as Loki and the tools of Heroku and Go read them.

use std::borrow::Cow;

use crate::{
    conversion::unquoted,
    format::json,
    format_table::{
        ErrorPart, ErrorShape, Facts, FormatTable, MessageKey, Rewrite, Style, ThreadKeys,
        environment, file, line, service_name, service_version, target, text,
    },
    json_lexer::members,
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
    origin: &[("file", file), ("line", line)],
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
        text: key,
        number: key,
        number_as_text: key,
    },
    error: ErrorShape::Members(&[
        (ErrorPart::Message, "error"),
        (ErrorPart::Chain, "error.chain"),
    ]),
    rewrite: Some(Rewrite {
        start: |_| Vec::new(),
        line: words,
    }),
    ..json::TABLE
};

fn level(facts: &Facts<'_>) -> Option<Vec<u8>> {
    text(facts.by_level(["trace", "debug", "info", "warn", "error", "error"]))
}

/// Returns the name without what ends a key, and without what JSON escapes.
fn key(name: &str) -> Cow<'_, str> {
    let ends_key = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '=' | '"' | '\\');
    let is_escaped = |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let name = match name.contains(|c| ends_key(c) || is_escaped(c)) {
        true => Cow::Owned(name.replace(|c| ends_key(c) || is_escaped(c), "")),
        false => Cow::Borrowed(name),
    };
    match name.is_empty() {
        true => Cow::Borrowed("_"),
        false => name,
    }
}

/// Writes an object of texts, numbers and booleans as `key=value key=value`.
fn words(line: &[u8], to: &mut Vec<u8>) {
    for (index, member) in members(line).enumerate() {
        if index > 0 {
            to.push(b' ');
        }
        to.extend(unquoted(member.quoted_key()));
        to.push(b'=');
        let value = member.value();
        match value.first() {
            Some(b'"') if is_word(unquoted(value)) => to.extend(unquoted(value)),
            _ => to.extend(value),
        }
    }
    to.push(b'\n');
}

/// Returns whether the inside of a JSON string needs no quotes.
fn is_word(text: &[u8]) -> bool {
    let ends_word = |byte: &u8| matches!(byte, b' ' | b'=' | b'\\');
    !text.is_empty() && text != b"null" && !text.iter().any(ends_word)
}

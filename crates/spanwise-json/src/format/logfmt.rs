//! `logfmt`: lines of `key=value` words, as Loki and the tools of Heroku and Go read them.

use std::borrow::Cow;

use crate::{
    conversion::unquoted,
    escape,
    format::json,
    format_table::{
        ErrorPart, ErrorShape, FormatTable, Kind, MessageKey, PartInputs, Style, ThreadKeys,
        environment, file, line as line_number, service_name, service_node, service_version,
        target, text,
    },
    line_buffer::{BLOCK_LEN, LineBuffer, small_block},
    member_keys::KeyedMembers,
    plan::quoted_key,
    rewrite::{Rewrite, RewriteByParts, RewrittenPart},
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
        ("service_node", service_node),
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
            open: |opening| [unquoted(quoted_key(opening)), b"="].concat(),
            head,
            around,
            has_words: true,
            fields: words,
            tail,
            end_fields: None,
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

/// See [`RewriteByParts::head`].
fn head(json: &[u8], _: bool) -> RewrittenPart {
    let mut to = LineBuffer::default();
    words(json, &mut to);
    RewrittenPart::new(to.as_bytes(), b"\n")
}

/// See [`RewriteByParts::tail`].
fn tail(members: KeyedMembers<'_>, [to, _]: &mut [LineBuffer; 2]) {
    push_words(members, to);
}

/// Returns ` key=` for a value of any kind. Texts, numbers and booleans are written as in JSON, and
/// [`unquote_word`] removes the quotes of texts. Nested values are text.
fn around(opening: &[u8], _: Kind, _: bool) -> Option<(Vec<u8>, &'static [u8])> {
    let key = unquoted(quoted_key(opening));
    Some(([b" ", key, b"="].concat(), b""))
}

fn words(json: &[u8], to: &mut LineBuffer) {
    push_words(KeyedMembers::from_text(json), to);
}

/// Appends members as ` key=value`.
fn push_words(members: KeyedMembers<'_>, to: &mut LineBuffer) {
    for member in members.members() {
        let start = to.len();
        to.push_short(member.quoted_key());
        // The quotes of the key become a space and an equals sign.
        if let [first, .., last] = &mut to.as_mut_bytes()[start..] {
            (*first, *last) = (b' ', b'=');
        }
        to.push_short(word(member.value()));
    }
}

/// Returns a JSON value as a word: without quotes if it is a text that needs none.
pub(crate) fn word(value: &[u8]) -> &[u8] {
    match value.first() {
        Some(b'"') if is_word(unquoted(value)) => unquoted(value),
        _ => value,
    }
}

/// Appends a text if it needs neither quotes nor escapes, and has at most the length of two blocks.
/// Copies the text as two blocks, which may overlap. Returns whether it was appended.
#[inline]
pub(crate) fn push_word(line: &mut LineBuffer, text: &str) -> bool {
    let text = text.as_bytes();
    let find_ends = |block| escape::escape_mask::<true>(block) | find_word_ends(block);
    let blocks = text
        .first_chunk::<BLOCK_LEN>()
        .zip(text.last_chunk::<BLOCK_LEN>());
    let Some((first, last)) = blocks else {
        let block = small_block(text);
        let text_bits = (1 << text.len()) - 1;
        let is_word = find_ends(&block) & text_bits == 0 && !is_empty_or_null(text);
        if is_word {
            line.push_block(&block, text.len());
        }
        return is_word;
    };
    if text.len() > 2 * BLOCK_LEN || find_ends(first) | find_ends(last) != 0 {
        return false;
    }
    let room = line.room::<{ 2 * BLOCK_LEN }>();
    room[..BLOCK_LEN].copy_from_slice(first);
    room[text.len() - BLOCK_LEN..text.len()].copy_from_slice(last);
    line.advance(text.len());
    true
}

/// Removes the quotes of the text from `start` to the end of a line, if it needs none.
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
    let has_end = |block| find_word_ends(block) != 0;
    let has_ends = match text.first_chunk().zip(text.last_chunk()) {
        None => has_end(&small_block(text)),
        // The two blocks may overlap.
        Some((first, last)) if text.len() <= 2 * BLOCK_LEN => has_end(first) || has_end(last),
        Some((_, last)) => {
            let (blocks, _) = text.as_chunks();
            blocks.iter().any(has_end) || has_end(last)
        }
    };
    !has_ends && !is_empty_or_null(text)
}

/// Returns a bit for each byte that makes an escaped text need quotes.
#[inline]
fn find_word_ends(block: &[u8; BLOCK_LEN]) -> u32 {
    escape::find_any(block, *b" =\\")
}

/// Returns whether a text is empty, or would be read as `null` without quotes.
fn is_empty_or_null(text: &[u8]) -> bool {
    text.is_empty() || text == b"null"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_word_is_its_json_without_quotes() {
        for len in 1..=2 * BLOCK_LEN + 2 {
            for (at, byte) in (0..len).flat_map(|at| (0..0x80).map(move |byte| (at, byte))) {
                let mut text = vec![b'a'; len];
                text[at] = byte;
                let text = String::from_utf8(text).unwrap();
                let mut line = LineBuffer::default();
                let is_written = push_word(&mut line, &text);
                let json = escape::quoted(&text);
                let is_bare = !word(&json).starts_with(b"\"");
                assert_eq!(is_written, is_bare && len <= 2 * BLOCK_LEN, "{text:?}");
                assert!(!is_written || line.as_bytes() == word(&json), "{text:?}");
            }
        }
    }

    #[test]
    fn empty_text_and_null_have_quotes() {
        for text in ["", "null"] {
            assert!(!push_word(&mut LineBuffer::default(), text));
            assert_eq!(word(&escape::quoted(text)), escape::quoted(text));
        }
    }
}

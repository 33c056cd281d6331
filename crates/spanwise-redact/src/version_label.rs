//! Words that announce a version: `app_version=1.2.3.4`, `upgraded from 1.2.3.4 to 1.2.3.5`.
//!
//! A version of four numbers looks like a public IP address. So only the words directly before the
//! numbers count: `unsupported version, peer=203.0.113.7` contains an address.

use crate::{
    byte_class::ByteClass,
    byte_search::{contains_text, ends_with_word, matches_at, run_end, run_start},
    scan_cost,
    word_lists::contains_word,
};

/// Words between a label or an earlier version and the numbers.
#[rustfmt::skip]
const LINKS: &[&str] = &[
    "to", "from", "and", "or", "than", "is", "was", "got", "expected", "found", "number", "string",
    "available", "mismatch",
];

/// Words between `version` and a `to` or `from`: `version changed to 1.2.3.4`.
const CHANGES: &[&str] = &["bumped", "changed", "raised", "set", "updated"];

/// Connections are upgraded, too: `websocket upgrade from 203.0.113.7`.
#[rustfmt::skip]
const CONNECTIONS: &[&str] = &[
    "connection", "connections", "websocket", "ws", "wss", "socket", "protocol", "http", "https",
    "h2", "h2c", "tls", "ssl", "starttls", "request", "session", "stream", "channel",
];

/// Returns whether the words before the four numbers in `text[start..end]` announce a version.
pub(crate) fn is_before(text: &[u8], start: usize, end: usize) -> bool {
    let line = &text[start.saturating_sub(64)..start];
    scan_cost::add(line.len());
    let line_break_at = line.iter().rposition(|byte| matches!(byte, b'\n' | b';'));
    let mut words = WordsBefore(&line[line_break_at.map_or(0, |at| at + 1)..]);
    let last = words.next_over(b" \t:='\"`\\([{<>~^*-");
    if is_label(last) {
        return true;
    }
    // After `mismatch: ` there may be the address of the other side.
    let is_link = contains_word(LINKS, last) && last != b"mismatch";
    let is_source = last.eq_ignore_ascii_case(b"from");
    if !is_version(last) && !is_link || is_source && !is_target(&text[end..]) {
        return false;
    }
    let mut has_version = is_version(last);
    let mut word = words.next();
    while is_version(word) || contains_word(LINKS, word) {
        has_version |= is_version(word);
        word = words.next();
    }
    let is_change = contains_word(&["to", "from"], last);
    let needs_version = is_change || contains_word(&["and", "or", "than"], last);
    if is_label(word) && (has_version || !needs_version) {
        // `version is 1.2.3.4`, `version 1.2.3.4 to 1.2.3.5`
        return true;
    }
    let before = words.next();
    if contains_word(CHANGES, word) && is_label(before) {
        // `version changed to 1.2.3.4`
        return is_change;
    }
    // `upgraded to 1.2.3.4`, `upgraded nginx to 1.2.3.4`
    let is_upgrade = |verb| matches_at(verb, 0, b"upgrad") || matches_at(verb, 0, b"downgrad");
    let subjects = if is_upgrade(word) {
        [before, b""]
    } else if is_upgrade(before) {
        [word, words.next()]
    } else {
        return false;
    };
    let is_connection = |subject: &&[u8]| contains_word(CONNECTIONS, subject);
    (is_change || has_version) && !subjects.iter().any(is_connection)
}

/// Returns whether a key or a word announces a version: `app_version`, `versions`, `firmware`.
fn is_label(word: &[u8]) -> bool {
    let endings = ["release", "build", "firmware", "revision"];
    // `server` announces no version.
    let last_part = word.rsplit(|byte| b"_-.".contains(byte)).next();
    contains_text(word, b"version")
        || last_part.is_some_and(|part| part.eq_ignore_ascii_case(b"ver"))
        || endings
            .iter()
            .any(|ending| ends_with_word(word, ending.as_bytes()))
}

/// Returns whether a word is a version of three or more numbers.
fn is_version(word: &[u8]) -> bool {
    let numbers = word.strip_prefix(b"v").unwrap_or(word);
    let mut parts = numbers.split(|byte| *byte == b'.');
    parts.clone().count() >= 3
        && parts.all(|part| !part.is_empty() && ByteClass::DIGIT.has_all(part))
}

/// Returns whether ` to 1.2.3.5` follows `from 1.2.3.4`.
fn is_target(text: &[u8]) -> bool {
    let word_start = run_end(text, 0, |byte| b" ->".contains(&byte));
    let after_word = match matches_at(text, word_start, b"to ") {
        true => word_start + "to ".len(),
        false => word_start,
    };
    let number_start = after_word + usize::from(text.get(after_word) == Some(&b'v'));
    word_start > 0 && text.get(number_start).is_some_and(u8::is_ascii_digit)
}

/// The words of a text, the last one first.
struct WordsBefore<'t>(&'t [u8]);

impl<'t> WordsBefore<'t> {
    fn next(&mut self) -> &'t [u8] {
        self.next_over(b" \t:='\"`\\()[]{}<>~^*-,")
    }

    /// Returns the word before the marks of `gap`. It is empty if another mark precedes them.
    fn next_over(&mut self, gap: &[u8]) -> &'t [u8] {
        let text = self.0;
        let end = run_start(text, text.len(), text.len(), |byte| gap.contains(&byte));
        let start = ByteClass::KEY.run_start(text, end, end);
        self.0 = &text[..start];
        &text[start..end]
    }
}

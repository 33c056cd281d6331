//! Words that announce a version: `app_version=1.2.3.4`, `upgraded from 1.2.3.4 to 1.2.3.5`.
//!
//! A version of four numbers looks like a public IP address. Only the words directly before the
//! numbers decide: `unsupported version, peer=203.0.113.7` contains an address.

use crate::{
    byte_class::ByteClass,
    byte_search::{contains_text, ends_with_word, matches_at, run_end, run_start},
    scan_cost,
    word_lists::contains_word,
};

/// Words between the numbers and a label, such as `version`, or an earlier version.
#[rustfmt::skip]
const LINKS: &[&str] = &[
    "to", "from", "and", "or", "than", "is", "was", "got", "expected", "found", "number", "string",
    "available", "mismatch", "required", "too", "old",
];

/// Names of versions that end in `ver` without a mark before it, unlike `app_ver`. Other words,
/// such as `server`, also end in `ver`, so a list is needed.
const VER_NAMES: &[&str] = &["ver", "appver", "osver", "fwver", "swver", "hwver", "dbver"];

/// Words that contain `version`, but announce none.
const OTHER_VERSIONS: &[&[u8]] = &[b"conversion", b"inversion", b"reversion", b"diversion"];

/// Words between `version` and a `to` or `from`: `version changed to 1.2.3.4`.
const CHANGES: &[&str] = &["bumped", "changed", "raised", "set", "updated"];

/// Words for connections. A connection is also upgraded, but an address follows instead of a
/// version: `websocket upgrade from 203.0.113.7`.
#[rustfmt::skip]
const CONNECTIONS: &[&str] = &[
    "connection", "connections", "websocket", "ws", "wss", "socket", "protocol", "http", "https",
    "h2", "h2c", "tls", "ssl", "starttls", "request", "session", "stream", "channel",
];

/// Returns whether the words before the four numbers in `text[start..end]` announce a version.
pub(crate) fn is_before(text: &[u8], start: usize, end: usize) -> bool {
    const MAX_DISTANCE: usize = 64;
    let line = &text[start.saturating_sub(MAX_DISTANCE)..start];
    scan_cost::add(line.len());
    let line_break_at = line.iter().rposition(|byte| matches!(byte, b'\n' | b';'));
    let mut words = WordsBefore(&line[line_break_at.map_or(0, |at| at + 1)..]);
    words.skip_option();
    let last = words.next_over(DIRECT_GAP);
    if is_label(last) || last.is_empty() && words.skip_version_list() {
        return true;
    }
    let numbers = &text[start..end];
    // The address of a peer may follow `mismatch: `.
    let is_link = contains_word(LINKS, last) && !last.eq_ignore_ascii_case(b"mismatch");
    if !is_version(last) && !is_link {
        // `upgraded nginx 1.2.3.4 to 1.2.3.5`
        return upgrade_target(&text[end..]).is_some_and(|target| is_near(numbers, target))
            && is_upgrade([last, words.next(), words.next()]);
    }
    let is_source = last.eq_ignore_ascii_case(b"from");
    if is_source && upgrade_target(&text[end..]).is_none() {
        return false;
    }
    let mut has_version = is_version(last);
    let mut has_near_version = has_version && is_near(last, numbers) && has_four_numbers(last);
    let mut word = words.next();
    let mut word_after = last;
    while is_version(word) || contains_word(LINKS, word) {
        if is_version(word) {
            if word_after.eq_ignore_ascii_case(b"from") {
                // `version 1.18.0 from 203.0.113.7`: the version and the address of a client.
                return false;
            }
            has_version = true;
            has_near_version |= is_near(word, numbers) && has_four_numbers(word);
        }
        word_after = word;
        word = words.next();
    }
    let is_change = contains_word(&["to", "from"], last);
    let needs_version =
        is_change || is_version(last) || contains_word(&["and", "or", "than"], last);
    if names_version(word) && (has_near_version || !needs_version) {
        // `version is 1.2.3.4`, `version 1.2.3.4 to 1.2.3.5`
        return true;
    }
    let before = words.next();
    if contains_word(CHANGES, word) && names_version(before) {
        // `version changed to 1.2.3.4`
        return is_change;
    }
    // `upgraded to 1.2.3.4`, `upgraded nginx to 1.2.3.4`, `upgrade available: 1.2.3.4`
    (is_change || has_version || last.eq_ignore_ascii_case(b"available"))
        && is_upgrade([word, before, words.next()])
}

/// Returns whether the key of a field is the name of a version: `app_version`, but not
/// `version_peer`.
pub(crate) fn is_key_of_version(key: &str) -> bool {
    let key = key.as_bytes();
    let endings = [&b"version"[..], b"versions"];
    let ends_in_version = || endings.iter().any(|ending| ends_with_word(key, ending));
    is_label(key) && (!contains_text(key, b"version") || ends_in_version())
}

/// Returns whether a key or a word directly before numbers announces a version: `app_version`,
/// `versions`, `firmware`.
fn is_label(word: &[u8]) -> bool {
    let endings = ["release", "build", "firmware", "revision"];
    let ends_in = |ending: &&str| ends_with_word(word, ending.as_bytes());
    names_version(word) || endings.iter().any(ends_in)
}

/// Returns whether a word announces a version even if other words follow it: `version is 1.2.3.4`.
/// The other labels do so only directly before the numbers, because they may also precede an
/// address: `pushed firmware to 203.0.113.7`.
fn names_version(word: &[u8]) -> bool {
    let last_part = word.rsplit(|byte| b"_-.".contains(byte)).next();
    let is_ver_name = |part: &[u8]| {
        let stem = part.strip_suffix(b"Ver");
        contains_word(VER_NAMES, part)
            || stem.is_some_and(|stem| stem.last().is_some_and(u8::is_ascii_lowercase))
    };
    let is_other = |other: &&[u8]| contains_text(word, other);
    let has_version = contains_text(word, b"version") && !OTHER_VERSIONS.iter().any(is_other);
    has_version || last_part.is_some_and(is_ver_name)
}

/// Returns whether these words, the last one first, report an upgrade of a program: `upgraded`,
/// `upgraded nginx`.
fn is_upgrade([last, second_last, third_last]: [&[u8]; 3]) -> bool {
    let is_verb = |verb| matches_at(verb, 0, b"upgrad") || matches_at(verb, 0, b"downgrad");
    let subjects = if is_verb(last) {
        [second_last, b""]
    } else if is_verb(second_last) {
        [last, third_last]
    } else {
        return false;
    };
    let is_connection = |subject: &&[u8]| contains_word(CONNECTIONS, subject);
    !subjects.iter().any(is_connection)
}

/// Returns whether a word is a version of three or more numbers.
fn is_version(word: &[u8]) -> bool {
    let numbers = word.strip_prefix(b"v").unwrap_or(word);
    let mut parts = numbers.split(|byte| *byte == b'.');
    parts.clone().count() >= 3
        && parts.all(|part| !part.is_empty() && ByteClass::DIGIT.has_all(part))
}

/// Returns whether a version has four numbers.
fn has_four_numbers(version: &[u8]) -> bool {
    version.iter().filter(|byte| **byte == b'.').count() == 3
}

/// Returns whether two versions may be of the same program: their first numbers are equal or
/// successive. The first numbers of a version and an address hardly ever are.
fn is_near(version: &[u8], other: &[u8]) -> bool {
    let first_number = |version: &[u8]| {
        let numbers = version.strip_prefix(b"v").unwrap_or(version);
        let digits = &numbers[..ByteClass::DIGIT.run_end(numbers, 0)];
        std::str::from_utf8(digits).ok()?.parse::<u32>().ok()
    };
    let numbers = first_number(version).zip(first_number(other));
    numbers.is_some_and(|(number, other)| number.abs_diff(other) <= 1)
}

/// Returns the text from the second version on, if ` to 1.2.3.5` or ` -> 1.2.3.5` follows the first
/// version, which ends before `text`.
fn upgrade_target(text: &[u8]) -> Option<&[u8]> {
    let word_start = run_end(text, 0, |byte| b" -=>".contains(&byte));
    let after_word = match matches_at(text, word_start, b"to ") {
        true => word_start + "to ".len(),
        false => word_start,
    };
    let number_start = after_word + usize::from(text.get(after_word) == Some(&b'v'));
    let is_number = text.get(number_start).is_some_and(u8::is_ascii_digit);
    (word_start > 0 && is_number).then(|| &text[number_start..])
}

/// The marks between a label and the numbers directly after the label.
const DIRECT_GAP: &[u8] = b" \t:='\"`\\([{<>~^*-";

/// The marks between a version and a `,` in a list.
const LIST_GAP: &[u8] = b" \t'\"`\\";

/// The words of a text, read from the last to the first. Contains the text that was not read yet.
struct WordsBefore<'t>(&'t [u8]);

impl<'t> WordsBefore<'t> {
    fn next(&mut self) -> &'t [u8] {
        self.next_over(b" \t:='\"`\\()[]{}<>~^*-,")
    }

    /// Returns the word before the marks of `gap`. The word is empty if another mark precedes them.
    fn next_over(&mut self, gap: &[u8]) -> &'t [u8] {
        self.skip_marks(gap);
        let text = self.0;
        let start = ByteClass::KEY.run_start(text, text.len(), text.len());
        self.0 = &text[..start];
        &text[start..]
    }

    fn skip_marks(&mut self, marks: &[u8]) {
        let text = self.0;
        let end = run_start(text, text.len(), text.len(), |byte| marks.contains(&byte));
        self.0 = &text[..end];
    }

    /// Skips the `Some(` of `version: Some("1.2.3.4")`.
    fn skip_option(&mut self) {
        self.skip_marks(LIST_GAP);
        let text = self.0;
        let before = text.strip_suffix(b"Some(").or(text.strip_suffix(b"Ok("));
        self.0 = before.unwrap_or(text);
    }

    /// Skips a list of versions with a `,` after each, and the word before the list. Returns
    /// whether there is such a list after `versions`: `versions: 1.2.3.4, `.
    fn skip_version_list(&mut self) -> bool {
        let mut has_version = false;
        while let Some(before) = self.0.strip_suffix(b",") {
            self.0 = before;
            if !is_version(self.next_over(LIST_GAP)) {
                return false;
            }
            has_version = true;
            self.skip_marks(LIST_GAP);
        }
        has_version && ends_with_word(self.next_over(DIRECT_GAP), b"versions")
    }
}

//! Finds keys with their values in prose: after blanks, a verb or a participle.
//!
//! ```text
//! pair    = key blanks value                     ; ENV PGPASSWORD Qz81kkw
//!         | key [ owner ] verb [ ":" ] value     ; the new password for ada is Xk9-42-Lp
//!         | key participle ":" value             ; refresh_token rotated: 1//0gXyz
//!         | key [ be ] [ participle ] owner ":" value     ; password for ada: Xk9-42-Lp
//! key     = name | word " " name                 ; password, one-time code
//! owner   = ( "for" | "of" ) [ word ] word
//! verb    = be | [ be ] ("set" | "changed" | "reset" | "updated") "to"
//! be      = "is" | "was" | "are"
//! ```
//!
//! An *owner* is the user or the thing that the secret belongs to.
//!
//! No syntax marks the value, so the form of a word decides whether it is a value. The value must
//! have a digit, and must not be a plain word, name, path, count or time. After a key of plain
//! words and blanks, it must be long and have small and capital letters and digits. After an
//! identifier and blanks, it must not be a numbered word such as `row5512`. It may be such a word
//! if the identifier is the name of a variable or of a header.

use crate::{
    byte_class::ByteClass,
    byte_search::{after_escape, find, is_space, run_end, run_start},
    credential::{self, KeySubject},
    normalized_key::MAX_KEY_LEN,
    scan_cost,
    word_lists::{SENTENCE_OPENERS, SENTENCE_STARTS, STATES, UNITS, any_contains, contains_word},
};

/// What is between a key and its value: see the grammar of this module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Blanks,
    Verb,
    Participle,
}

/// A word that may be the value of a key before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProsePair<'t> {
    link: Link,
    /// The possible keys: a name together with the word before it, and the name alone. Two names
    /// are possible if it is unclear where an owner begins.
    keys: [Option<&'t str>; 4],
    /// The range of the word, in bytes, without the marks around it.
    start: usize,
    end: usize,
}

/// The ranges of the words before the current word, the nearest first. If there are fewer words on
/// the line, the others are `(0, 0)`.
pub(crate) type PrecedingWords = [(usize, usize); 8];

/// Returns the next word from `*at` on that has a digit and follows a name. Moves `*at` to the end
/// of that word, and updates `before`, the words before `*at`.
pub(crate) fn next<'t>(
    text: &'t str,
    at: &mut usize,
    before: &mut PrecedingWords,
) -> Option<ProsePair<'t>> {
    let bytes = text.as_bytes();
    loop {
        let start = run_end(bytes, *at, is_space);
        if start >= bytes.len() {
            return None;
        }
        let end = run_end(bytes, start, |byte| !is_space(byte));
        if find(&bytes[..start], b'\n', *at).is_some() {
            *before = PrecedingWords::default();
        }
        *at = end;
        let words = *before;
        before.rotate_right(1);
        before[0] = (start, end);
        if words[0].1 == 0 || !bytes[start..end].iter().any(u8::is_ascii_digit) {
            continue;
        }
        let Some((link, names)) = link(bytes, words, &bytes[start..end]) else {
            continue;
        };
        let [(two_words, name), (other_two_words, other_name)] = names.map(|index| {
            let keys = |index| keys_ending_in(text, words[index], words.get(index + 1).copied());
            index.map_or((None, None), keys)
        });
        let keys = [two_words, name, other_two_words, other_name];
        if name.is_none() && other_name.is_none() {
            continue;
        }
        let start = run_end(bytes, start, |byte| b"\"'`\\(<".contains(&byte));
        let end = start
            + run_end(&bytes[start..end], 0, |byte| {
                !b"\"'`\\)]}<>".contains(&byte)
            });
        let end = run_start(bytes, end, end - start, |byte| b".,:;!?".contains(&byte));
        return Some(ProsePair {
            link,
            keys,
            start,
            end,
        });
    }
}

/// Returns how `value` is linked to the key before it. Also returns the indices of the possible
/// names of the key in `words`, the most likely first.
fn link(text: &[u8], words: PrecedingWords, value: &[u8]) -> Option<(Link, [Option<usize>; 2])> {
    let word = |index: usize| &text[words[index].0..words[index].1];
    // Returns the index of the word before `for` or `of` and an owner. The last word of the owner
    // has the index `index`. Indices count backwards: in `password for ada is`, `ada` has 1, and
    // `password` has 3.
    let before_owner = |index: usize| {
        let mut prepositions = [index + 1, index + 2].into_iter();
        let found = prepositions.find(|index| matches!(word(*index), b"for" | b"of"));
        found.map(|index| index + 1)
    };
    // Two words after `of` may be the key, not an owner, as in `value of the password is`.
    let names = |index: usize| match before_owner(index) {
        Some(before) => [Some(before), (before == index + 3).then_some(index)],
        None => [Some(index), None],
    };
    let is_participle = |word: &[u8]| contains_word(PARTICIPLES, word);
    let nearest = word(0);
    if contains_word(FORMS_OF_BE, nearest) {
        return Some((Link::Verb, names(1)));
    }
    if nearest.eq_ignore_ascii_case(b"to") {
        let is_change = contains_word(&["set", "changed", "reset", "updated"], word(1));
        let is_passive = contains_word(FORMS_OF_BE, word(2));
        let names = names(2 + usize::from(is_passive));
        return is_change.then_some((Link::Verb, names));
    }
    let Some(last) = nearest.strip_suffix(b":") else {
        return Some((Link::Blanks, [Some(0), None]));
    };
    if contains_word(FORMS_OF_BE, last) {
        return Some((Link::Verb, names(1)));
    }
    if is_participle(last) {
        return Some((Link::Participle, [Some(1), None]));
    }
    // `password is generated for ada: …`
    let mut key = before_owner(0)?;
    key += usize::from(is_participle(word(key)));
    key += usize::from(contains_word(FORMS_OF_BE, word(key)));
    // The word may be the id of the owner (`token refreshed for tenant: t-9981`) or the code of an
    // error (`password for ada: ORA-28001: expired`). Then its form must prove more.
    let may_be_other_id = contains_word(OWNER_NOUNS, last) || value.ends_with(b":");
    let link = match may_be_other_id {
        true => Link::Blanks,
        false => Link::Participle,
    };
    Some((link, [Some(key), None]))
}

/// Nouns directly before the id of an owner: `password for user: u-10042`.
#[rustfmt::skip]
const OWNER_NOUNS: &[&str] = &[
    "account", "app", "application", "client", "cluster", "customer", "device", "domain", "group",
    "host", "id", "instance", "job", "member", "namespace", "node", "order", "organization",
    "project", "region", "request", "resource", "role", "scope", "site", "team", "tenant", "type",
    "user", "username", "workspace",
];

/// The forms of `be` in the grammar.
const FORMS_OF_BE: &[&str] = &["is", "was", "are"];

/// Participles that announce the new value of a secret.
#[rustfmt::skip]
const PARTICIPLES: &[&str] = &[
    "changed", "created", "generated", "issued", "minted", "received", "refreshed", "renewed",
    "reset", "rotated", "set", "updated",
];

/// Returns the keys whose last name is the end of `word`: the name together with the word before
/// it, and the name alone.
fn keys_ending_in(
    text: &str,
    word: (usize, usize),
    before: Option<(usize, usize)>,
) -> (Option<&str>, Option<&str>) {
    let bytes = text.as_bytes();
    let name_start = |(start, end): (usize, usize)| {
        let name_at = ByteClass::KEY.run_start(bytes, end, MAX_KEY_LEN.min(end - start));
        let is_whole = name_at == start || b"\"'`([{\\".contains(&bytes[name_at - 1]);
        let is_option = bytes.get(name_at) == Some(&b'-');
        (is_whole && !is_option && end > name_at + 1).then(|| after_escape(bytes, name_at).min(end))
    };
    let Some(second_start) = name_start(word) else {
        return (None, None);
    };
    let two_words = before
        .filter(|(_, end)| end + 1 == word.0 && second_start == word.0)
        .and_then(name_start)
        .and_then(|first_start| text.get(first_start..word.1));
    (two_words, text.get(second_start..word.1))
}

impl<'t> ProsePair<'t> {
    /// Returns the possible keys of the value, the most likely first.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'t str> + use<'t> {
        self.keys.into_iter().flatten()
    }

    /// Returns the range of the value, if `key` may have a value of this form.
    pub(crate) fn value(&self, text: &str, key: &str) -> Option<(usize, usize)> {
        let content = text.as_bytes().get(self.start..self.end)?;
        scan_cost::add(content.len());
        let subject = KeySubject::for_key(key);
        if content.iter().all(u8::is_ascii_digit) {
            return self.code(text.as_bytes(), subject);
        }
        let is_match = credential::is_credential_alone(content)
            && match self.link {
                Link::Verb | Link::Participle => true,
                Link::Blanks if is_identifier(key) => {
                    !is_numbered(content) || is_variable_or_header(key) && is_password(content)
                }
                Link::Blanks => is_random(content),
            };
        is_match.then_some((self.start, self.end))
    }

    /// Returns the range of a code: four to eight digits, or two equal groups of three or four
    /// digits. After blanks, and after the key of a password, a single group must have at least six
    /// digits.
    fn code(&self, text: &[u8], subject: KeySubject) -> Option<(usize, usize)> {
        let length = self.end - self.start;
        let after_first = &text[self.end..];
        let second_length = match after_first {
            [b' ', group @ ..] => ByteClass::DIGIT.run_end(&group[..group.len().min(9)], 0),
            _ => 0,
        };
        let is_pair = length == second_length && (3..=4).contains(&length);
        let end = self.end + if is_pair { 1 + second_length } else { 0 };
        let min_length = match (subject, self.link) {
            (KeySubject::Code, Link::Verb | Link::Participle) => 4,
            (KeySubject::Password, Link::Verb) | (KeySubject::Code, Link::Blanks) => 6,
            _ => return None,
        };
        // Numbers that are not codes: `483920 bytes`, `20261128-4`
        let after_code = after_first.get(end - self.end..).unwrap_or_default();
        let is_end = after_code
            .first()
            .is_none_or(|byte| is_space(*byte) || b",.;!?\"'`\\)".contains(byte));
        let unit_start = run_end(after_code, 0, |byte| byte == b' ');
        let from_unit = &after_code[unit_start..];
        let unit_len = run_end(&from_unit[..from_unit.len().min(16)], 0, |byte| {
            byte.is_ascii_alphabetic()
        });
        let unit = &from_unit[..unit_len];
        let is_match = is_end
            && (is_pair || (min_length..=8).contains(&length))
            && !contains_word(UNITS, unit);
        is_match.then_some((self.start, end))
    }
}

/// Returns whether `key` is an identifier, not a word of a sentence: `HEROKU_API_KEY`, `x-api-key`,
/// `PGPASSWORD`.
fn is_identifier(key: &str) -> bool {
    let is_upper = key.len() >= 6 && key.bytes().all(|byte| byte.is_ascii_uppercase());
    !key.contains(' ') && (key.contains(['_', '-']) || is_upper)
}

/// Returns whether `key` is the name of an environment variable or of a header: `DB_PASSWORD`,
/// `x-api-key`. If such a name is part of a sentence, the word after it has no digits.
fn is_variable_or_header(key: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    key.bytes().all(is_part) || matches!(key.as_bytes(), [b'x' | b'X', b'-', ..])
}

/// Returns whether `word` consists of letters and then digits: `row5512`.
fn is_numbered(word: &[u8]) -> bool {
    word[letters_end(word)..].iter().all(u8::is_ascii_digit)
}

/// Returns whether a numbered word may be a password: `tulip9931`, but not `vault1` or `user5512`.
fn is_password(word: &[u8]) -> bool {
    const MIN_DIGITS: usize = 3;
    let (letters, digits) = word.split_at(letters_end(word));
    let lists = [SENTENCE_STARTS, SENTENCE_OPENERS, STATES, UNITS];
    letters.len() > 3 && digits.len() >= MIN_DIGITS && !any_contains(&lists, letters)
}

fn letters_end(word: &[u8]) -> usize {
    run_end(word, 0, |byte| byte.is_ascii_alphabetic())
}

/// Returns whether `word` is long, has small and capital letters and digits, and has no marks
/// except those of a path or of base64.
fn is_random(word: &[u8]) -> bool {
    let has = |is_kind: fn(&u8) -> bool| word.iter().any(is_kind);
    word.len() >= 16
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_digit)
        && word
            .iter()
            .all(|byte| ByteClass::PATH.has(*byte) || *byte == b'=')
}

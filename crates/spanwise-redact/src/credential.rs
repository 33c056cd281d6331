//! A model of what a credential is: what follows a secret key is one, or prose about it.
//!
//! A key says what its value is about, not that the value is there. Three readings are told apart
//! by how the key and its value are written:
//!
//! - **Strict**, after `=`, in quotes, and after a key in quotes: a value of a machine. Everything
//!   is a credential but [nothing](is_nothing) and a [placeholder](is_placeholder).
//! - **Loose**, after `key: `: as often a sentence as a value. [`after_colon`] shows words of
//!   state, sentences, names of errors, counts and statuses.
//! - **Phrases**, whose key says that the secret is made of words: all of them are the value.
//!
//! A rule of the user hides every value, so none of this is asked for one.

mod extent;
mod placeholder;
mod word_shapes;

use crate::{
    byte_class::ByteClass,
    byte_search::{is_space, line_from},
    value_end, word_lists, work,
};
use word_shapes::{
    is_count, is_duration, is_error_name, is_module, is_name, is_path, is_plain, is_type,
    is_variable,
};

pub(crate) use extent::{end_of_code, end_of_groups, end_of_person, end_of_phrase};
pub(crate) use placeholder::{is_absent, is_nothing, is_placeholder};

/// Sentences are read no further.
pub(crate) const MAX_LINE_LEN: usize = 96;

/// What a bare value after `key: ` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueReading {
    /// No credential: a sentence, a state, a count.
    Prose,
    /// A credential: the value as its grammar delimits it.
    Value,
    /// A credential after words: so many bytes are hidden.
    Through(usize),
}

/// What a key says of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeySubject {
    /// Words are the secret: a passphrase, a mnemonic.
    Phrase,
    /// One word is the secret, and may be a word of a language: a password.
    Password,
    /// Digits are the secret: a PIN, a one-time password.
    Code,
    /// The name of a thing that also has a state: a token, a session.
    Thing,
    /// Personal data that has several words: a name, an address.
    Person,
}

impl KeySubject {
    pub(crate) fn key(key: &str) -> Self {
        let key = key.as_bytes();
        let has = |parts: &[&str]| parts.iter().any(|part| contains(key, part.as_bytes()));
        if has(&["phrase", "mnemonic", "recovery", "seed"]) {
            Self::Phrase
        } else if has(&["passcode", "pin", "otp", "cvv", "cvc", "code"]) {
            Self::Code
        } else if has(&["pass", "pwd", "pw"]) {
            Self::Password
        } else if has(&["name", "address", "addr", "street", "birth", "phone"]) {
            Self::Person
        } else {
            Self::Thing
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    work::step(text.len());
    text.windows(part.len())
        .any(|window| window.eq_ignore_ascii_case(part))
}

/// Reads the bare value after `key: `; `text` begins with it.
pub(crate) fn read_after_colon(text: &[u8], about: KeySubject) -> ValueReading {
    let line = line_from(text, 0, MAX_LINE_LEN);
    work::step(line.len());
    // `Authorization: Bearer <token>`
    if is_placeholder(line) {
        return ValueReading::Prose;
    }
    // A list, a tuple or a map as `{:#?}` writes them, an element a line.
    if matches!(line.trim_ascii(), b"[" | b"(" | b"{") {
        return ValueReading::Value;
    }
    // `wrong password: got tulip9931` says it after all.
    let credential = |most: usize| {
        let mut words = words_of(line).skip(1).take(most);
        let (at, word) = words.find(|(_, word)| is_credential(word))?;
        Some(ValueReading::Through(at + word.len()))
    };
    if is_prose(line, about, 0) {
        let found = if about == KeySubject::Password {
            credential(16)
        } else {
            None
        };
        return found.unwrap_or(ValueReading::Prose);
    }
    let first = words_of(line)
        .next()
        .map_or(&line[..0], |(_, word)| trim(word));
    let is_struct = words_of(line)
        .nth(1)
        .is_some_and(|(_, second)| b"({[".contains(&second[0]));
    let lists = [
        word_lists::SENTENCE_OPENERS,
        word_lists::SENTENCE_STARTS,
        word_lists::STATES,
    ];
    let is_word = !is_struct
        && lists
            .iter()
            .any(|list| word_lists::contains_word(list, first));
    let found = if is_word { credential(4) } else { None };
    found.unwrap_or(ValueReading::Value)
}

/// Returns whether a text in quotes reads as a sentence: several words, the first of them known.
pub(crate) fn is_sentence(text: &[u8]) -> bool {
    text.len() <= 256 && text.contains(&b' ') && is_prose(text, KeySubject::Password, 0)
}

/// The words of a line, each with its place.
fn words_of(line: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += line[at..]
            .iter()
            .take_while(|byte| is_space(**byte))
            .count();
        let end = line[at..].iter().position(|byte| is_space(*byte));
        let end = end.map_or(line.len(), |end| at + end);
        let word = (at, &line[at..end]);
        at = end;
        (!word.1.is_empty()).then_some(word)
    })
}

/// Letters and digits mixed as in no word: `tulip9931`, and no `utf8` or `sha256`.
///
/// Of a pair only its value counts: `order=42` is none.
fn is_credential(word: &[u8]) -> bool {
    let word = trim(word);
    let name = ByteClass::KEY.run_end(word, 0);
    let word = match word.get(name) {
        Some(b'=') if name > 0 => trim(&word[name + 1..]),
        _ => word,
    };
    let digits = word.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = word
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic())
        .count();
    word.len() >= 6
        && digits >= 1
        && letters >= 1
        && !word_lists::contains_word(word_lists::NAMES, word)
}

/// Returns whether a word is a credential by itself: letters and digits mixed, and nothing that a
/// sentence has of that form, such as a name, a path, a version, a date or `key=value`.
pub(crate) fn is_value(word: &[u8]) -> bool {
    let is_version = |word: &[u8]| {
        word.iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'.')
    };
    let is_date = || {
        let four = word.iter().take(4).all(u8::is_ascii_digit);
        four && word.get(4) == Some(&b'-') && word.get(7) == Some(&b'-')
    };
    let mut parts = word.split(|byte| b"-_".contains(byte));
    word.len() <= 512
        && is_credential(word)
        && !word.windows(3).any(|three| three == b"://")
        && !word
            .iter()
            .any(|byte| b"(={[".contains(byte) || byte.is_ascii_control())
        && !is_version(word.strip_prefix(b"v").unwrap_or(word))
        && !is_date()
        && !is_name(word)
        && !is_path(word)
        && !is_duration(word)
        && !is_placeholder(word)
        && !parts.any(|part| word_lists::contains_word(word_lists::NAMES, part))
}

fn trim(word: &[u8]) -> &[u8] {
    let marks = |byte: &u8| b"\"'`()[]<>{},.;:!?|".contains(byte);
    let start = word
        .iter()
        .position(|byte| !marks(byte))
        .unwrap_or(word.len());
    let end = word
        .iter()
        .rposition(|byte| !marks(byte))
        .map_or(start, |at| at + 1);
    &word[start..end]
}

fn is_prose(line: &[u8], about: KeySubject, depth: u8) -> bool {
    let mut words = words_of(line);
    let Some((at, first)) = words.next() else {
        return false;
    };
    let rest = &line[at + first.len()..];
    let second = words.next().map(|(_, word)| word);
    let word = trim(first);
    if word.is_empty() {
        // The token that a parser did not expect: `}`.
        return first.len() <= 5 || second.is_some_and(|second| is_plain(trim(second)));
    }
    if word.iter().all(u8::is_ascii_digit) {
        return is_count(word, rest, about);
    }
    // A tag of YAML: `!vault |`.
    if first[0] == b'!' && second == Some(b"|") && is_plain(word) {
        return true;
    }
    let is_thing = matches!(about, KeySubject::Thing | KeySubject::Code);
    if is_type(first) || is_thing && is_module(word) || is_variable(first) {
        return true;
    }
    if is_duration(word) {
        return about == KeySubject::Thing;
    }
    // A mark before the first word opens something, or the value is no word.
    if first
        .iter()
        .take_while(|byte| **byte != word[0])
        .any(|byte| b"!?|;:)]}>".contains(byte))
    {
        return false;
    }
    // `Debug` of a struct: only that of an error is prose.
    let is_struct = first[1..].iter().any(|byte| b"({[".contains(byte))
        || word[0].is_ascii_uppercase() && second.is_some_and(|second| b"{[".contains(&second[0]));
    if is_error_name(first, about) {
        return !has_credential_in_brackets(line, is_struct);
    }
    if is_struct {
        return false;
    }
    let is_state = word_lists::contains_word(word_lists::STATES, word);
    let is_opener = word_lists::contains_word(word_lists::SENTENCE_OPENERS, word);
    let is_lead = is_opener || word_lists::contains_word(word_lists::SENTENCE_STARTS, word);
    if about == KeySubject::Phrase {
        let sentence = is_plain(word)
            && words_of(line)
                .take(4)
                .any(|(_, word)| word_lists::contains_word(word_lists::FUNCTION_WORDS, trim(word)));
        return sentence || second.is_none() && is_state;
    }
    if first.last() == Some(&b':') && second.is_some() && depth < 3 {
        // A chain of errors: `stock-db: permission denied`.
        let is_named = is_thing && (is_plain(word) || is_name(word));
        let is_thing_named = is_lead && !word_lists::contains_word(word_lists::PASSWORD_LIKE, word);
        let is_lead = is_opener || is_lead && about != KeySubject::Password;
        let is_lead = is_lead || is_thing_named && is_prose(rest, about, depth + 1);
        return is_state || is_lead || is_named && is_prose(rest, about, depth + 1);
    }
    let ends = first.last().is_some_and(|last| b",;.:!?)".contains(last));
    if is_path(word) && second.is_none_or(|_| ends) {
        return is_thing || second.is_some();
    }
    if !is_plain(word) && !is_state {
        // `SameSite must be …`
        let is_camel = word.len() <= 20 && word.iter().all(u8::is_ascii_alphabetic);
        let is_verb = |second: &[u8]| word_lists::contains_word(word_lists::VERBS, trim(second));
        return is_thing && is_camel && second.is_some_and(is_verb);
    }
    let is_participle = is_thing
        && word.len() > 5
        && [&b"ed"[..], b"ing", b"able", b"ible"]
            .iter()
            .any(|end| word.ends_with(end));
    if is_state || is_participle {
        return true;
    }
    let Some(second) = second.filter(|_| !ends || first.last() == Some(&b',')) else {
        return false;
    };
    let next = trim(second);
    // `Authorization: token …` has a credential after the scheme, unless a sentence goes on.
    if value_end::is_scheme(word) && about != KeySubject::Password {
        let lists = [
            word_lists::STATES,
            word_lists::VERBS,
            word_lists::FUNCTION_WORDS,
        ];
        return lists
            .iter()
            .any(|list| word_lists::contains_word(list, next));
    }
    let goes_on = next.is_empty()
        || is_plain(next)
        || next
            .strip_suffix(b"+")
            .unwrap_or(next)
            .iter()
            .all(u8::is_ascii_digit)
        || matches!(second[0], b'"' | b'\'' | b'`' | b'(' | b'/' | b'\\')
        || is_name(next)
        || next.len() <= 24 && next.iter().all(u8::is_ascii_alphabetic)
        || is_error_name(next, about);
    let is_known = |word: &[u8]| {
        let lists = [
            word_lists::STATES,
            word_lists::SENTENCE_OPENERS,
            word_lists::SENTENCE_STARTS,
            word_lists::VERBS,
            word_lists::FUNCTION_WORDS,
        ];
        lists
            .iter()
            .any(|list| word_lists::contains_word(list, word))
    };
    let is_pair = second.contains(&b'=')
        || second.last() == Some(&b':') && !is_known(next) && !next.iter().all(u8::is_ascii_digit);
    if is_pair {
        return false;
    }
    if is_lead && !is_opener && about == KeySubject::Password {
        // `password: root from …`: a thing of a sentence does something, and is no password then.
        let is_verb = word_lists::contains_word(word_lists::VERBS, next)
            || word_lists::contains_word(word_lists::STATES, next);
        let is_auxiliary = word_lists::contains_word(word_lists::AUXILIARIES, next);
        // `signature verification failed`
        let third = words_of(line).nth(2).map(|(_, word)| trim(word));
        let is_later = || {
            let lists = [word_lists::VERBS, word_lists::STATES];
            let is_noun = word_lists::contains_word(word_lists::SENTENCE_STARTS, next);
            is_noun
                && third.is_some_and(|third| {
                    lists
                        .iter()
                        .any(|list| word_lists::contains_word(list, third))
                })
        };
        return is_auxiliary
            || (is_verb || is_later())
                && !word_lists::contains_word(word_lists::PASSWORD_LIKE, word);
    }
    if is_lead {
        return goes_on;
    }
    if !is_thing {
        return false;
    }
    // `provider answered`: the name of a thing, and a verb.
    let sentence = || {
        words_of(line)
            .map(|(_, word)| word)
            .take_while(|word| !word.contains(&b'=') && is_plain(trim(word)))
            .map(trim)
            .take(3)
    };
    word_lists::contains_word(word_lists::VERBS, next)
        || match sentence().count() {
            3 => true,
            2 => sentence().any(is_known),
            _ => false,
        }
}

/// `InvalidToken("a1b2c3d4")` shows what is in its brackets.
fn has_credential_in_brackets(line: &[u8], is_struct: bool) -> bool {
    let marks = |byte: &u8| is_space(*byte) || b"(){}[]\"',".contains(byte);
    is_struct && line.split(marks).skip(1).take(24).any(is_credential)
}

/// Returns whether the value of a parameter such as `code` is words: `NOT_FOUND`, `user.created`.
pub(crate) fn is_words(value: &[u8]) -> bool {
    let is_part = |part: &[u8]| {
        let rest = part.get(1..).unwrap_or_default();
        let lower = rest.iter().all(u8::is_ascii_lowercase);
        let upper = part.iter().all(u8::is_ascii_uppercase);
        part.len() <= 14 && (part.is_empty() || part[0].is_ascii_alphabetic() && (lower || upper))
    };
    let camel = value.len() <= 24 && is_error_name(value, KeySubject::Thing);
    value.len() <= 64 && (value.split(|byte| b"_-.+/".contains(byte)).all(is_part) || camel)
}

/// Returns whether a text in quotes after `key: ` is the name of a thing that the sentence goes on
/// about: `` token: `lease_id` not found ``.
pub(crate) fn is_sentence_subject(name: &[u8], rest: &[u8]) -> bool {
    let is_name = is_name(name) && !name.iter().any(u8::is_ascii_digit);
    let line = line_from(rest, 0, MAX_LINE_LEN);
    // ` not found`, ` has expired`: no bracket, and no next field.
    let first = words_of(line).next().map_or(&line[..0], |(_, word)| word);
    let is_verb = word_lists::contains_word(word_lists::VERBS, trim(first));
    is_name && line.starts_with(b" ") && is_verb && is_prose(line, KeySubject::Password, 0)
}

/// What the size of a salt or of a token is measured in.
const SIZES: &[&str] = &["bit", "bits", "byte", "bytes", "characters", "chars"];

/// Returns whether a key is about something else than a password: `PWD` with the path of a working
/// directory, and `pass` with the number of tests beside those that fail.
pub(crate) fn has_other_meaning(key: &str, value: &[u8], rest: &[u8]) -> bool {
    let is_key = |names: &[&str]| names.iter().any(|name| key.eq_ignore_ascii_case(name));
    if is_key(&["pwd", "oldpwd"]) {
        return value == b"/" || value.len() <= 256 && is_path(value);
    }
    // `pin=GPIO17`
    if is_key(&["pin"]) && value.starts_with(b"GPIO") && value.len() <= 7 {
        return true;
    }
    // `salt=16 bytes`
    let is_size = (1..=3).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    if is_size && KeySubject::key(key) == KeySubject::Thing {
        let unit = words_of(line_from(rest, 0, 16)).next();
        return unit
            .is_some_and(|(at, unit)| at == 1 && word_lists::contains_word(SIZES, trim(unit)));
    }
    let is_number = !value.is_empty() && value.len() <= 6 && value.iter().all(u8::is_ascii_digit);
    let near = || line_from(rest, 0, 48);
    is_key(&["pass"]) && is_number && (contains(near(), b"fail") || contains(near(), b"skip"))
}

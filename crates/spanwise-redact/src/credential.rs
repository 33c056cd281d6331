//! Distinguishes credentials from prose in the text after a secret key.
//!
//! A key such as `password` does not prove that a password follows. The value is read in one of
//! three ways, depending on the key and on the notation of the pair:
//!
//! - **Strict**, after `=`, in quotes, and after a quoted key, because a machine wrote the value.
//!   Everything is a credential except a [value that reveals nothing](is_nothing) and a
//!   [placeholder](is_placeholder).
//! - **Loose**, after `key: `, because a sentence is as likely as a value. [`read_after_colon`]
//!   shows states, sentences, names of errors, counts and statuses.
//! - **Phrases**, after a key such as `seed_phrase`, which names a secret of several words. The
//!   value is all words that follow.
//!
//! Only built-in rules make this distinction. User rules hide every value except an absent one.

mod extent;
mod placeholder;
mod prose;
mod word_shapes;

use crate::{
    byte_class::ByteClass,
    byte_search::{
        contains_text, is_boundary, is_space, line_from, run_end, run_start, skip_space,
    },
    scan_cost,
    word_lists::{
        NAMES, SENTENCE_OPENERS, SENTENCE_STARTS, STATES, VERBS, any_contains, contains_word,
    },
};
use prose::is_prose;
use word_shapes::{is_error_name, is_measure, is_name, is_path};

pub(crate) use extent::{end_of_app_password, end_of_code, end_of_person, end_of_phrase};
pub(crate) use placeholder::{is_absent, is_nothing, is_placeholder};

/// The maximum length of a line that is read as a sentence, in bytes. A longer line is cut.
pub(crate) const MAX_LINE_LEN: usize = 96;

/// The reading of an unquoted value after `key: `.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueReading {
    /// Not a credential: a sentence, a state, a count, a placeholder.
    Prose,
    /// A credential. It ends where the grammar of [`pair_lexer`](crate::pair_lexer) ends a value.
    Value,
    /// Words and a credential after them, which are all hidden. The credential ends at this
    /// position in the text.
    Through(usize),
}

/// The kind of value that a key announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeySubject {
    /// Several words: a passphrase, a mnemonic.
    Phrase,
    /// One word, which may be a dictionary word: a password.
    Password,
    /// Digits: a PIN, a one-time password.
    Code,
    /// Anything else, such as a token or a session, which may also have a state.
    Thing,
    /// PII of several words: a name, an address.
    Person,
}

impl KeySubject {
    pub(crate) fn for_key(key: &str) -> Self {
        let key = key.as_bytes();
        let has = |parts: &[&str]| parts.iter().any(|part| contains_text(key, part.as_bytes()));
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

/// Reads the unquoted value after `key: `, which is at the start of `text`.
pub(crate) fn read_after_colon(text: &[u8], subject: KeySubject) -> ValueReading {
    let line = line_from(text, 0, MAX_LINE_LEN);
    scan_cost::add(line.len());
    // `Authorization: Bearer <token>`
    if is_placeholder(line) {
        return ValueReading::Prose;
    }
    // `Debug` output in `{:#?}` of a list, a tuple or a map: the elements are on the next lines.
    if matches!(line.trim_ascii(), b"[" | b"(" | b"{") {
        return ValueReading::Value;
    }
    if is_prose(line, subject) {
        // In `wrong password: got tulip9931`, the credential follows the first word.
        let is_password = subject == KeySubject::Password;
        let end = is_password.then(|| end_of_credential(line, 16, is_credential_in_prose));
        return end
            .flatten()
            .map_or(ValueReading::Prose, ValueReading::Through);
    }
    let mut words = words_of(line).map(|(_, word)| word);
    let first = words.next().map_or(&line[..0], trim_marks);
    let is_struct = words
        .next()
        .is_some_and(|second| b"({[".contains(&second[0]));
    let begins_sentence =
        !is_struct && any_contains(&[SENTENCE_OPENERS, SENTENCE_STARTS, STATES], first);
    let end = begins_sentence.then(|| end_of_credential(line, 4, is_credential));
    end.flatten()
        .map_or(ValueReading::Value, ValueReading::Through)
}

/// Returns the end of the first credential in the `max_words` words after the first word of a line.
/// If the line compares it with other credentials, as in `got tulip9931, want rose8820`, returns
/// the end of the last one. After one of [`COMPARISONS`], each word with letters and digits is a
/// credential. `is_likely` decides about other words.
fn end_of_credential(
    line: &[u8],
    max_words: usize,
    is_likely: impl Fn(&[u8]) -> bool,
) -> Option<usize> {
    let mut end = None;
    let mut follows_comparison = false;
    for (index, (at, word)) in words_of(line).take(1 + max_words).enumerate() {
        let is_match = follows_comparison && is_credential(word) && !word.contains(&b'=')
            || end.is_none() && is_likely(word);
        if index > 0 && is_match {
            end = Some(at + word.len());
        }
        let is_instead_of = follows_comparison && word == b"of";
        // `changed from tulip9931 to rose8820`
        let is_change = end.is_some() && word == b"to";
        follows_comparison =
            is_instead_of || is_change || contains_word(COMPARISONS, trim_marks(word));
    }
    end
}

/// Words directly before a credential, even if it looks like a name: `got rose-42`.
#[rustfmt::skip]
const COMPARISONS: &[&str] = &[
    "actual", "be", "entered", "expected", "found", "given", "got", "instead", "is", "not",
    "received", "tried", "typed", "used", "using", "vs", "want", "wanted", "was", "with",
];

/// Returns whether a word of a sentence about a password is a credential, and not a time, a name,
/// an id or a host with a port: `expired for user4711 at 2026-12-01T10:00:00Z`.
fn is_credential_in_prose(word: &[u8]) -> bool {
    const UUID_LEN: usize = 36;
    let word = trim_marks(word);
    let colon_at = word.iter().rposition(|byte| *byte == b':');
    let is_host = colon_at.is_some_and(|at| {
        let port = &word[at + 1..];
        is_name(&word[..at]) && !port.is_empty() && ByteClass::DIGIT.has_all(port)
    });
    let letters = &word[..ByteClass::ALPHA.run_end(word, 0)];
    let is_id = ByteClass::DIGIT.has_all(&word[letters.len()..])
        && any_contains(&[SENTENCE_STARTS, STATES], letters);
    let is_uuid = word.len() == UUID_LEN && ByteClass::HEX_DASH.has_all(word);
    is_credential_alone(word) && !is_host && !is_id && !is_uuid
}

/// Returns whether a quoted text is a sentence: several words that read as prose.
pub(crate) fn is_sentence(text: &[u8]) -> bool {
    text.len() <= 256 && text.contains(&b' ') && is_prose(text, KeySubject::Password)
}

/// Returns the words of a line, each with its position in the line.
fn words_of(line: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at = skip_space(line, at);
        let end = run_end(line, at, |byte| !is_space(byte));
        let word = (at, &line[at..end]);
        at = end;
        (!word.1.is_empty()).then_some(word)
    })
}

/// Returns whether a word mixes letters and digits like a credential: `tulip9931`, but not `utf8`
/// or `sha256`. A word of fewer than six bytes is not a credential.
///
/// If the word is `key=value`, only the value is checked, so `order=42` is not a credential.
fn is_credential(word: &[u8]) -> bool {
    let word = trim_marks(word);
    let name_end = ByteClass::KEY.run_end(word, 0);
    let word = match word.get(name_end) {
        Some(b'=') if name_end > 0 => trim_marks(&word[name_end + 1..]),
        _ => word,
    };
    let digits = word.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = word
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic())
        .count();
    word.len() >= 6 && digits >= 1 && letters >= 1 && !contains_word(NAMES, word)
}

/// Returns whether a word is a credential by its form alone. For words that no syntax marks as a
/// value.
///
/// The word must have letters and digits, and must not be a name, a path, a URL, a version, a date,
/// a measure such as `12ms`, a placeholder or `key=value`.
pub(crate) fn is_credential_alone(word: &[u8]) -> bool {
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
        && !is_measure(word)
        && !is_placeholder(word)
        && !parts.any(|part| contains_word(NAMES, part))
}

/// Returns the word without the punctuation marks around it.
fn trim_marks(word: &[u8]) -> &[u8] {
    trim_marks_end(&word[run_end(word, 0, is_mark)..])
}

/// Returns the word without the punctuation marks after it.
fn trim_marks_end(word: &[u8]) -> &[u8] {
    &word[..run_start(word, word.len(), word.len(), is_mark)]
}

fn is_mark(byte: u8) -> bool {
    b"\"'`()[]<>{},.;:!?|".contains(&byte)
}

/// Returns whether the value of a parameter such as `code` consists of words: `NOT_FOUND`,
/// `user.created`.
pub(crate) fn is_words(value: &[u8]) -> bool {
    let is_word = |word: &[u8]| {
        let rest = word.get(1..).unwrap_or_default();
        let is_small = rest.iter().all(u8::is_ascii_lowercase);
        let is_capital = word.iter().all(u8::is_ascii_uppercase);
        word.len() <= 14
            && (word.is_empty() || word[0].is_ascii_alphabetic() && (is_small || is_capital))
    };
    let is_camel = value.len() <= 24 && is_error_name(value, KeySubject::Thing);
    value.len() <= 64 && (value.split(|byte| b"_-.+/".contains(byte)).all(is_word) || is_camel)
}

/// Returns whether a quoted text after `key: ` is the subject of a sentence: `` token: `lease_id`
/// not found ``. `name` is the text in quotes, and `rest` is the text after the closing quote.
pub(crate) fn is_sentence_subject(name: &[u8], rest: &[u8]) -> bool {
    let is_name = is_name(name) && !name.iter().any(u8::is_ascii_digit);
    let line = line_from(rest, 0, MAX_LINE_LEN);
    // A verb must follow, as in ` not found` and ` has expired`.
    let first = words_of(line).next().map_or(&line[..0], |(_, word)| word);
    let is_verb = contains_word(VERBS, trim_marks(first));
    is_name && line.starts_with(b" ") && is_verb && is_prose(line, KeySubject::Password)
}

/// Units of the size of a salt or a token.
const SIZES: &[&str] = &["bit", "bits", "byte", "bytes", "characters", "chars"];

/// Returns whether a key does not name a secret, because of its value: `PWD` with a directory,
/// `pass` with the number of passed tests. `rest` is the text after the value.
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
    if is_size && KeySubject::for_key(key) == KeySubject::Thing {
        let unit = words_of(line_from(rest, 0, 16)).next();
        return unit.is_some_and(|(at, unit)| at == 1 && contains_word(SIZES, trim_marks(unit)));
    }
    let is_number = !value.is_empty() && value.len() <= 6 && value.iter().all(u8::is_ascii_digit);
    is_key(&["pass"]) && is_number && has_test_count(line_from(rest, 0, 48))
}

/// Returns whether the text has a count of failed or skipped tests: `fail=0`, `"skipped": 2`,
/// `(0 failed)`.
fn has_test_count(text: &[u8]) -> bool {
    let is_gap = |byte| b" \"'\\".contains(&byte);
    let is_count = |separator_at: usize| {
        let name_end = run_start(text, separator_at, separator_at, is_gap);
        let name = &text[ByteClass::KEY.run_start(text, name_end, name_end)..name_end];
        let start = run_end(text, separator_at + 1, is_gap);
        let end = ByteClass::DIGIT.run_end(text, start);
        // The whole name must match, because `auth_failed=1` is about a login. Only a prefix with a
        // dot is ignored: `tests.failed=1`.
        let name = name.rsplit(|byte| *byte == b'.').next().unwrap_or(name);
        contains_word(TEST_COUNTS, name)
            && end > start
            && is_boundary(text, end)
            && (text[separator_at] == b'=' || !is_status(text, start, end))
    };
    // A count before its name: `, 0 failed)`, but not `, 3 failed attempts`.
    let is_count_before = |mark_at: usize| {
        let start = run_end(text, mark_at + 1, |byte| byte == b' ');
        let end = ByteClass::DIGIT.run_end(text, start);
        let word_start = skip_space(text, end);
        let word_end = run_end(text, word_start, |byte| byte.is_ascii_alphabetic());
        let after = text.get(skip_space(text, word_end));
        end > start
            && word_start > end
            && contains_word(TEST_COUNTS, &text[word_start..word_end])
            && after.is_none_or(|byte| b"),;.".contains(byte))
    };
    (0..text.len()).any(|at| match text[at] {
        b'=' | b':' => is_count(at),
        b',' | b'(' => is_count_before(at),
        _ => false,
    })
}

/// Returns whether the number in `text[start..end]`, after `failed: `, is a status such as
/// `401 Unauthorized`. In `failed: 2 skipped: 1` and `failed: 2 of 14`, the number is a count.
fn is_status(text: &[u8], start: usize, end: usize) -> bool {
    let next = run_end(text, end, |byte| byte == b' ');
    let next_end = ByteClass::KEY.run_end(text, next);
    if next_end > next {
        return !matches!(text.get(next_end), Some(b':' | b'='))
            && !contains_word(&["of", "total"], &text[next..next_end]);
    }
    let is_error = end - start == 3 && matches!(text[start], b'4' | b'5');
    is_error && text[end..].iter().all(|byte| b" .".contains(byte))
}

/// Names of the counts of tests that did not pass.
#[rustfmt::skip]
const TEST_COUNTS: &[&str] = &[
    "fail", "failed", "failing", "fails", "failure", "failures", "skip", "skipped", "skips",
    "tests_failed", "tests_skipped",
];

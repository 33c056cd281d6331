//! Recognizes kinds of words in sentences by their shape: counts, names, paths, types, errors.

use super::{KeySubject, trim_marks, words_of};
use crate::{
    byte_class::ByteClass,
    byte_search::run_end,
    word_lists::{
        ERROR_PREFIXES, ERROR_SUBJECTS, ERROR_SUFFIXES, ERRORS, FOLDERS, MEASURES, PHRASE_UNITS,
        STATES, TYPES, UNITS, any_contains, contains_word,
    },
};

/// Returns whether `digits` and the text after them are a count or a status: `16 bytes`, `8 to 64
/// characters`, `401`, `403 Forbidden`.
pub(super) fn is_count(digits: &[u8], rest: &[u8], subject: KeySubject) -> bool {
    let mut words = words_of(rest).map(|(_, word)| trim_marks(word));
    let second = words.next();
    // After the key of a code, a password or a phrase, digits and words may be the secret. So only
    // a number of up to three digits with a unit, such as `6 digits`, is a count there.
    let (units, max_digits, max_digits_without_unit) = match subject {
        KeySubject::Thing | KeySubject::Person => (UNITS, 7, 3),
        KeySubject::Code | KeySubject::Password => (MEASURES, 3, 0),
        KeySubject::Phrase => (PHRASE_UNITS, 3, 0),
    };
    let is_unit = |word: &&[u8]| contains_word(units, word);
    let is_range = |word: &&[u8]| {
        let joins = [&b"to"[..], b"or", b"and", b"more", b"-", b"of"];
        joins.contains(word) || word.len() <= max_digits && word.iter().all(u8::is_ascii_digit)
    };
    let has_unit = second.is_some_and(|second| {
        is_unit(&second)
            || is_range(&second)
                && words
                    .by_ref()
                    .take_while(|word| is_range(word) || is_unit(word))
                    .any(|word| is_unit(&word))
    });
    if has_unit {
        return digits.len() <= max_digits;
    }
    // `3 wrong attempts`
    let is_small = digits.len() <= 2 && matches!(subject, KeySubject::Code | KeySubject::Password);
    let third = words_of(rest).map(|(_, word)| trim_marks(word)).nth(1);
    if is_small
        && second.is_some_and(is_sentence_word)
        && third.is_some_and(|third| is_unit(&third))
    {
        return true;
    }
    // `12 messages pending`
    let is_word = |word: &[u8]| is_sentence_word(word) && word.len() > 2;
    if digits.len() <= max_digits_without_unit && second.is_some_and(is_word) {
        return true;
    }
    let is_status = digits.len() == 3 && (b'1'..=b'5').contains(&digits[0]);
    subject == KeySubject::Thing && is_status && second.is_none_or(is_sentence_word)
}

/// Returns whether the text is a number with its unit: `12ms`, `1.5s`, `16KiB`, `98%`.
pub(super) fn is_measure(word: &[u8]) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    let (number, unit) = word.split_at(run_end(word, 0, is_digit));
    let is_unit = matches!(unit, b"us" | b"ns" | b"%" | b"\xc2\xb5s" | b"gb" | b"b");
    (1..=8).contains(&number.len()) && (is_unit || contains_word(UNITS, unit))
}

/// Returns whether the text is a type in source code: `&str`, `Option<String>`, `*const`.
pub(super) fn is_type(word: &[u8]) -> bool {
    let word = word.strip_suffix(b",").unwrap_or(word);
    let word = word.strip_suffix(b")").unwrap_or(word);
    let word = word.strip_suffix(b"|").unwrap_or(word);
    if matches!(word, b"*const" | b"*mut") {
        return true;
    }
    if let Some(referent) = word.strip_prefix(b"&") {
        let is_name = referent.first().is_some_and(u8::is_ascii_uppercase)
            && referent.iter().all(u8::is_ascii_alphabetic)
            && referent.len() <= 24;
        return is_name || contains_word(TYPES, referent);
    }
    let Some(open_at) = word.iter().position(|byte| *byte == b'<') else {
        return false;
    };
    let is_part = |byte: &u8| byte.is_ascii_alphabetic() || b"<>&'[]:_,8".contains(byte);
    contains_word(TYPES, &word[..open_at]) && word.len() <= 64 && word.iter().all(is_part)
}

/// Returns whether the text is a placeholder of a format string: `{token}`. If a word follows the
/// braces, as in `{noop}tulip`, they name the encoding of a password, and the text is a secret.
pub(super) fn is_format_placeholder(word: &[u8]) -> bool {
    let parts = word.strip_prefix(b"{").and_then(|word| {
        let end = word.iter().position(|byte| *byte == b'}')?;
        Some((&word[..end], &word[end + 1..]))
    });
    let is_name = |byte: &u8| byte.is_ascii_lowercase() || b"_.:?".contains(byte);
    parts.is_some_and(|(inside, after)| {
        inside.iter().all(is_name) && after.iter().all(|byte| b",;.:!?)'\"`".contains(byte))
    })
}

/// Returns whether the text is a module path: `shop_session::Store::open`. One of its names must
/// have only small letters, because a random secret with a `::` may look like two types.
pub(super) fn is_module(word: &[u8]) -> bool {
    let is_small = |name: &str| {
        let is_part = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        !name.is_empty() && name.bytes().all(is_part)
    };
    // Each capital of a type begins a word of three letters or more.
    let is_type = |name: &str| {
        let rest = name.strip_prefix(|c: char| c.is_ascii_uppercase());
        rest.is_some_and(|rest| {
            rest.bytes().all(|byte| byte.is_ascii_alphabetic())
                && rest
                    .split(|c: char| c.is_ascii_uppercase())
                    .all(|small| small.len() >= 2)
        })
    };
    let names = || std::str::from_utf8(word).unwrap_or_default().split("::");
    names().count() > 1
        && names().any(is_small)
        && names().all(|name| is_small(name) || is_type(name))
}

/// Returns whether the text is a word of a sentence: letters, perhaps with an apostrophe or a
/// hyphen.
pub(super) fn is_sentence_word(word: &[u8]) -> bool {
    let parts = || word.split(|byte| matches!(byte, b'\'' | b'-'));
    let is_part = |part: &[u8]| {
        let rest = part.get(1..).unwrap_or_default();
        let is_lower = |byte: &u8| byte.is_ascii_lowercase() || !byte.is_ascii();
        let lower = rest.iter().all(is_lower);
        let upper = part.len() <= 6 && part.iter().all(u8::is_ascii_uppercase);
        let begins = |byte: &u8| byte.is_ascii_alphabetic() || !byte.is_ascii();
        part.first().is_some_and(begins) && (lower || upper)
    };
    (1..=24).contains(&word.len()) && parts().all(is_part)
}

/// Returns whether the text is a name in an error chain: `stock-db`, `db_credentials`,
/// `default/stock.v2`.
pub(super) fn is_name(word: &[u8]) -> bool {
    let digits = |part: &[u8]| part.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_mixed = |part: &[u8]| (1..part.len()).contains(&digits(part));
    let mut parts = word.split(|byte| b"-_./:@".contains(byte));
    let is_part = |part: &[u8]| {
        let lower = part
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let upper = part.iter().all(|byte| byte.is_ascii_uppercase());
        (lower || upper) && digits(part) <= 2 && part.len() <= 16
    };
    word.len() <= 96
        && word.iter().any(|byte| b"-_./".contains(byte))
        && (digits(word) <= 2 || !parts.clone().any(is_mixed))
        && parts.all(is_part)
}

/// Returns whether the text is a path below `~`, `.` or a well-known directory, or a URL without a
/// query.
pub(super) fn is_path(word: &[u8]) -> bool {
    if let Some(scheme_end) = word.windows(3).position(|part| part == b"://") {
        let is_name = |byte: &u8| ByteClass::PATH_PART.has(*byte) || b"/:".contains(byte);
        let parts = word[scheme_end + 3..].split(|byte| matches!(byte, b'/' | b'.' | b'-'));
        let is_scheme = word[..scheme_end]
            .iter()
            .all(|byte| ByteClass::KEY.has(*byte) || *byte == b'+');
        return is_scheme
            && word[scheme_end + 3..].iter().all(is_name)
            && parts.map(<[u8]>::len).max() <= Some(16);
    }
    let rest = word
        .strip_prefix(b"~")
        .or_else(|| word.strip_prefix(b"."))
        .unwrap_or(word);
    let Some(rest) = rest.strip_prefix(b"/") else {
        return false;
    };
    let folder = rest.split(|byte| *byte == b'/').next().unwrap_or_default();
    rest.iter()
        .all(|byte| ByteClass::PATH_PART.has(*byte) || *byte == b'/')
        && (rest.len() < word.len() - 1 || contains_word(FOLDERS, folder))
}

/// Returns whether the text is the name of an error in CamelCase: `InvalidSignature`,
/// `jsonwebtoken::TokenExpired`. A name of one word must have brackets after it: `Error(…)`.
///
/// CamelCase words are also used as passwords. So after the key of a password, a code or a phrase,
/// the name must begin or end like an error name, and must not have a digit.
pub(super) fn is_error_name(word: &[u8], subject: KeySubject) -> bool {
    // A `(` or `{` at the end is not dropped, because it shows that the error has fields.
    let start = word.iter().position(|byte| !b"\"'`([<".contains(byte));
    let end = word.iter().rposition(|byte| !b":,.;`'\")]>".contains(byte));
    let word = &word[start.unwrap_or(0)..end.map_or(0, |end| end + 1).max(start.unwrap_or(0))];
    let has_fields = word.iter().any(|byte| b"({".contains(byte));
    let word = word
        .split(|byte| b"({".contains(byte))
        .next()
        .unwrap_or_default();
    let is_path_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"_:".contains(byte);
    if word.len() > 96 || !word.iter().all(is_path_byte) {
        return false;
    }
    let word = word.rsplit(|byte| *byte == b':').next().unwrap_or_default();
    let is_alphabetic = word.iter().all(|byte| byte.is_ascii_alphabetic());
    let is_name_like = word.iter().filter(|byte| byte.is_ascii_digit()).count() <= 2
        && word.iter().all(u8::is_ascii_alphanumeric);
    if !is_name_like || word.len() > 64 || !word.first().is_some_and(u8::is_ascii_uppercase) {
        return false;
    }
    let mut start = 0;
    let mut has_known_part = false;
    let mut part_count = 0;
    let mut last_two = [&b""[..]; 2];
    let (mut has_error_prefix, mut others_are_known) = (false, true);
    for at in 1..=word.len() {
        let part_ends = at == word.len()
            || word[at].is_ascii_uppercase()
                && (!word[at - 1].is_ascii_uppercase()
                    || word.get(at + 1).is_some_and(u8::is_ascii_lowercase));
        if part_ends {
            let part = &word[start..at];
            // A single letter is not a word, so `MOkVZssz` is not an error. But an `E` may be the
            // first part, as in `ENotFound`.
            if part.len() == 1 && (start > 0 || part != b"E") {
                return false;
            }
            part_count += 1;
            // A known part of two letters, such as `Io`, may occur by chance.
            has_known_part |= (part.len() > 2 || part.len() == word.len())
                && any_contains(&[STATES, ERRORS], part);
            last_two = [last_two[1], part];
            if part_count == 1 {
                has_error_prefix = contains_word(ERROR_PREFIXES, part);
            } else {
                others_are_known &= any_contains(&[STATES, ERRORS, ERROR_SUBJECTS], part);
            }
            start = at;
        }
    }
    let is_name =
        has_known_part && (part_count >= 2 || has_fields) && (is_alphabetic || word.len() <= 24);
    is_name
        && match subject {
            KeySubject::Thing | KeySubject::Person => true,
            KeySubject::Password | KeySubject::Code | KeySubject::Phrase => {
                let has_negation = contains_word(&["too", "not", "no"], last_two[0]);
                let has_error_end = has_negation || contains_word(ERROR_SUFFIXES, last_two[1]);
                is_alphabetic && (has_error_end || has_error_prefix && others_are_known)
            }
        }
}

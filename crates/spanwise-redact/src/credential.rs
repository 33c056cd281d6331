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

use crate::{
    bytes::{Set, is_space, line_from},
    prose, values, work,
};
use spanwise_core::REDACTED;

/// Sentences are read no further.
pub(crate) const MAX_LINE_LEN: usize = 96;

/// What a bare value after `key: ` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// No credential: a sentence, a state, a count.
    Prose,
    /// A credential: the value as its grammar delimits it.
    Value,
    /// A credential after words: so many bytes are hidden.
    Through(usize),
}

/// What a key says of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
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

impl About {
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

/// Returns whether a value says that there is none: empty, null, a boolean, or hidden before.
pub(crate) fn is_nothing(value: &[u8]) -> bool {
    if value.len() > 24 {
        return is_mask(value);
    }
    let value = value.trim_ascii();
    is_absent(value) || prose::is_in(prose::BOOLEANS, value)
}

/// [`is_nothing`] of a rule of the user, who wants booleans hidden too.
pub(crate) fn is_absent(value: &[u8]) -> bool {
    let words = ["null", "none", "nil", "undefined", "Some("];
    is_mask(value)
        || value == REDACTED.as_bytes()
        || words
            .iter()
            .any(|word| value.eq_ignore_ascii_case(word.as_bytes()))
}

fn is_mask(value: &[u8]) -> bool {
    let stars = value.iter().take_while(|byte| **byte == b'*').count();
    work::step(stars + 1);
    let dots = std::str::from_utf8(value).is_ok_and(|value| value.chars().all(|c| c == '\u{2022}'));
    stars == value.len() || value.len() <= 96 && dots
}

/// Returns whether a value stands for one that is put in later, or was taken out before:
/// `?`, `$1`, `:password`, `%s`, `{}`, `${TOKEN}`, `{{ token }}`, `<token>`, `[FILTERED]`, `xxxx`.
pub(crate) fn is_placeholder(value: &[u8]) -> bool {
    if value.len() > 64 {
        return false;
    }
    work::step(value.len());
    let value = value.trim_ascii();
    if is_absent(value) {
        return true;
    }
    if let Some(space) = value.iter().position(|byte| *byte == b' ')
        && values::is_scheme(&value[..space])
    {
        return is_placeholder(&value[space + 1..]);
    }
    let name = |name: &[u8]| {
        let mut digits = 0;
        let is_name = name.iter().all(|byte| {
            digits += usize::from(byte.is_ascii_digit());
            byte.is_ascii_alphabetic() || b"_-. :/".contains(byte) || byte.is_ascii_digit()
        });
        !name.is_empty() && is_name && digits <= 2 && !name[0].is_ascii_digit()
            || name.len() <= 2 && name.iter().all(u8::is_ascii_digit)
    };
    let upper = |name: &[u8]| {
        let is_upper = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'_';
        !name.is_empty() && name.iter().all(is_upper)
    };
    let about = |name: &[u8]| {
        let is_number = |rest: &[u8]| !rest.is_empty() && rest.iter().all(u8::is_ascii_digit);
        is_name_of_secret(name)
            || matches!(name, [b'p' | b'P' | b'@', rest @ ..] if is_number(rest))
    };
    match value {
        b"?" | b"-" | b"--" | b"{}" | b"{{}}" | b"[]" | b"()" | b"..." | b"\xe2\x80\xa6" | b"%"
        | b"&" => true,
        [b'$', b'{', inside @ .., b'}'] => name(inside) || inside.starts_with(b"{"),
        [b'{', b'{', inside @ .., b'}', b'}'] => {
            name(inside.trim_ascii().trim_ascii_start()) || inside.trim_ascii().starts_with(b"$")
        }
        [b'$', digits @ ..] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            digits.len() <= 2
        }
        [b'$', name @ ..] => upper(name),
        [b'#', b'{', inside @ .., b'}'] => name(inside),
        [b'{', inside @ .., b'}'] => {
            let inside = inside.trim_ascii();
            inside == b":?"
                || inside.len() <= 2 && inside.iter().all(u8::is_ascii_digit)
                || about(inside)
        }
        [b'%', b'(', inside @ .., b')', b's'] => name(inside),
        [b'%', b's' | b'd' | b'v' | b'q'] => true,
        [b'%', inside @ .., b'%'] => upper(inside),
        [b'<', inside @ .., b'>'] => {
            let mut words = inside.split(|byte| b"_- .".contains(byte));
            !inside.is_empty() && words.all(is_word_of_name)
        }
        [b'[' | b'(', inside @ .., b']' | b')'] => prose::is_in(prose::MASKS, inside),
        [b':' | b'@', name @ ..] => about(name),
        [b'x', ..] | [b'X', ..] => {
            value.len() >= 3 && value.iter().all(|byte| byte.eq_ignore_ascii_case(&b'x'))
        }
        _ => prose::is_in(prose::MASKED, value),
    }
}

/// Returns whether it is a word of the name of a variable, or several with a capital each: `TOKEN`,
/// `apiKey`, and not `rxXO`.
fn is_word_of_name(word: &[u8]) -> bool {
    let is_upper = |at: usize| word.get(at).is_some_and(u8::is_ascii_uppercase);
    let is_begun = |at: usize| is_upper(at) && (is_upper(at + 1) || at + 1 == word.len());
    word.iter().all(u8::is_ascii_alphabetic)
        && (word.iter().all(u8::is_ascii_uppercase) || !(0..word.len()).any(is_begun))
}

/// Returns whether a whole word of the name of a variable is about a secret: `db_password`,
/// `apiKey`, and not `monkey`.
fn is_name_of_secret(name: &[u8]) -> bool {
    let words = [
        "pass",
        "password",
        "passwd",
        "passphrase",
        "pwd",
        "pw",
        "secret",
        "token",
        "key",
        "apikey",
        "hash",
        "pin",
        "param",
        "value",
    ];
    let is_part = |byte: &u8| byte.is_ascii_alphabetic() || b"_.-".contains(byte);
    let mut start = 0;
    let mut known = false;
    for at in 1..=name.len() {
        let ends = at == name.len()
            || b"_.-".contains(&name[at])
            || name[at].is_ascii_uppercase() && name[at - 1].is_ascii_lowercase();
        if ends {
            let word = &name[start..at];
            let word = word
                .strip_prefix(b"_")
                .or(word.strip_prefix(b"."))
                .unwrap_or(word);
            known |= prose::is_in(&words, word.strip_prefix(b"-").unwrap_or(word));
            start = at;
        }
    }
    known && name.iter().all(is_part)
}

/// Reads the bare value after `key: `; `text` begins with it.
pub(crate) fn after_colon(text: &[u8], about: About) -> Reading {
    let line = line_from(text, 0, MAX_LINE_LEN);
    work::step(line.len());
    // `Authorization: Bearer <token>`
    if is_placeholder(line) {
        return Reading::Prose;
    }
    // A list, a tuple or a map as `{:#?}` writes them, an element a line.
    if matches!(line.trim_ascii(), b"[" | b"(" | b"{") {
        return Reading::Value;
    }
    // `wrong password: got tulip9931` says it after all.
    let credential = |most: usize| {
        let mut words = words_of(line).skip(1).take(most);
        let (at, word) = words.find(|(_, word)| is_credential(word))?;
        Some(Reading::Through(at + word.len()))
    };
    if is_prose(line, about, 0) {
        let found = if about == About::Password {
            credential(16)
        } else {
            None
        };
        return found.unwrap_or(Reading::Prose);
    }
    let first = words_of(line)
        .next()
        .map_or(&line[..0], |(_, word)| trim(word));
    let is_struct = words_of(line)
        .nth(1)
        .is_some_and(|(_, second)| b"({[".contains(&second[0]));
    let lists = [prose::OPENERS, prose::LEADS, prose::STATES];
    let is_word = !is_struct && lists.iter().any(|list| prose::is_in(list, first));
    let found = if is_word { credential(4) } else { None };
    found.unwrap_or(Reading::Value)
}

/// Returns whether a text in quotes reads as a sentence: several words, the first of them known.
pub(crate) fn is_sentence(text: &[u8]) -> bool {
    text.len() <= 256 && text.contains(&b' ') && is_prose(text, About::Password, 0)
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
fn is_credential(word: &[u8]) -> bool {
    let word = trim(word);
    let digits = word.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = word
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic())
        .count();
    word.len() >= 6 && digits >= 1 && letters >= 1 && !prose::is_in(prose::NAMES, word)
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

fn is_prose(line: &[u8], about: About, depth: u8) -> bool {
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
    let is_thing = matches!(about, About::Thing | About::Code);
    if is_type(first) || is_thing && is_module(word) || is_variable(first) {
        return true;
    }
    if is_duration(word) {
        return about == About::Thing;
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
    let is_state = prose::is_in(prose::STATES, word);
    let is_opener = prose::is_in(prose::OPENERS, word);
    let is_lead = is_opener || prose::is_in(prose::LEADS, word);
    if about == About::Phrase {
        let sentence = is_plain(word)
            && words_of(line)
                .take(4)
                .any(|(_, word)| prose::is_in(prose::FUNCTION, trim(word)));
        return sentence || second.is_none() && is_state;
    }
    if first.last() == Some(&b':') && second.is_some() && depth < 3 {
        // A chain of errors: `stock-db: permission denied`.
        let is_named = is_thing && (is_plain(word) || is_name(word));
        let is_thing_named = is_lead && !prose::is_in(prose::CHOSEN, word);
        let is_lead = is_opener || is_lead && about != About::Password;
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
        let is_verb = |second: &[u8]| prose::is_in(prose::VERBS, trim(second));
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
    if values::is_scheme(word) && about != About::Password {
        let lists = [prose::STATES, prose::VERBS, prose::FUNCTION];
        return lists.iter().any(|list| prose::is_in(list, next));
    }
    let goes_on = next.is_empty()
        || is_plain(next)
        || next.iter().all(u8::is_ascii_digit)
        || matches!(second[0], b'"' | b'\'' | b'`' | b'(' | b'/' | b'\\')
        || is_name(next)
        || next.len() <= 24 && next.iter().all(u8::is_ascii_alphabetic)
        || is_error_name(next, about);
    let is_known = |word: &[u8]| {
        let lists = [
            prose::STATES,
            prose::OPENERS,
            prose::LEADS,
            prose::VERBS,
            prose::FUNCTION,
        ];
        lists.iter().any(|list| prose::is_in(list, word))
    };
    let is_pair = second.contains(&b'=')
        || second.last() == Some(&b':') && !is_known(next) && !next.iter().all(u8::is_ascii_digit);
    if is_pair {
        return false;
    }
    if is_lead && !is_opener && about == About::Password {
        // `password: root from …`: a thing of a sentence does something, and is no password then.
        let is_verb = prose::is_in(prose::VERBS, next) || prose::is_in(prose::STATES, next);
        let is_auxiliary = prose::is_in(prose::AUXILIARIES, next);
        // `signature verification failed`
        let third = words_of(line).nth(2).map(|(_, word)| trim(word));
        let is_later = || {
            let lists = [prose::VERBS, prose::STATES];
            let is_noun = prose::is_in(prose::LEADS, next);
            is_noun && third.is_some_and(|third| lists.iter().any(|list| prose::is_in(list, third)))
        };
        return is_auxiliary || (is_verb || is_later()) && !prose::is_in(prose::CHOSEN, word);
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
    prose::is_in(prose::VERBS, next)
        || match sentence().count() {
            3 => true,
            2 => sentence().any(is_known),
            _ => false,
        }
}

/// `16 bytes`, `8 to 64 characters`, `401`, `403 Forbidden`.
fn is_count(digits: &[u8], rest: &[u8], about: About) -> bool {
    let mut words = words_of(rest).map(|(_, word)| trim(word));
    let second = words.next();
    // Digits and words are secrets too: only what is measured is counted then, and little of it.
    let (units, most, most_of_any) = match about {
        About::Thing | About::Person => (prose::UNITS, 7, 3),
        About::Code | About::Password => (prose::MEASURES, 3, 0),
        About::Phrase => (prose::MEASURES_OF_PHRASES, 3, 0),
    };
    let unit = |word: &&[u8]| prose::is_in(units, word);
    let is_range = |word: &&[u8]| {
        let joins = [&b"to"[..], b"or", b"and", b"more", b"-", b"of"];
        joins.contains(word) || word.len() <= most && word.iter().all(u8::is_ascii_digit)
    };
    let has_unit = second.is_some_and(|second| {
        unit(&second)
            || is_range(&second)
                && words
                    .by_ref()
                    .take_while(|word| is_range(word) || unit(word))
                    .any(|word| unit(&word))
    });
    if has_unit {
        return digits.len() <= most;
    }
    // `3 wrong attempts`
    let is_small = digits.len() <= 2 && matches!(about, About::Code | About::Password);
    let third = words_of(rest).map(|(_, word)| trim(word)).nth(1);
    if is_small && second.is_some_and(is_plain) && third.is_some_and(|third| unit(&third)) {
        return true;
    }
    // `12 messages pending`
    let is_word = |word: &[u8]| is_plain(word) && word.len() > 2;
    if digits.len() <= most_of_any && second.is_some_and(is_word) {
        return true;
    }
    let is_status = digits.len() == 3 && (b'1'..=b'5').contains(&digits[0]);
    about == About::Thing && is_status && second.is_none_or(is_plain)
}

/// A number with its unit: `12ms`, `1.5s`, `16KiB`, `98%`.
fn is_duration(word: &[u8]) -> bool {
    let digits = word
        .iter()
        .take_while(|byte| byte.is_ascii_digit() || **byte == b'.');
    let (number, unit) = word.split_at(digits.count());
    let is_unit = matches!(unit, b"us" | b"ns" | b"%" | b"\xc2\xb5s" | b"gb" | b"b");
    (1..=8).contains(&number.len()) && (is_unit || prose::is_in(prose::UNITS, unit))
}

/// The type of a field in code: `&str`, `Option<String>`.
fn is_type(word: &[u8]) -> bool {
    let word = word.strip_suffix(b",").unwrap_or(word);
    let word = word.strip_suffix(b")").unwrap_or(word);
    if let Some(of) = word.strip_prefix(b"&") {
        let name = of.iter().skip(1).all(u8::is_ascii_alphabetic);
        let is_name = of.first().is_some_and(u8::is_ascii_uppercase) && name && of.len() <= 24;
        return is_name || prose::is_in(prose::TYPES, of);
    }
    let Some(open) = word.iter().position(|byte| *byte == b'<') else {
        return false;
    };
    let is_part = |byte: &u8| byte.is_ascii_alphabetic() || b"<>&'[]:_,8".contains(byte);
    prose::is_in(prose::TYPES, &word[..open]) && word.len() <= 64 && word.iter().all(is_part)
}

/// The place of a variable in a text: `{what}`. A word after it is a secret: `{noop}tulip`.
fn is_variable(word: &[u8]) -> bool {
    let parts = word.strip_prefix(b"{").and_then(|word| {
        let end = word.iter().position(|byte| *byte == b'}')?;
        Some((&word[..end], &word[end + 1..]))
    });
    let is_name = |byte: &u8| byte.is_ascii_lowercase() || b"_.:?".contains(byte);
    parts.is_some_and(|(inside, after)| {
        inside.iter().all(is_name) && after.iter().all(|byte| b",;.:!?)'\"`".contains(byte))
    })
}

/// The path of a module in code: `shop_session::Store::open`.
fn is_module(word: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    let is_part = |part: &[u8]| {
        let has_upper = part.iter().any(u8::is_ascii_uppercase);
        part.iter().all(is_letter) && (!has_upper || part[0].is_ascii_uppercase())
    };
    word.windows(2).any(|two| two == b"::") && word.split(|byte| *byte == b':').all(is_part)
}

/// A word of a sentence: letters, perhaps with an apostrophe or a hyphen.
fn is_plain(word: &[u8]) -> bool {
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

/// The name of a thing in an error chain: `stock-db`, `db_credentials`, `default/stock.v2`.
fn is_name(word: &[u8]) -> bool {
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

/// A path below a folder that every system has, or a URL without a query.
fn is_path(word: &[u8]) -> bool {
    if let Some(at) = word.windows(3).position(|part| part == b"://") {
        let is_name = |byte: &u8| Set::PATH_PART.has(*byte) || b"/:".contains(byte);
        let longest = word[at + 3..].split(|byte| matches!(byte, b'/' | b'.' | b'-'));
        let is_scheme = word[..at]
            .iter()
            .all(|byte| Set::KEY.has(*byte) || *byte == b'+');
        return is_scheme
            && word[at + 3..].iter().all(is_name)
            && longest.map(<[u8]>::len).max() <= Some(16);
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
        .all(|byte| Set::PATH_PART.has(*byte) || *byte == b'/')
        && (rest.len() < word.len() - 1 || prose::is_in(prose::FOLDERS, folder))
}

/// The name of an error in CamelCase: `InvalidSignature`, `TokenExpired`, `jsonwebtoken::Error`.
///
/// People choose such words as passwords too: after the key of one, the name must begin or end as
/// that of an error, and has no digit.
fn is_error_name(word: &[u8], about: About) -> bool {
    // Brackets that open are of the name: those of its fields.
    let start = word.iter().position(|byte| !b"\"'`([<".contains(byte));
    let end = word.iter().rposition(|byte| !b":,.;`'\")]>".contains(byte));
    let word = &word[start.unwrap_or(0)..end.map_or(0, |end| end + 1).max(start.unwrap_or(0))];
    let is_variant = word.iter().any(|byte| b"({".contains(byte));
    let word = word
        .split(|byte| b"({".contains(byte))
        .next()
        .unwrap_or_default();
    let is_path = |byte: &u8| byte.is_ascii_alphanumeric() || b"_:".contains(byte);
    if word.len() > 96 || !word.iter().all(is_path) {
        return false;
    }
    let word = word.rsplit(|byte| *byte == b':').next().unwrap_or_default();
    let letters = word.iter().all(|byte| byte.is_ascii_alphabetic());
    let base = word.iter().filter(|byte| byte.is_ascii_digit()).count() <= 2
        && word.iter().all(u8::is_ascii_alphanumeric);
    if !base || word.len() > 64 || !word.first().is_some_and(u8::is_ascii_uppercase) {
        return false;
    }
    let mut start = 0;
    let mut known = false;
    let mut parts = 0;
    let mut last = [&b""[..]; 2];
    let (mut begins, mut others) = (false, true);
    for at in 1..=word.len() {
        let ends = at == word.len()
            || word[at].is_ascii_uppercase()
                && (!word[at - 1].is_ascii_uppercase()
                    || word.get(at + 1).is_some_and(u8::is_ascii_lowercase));
        if ends {
            let part = &word[start..at];
            // One letter is no word: `MOkVZssz` is none of errors. `ENotFound` has it in front.
            if part.len() == 1 && (start > 0 || part != b"E") {
                return false;
            }
            parts += 1;
            // Two letters such as `Io` may be there by chance.
            known |= (part.len() > 2 || part.len() == word.len())
                && [prose::STATES, prose::ERRORS]
                    .iter()
                    .any(|list| prose::is_in(list, part));
            last = [last[1], part];
            if parts == 1 {
                begins = prose::is_in(prose::STARTS_OF_ERRORS, part);
            } else {
                let lists = [prose::STATES, prose::ERRORS, prose::SUBJECTS_OF_ERRORS];
                others &= lists.iter().any(|list| prose::is_in(list, part));
            }
            start = at;
        }
    }
    let is_name = known && (parts >= 2 || is_variant) && (letters || word.len() <= 24);
    is_name
        && match about {
            About::Thing | About::Person => true,
            About::Password | About::Code | About::Phrase => {
                let too = prose::is_in(&["too", "not", "no"], last[0]);
                let ends = too || prose::is_in(prose::ENDS_OF_ERRORS, last[1]);
                letters && (ends || begins && others)
            }
        }
}

/// `InvalidToken("a1b2c3d4")` shows what is in its brackets.
fn has_credential_in_brackets(line: &[u8], is_struct: bool) -> bool {
    let marks = |byte: &u8| is_space(*byte) || b"(){}[]\"',".contains(byte);
    is_struct && line.split(marks).skip(1).take(24).any(is_credential)
}

/// Where the words of a phrase end that begin `text`: at the end of the line, at a mark, or
/// before the next key. They may be numbered, and have commas between them.
pub(crate) fn end_of_phrase(text: &[u8]) -> usize {
    let line = line_from(text, 0, 512);
    let ends_in_comma = |(_, word): (usize, &[u8])| word.len() > 1 && word.ends_with(b",");
    let is_list = words_of(line)
        .take(3)
        .filter(|word| ends_in_comma(*word))
        .count()
        == 3;
    // Where the last word ends, and the last word or number.
    let (mut end, mut read) = (0, 0);
    for (at, word) in words_of(line).take(64) {
        if at > read + 1 && read > 0 {
            break;
        }
        let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = word.split_at(digits);
        let (mark, rest) = match rest {
            [b'.' | b')' | b':', rest @ ..] => (1, rest),
            rest => (0, rest),
        };
        let is_number = (1..=2).contains(&number.len());
        if is_number && rest.is_empty() {
            read = at + word.len();
            continue;
        }
        // `1.orbit`
        let start = if is_number && mark == 1 {
            digits + 1
        } else {
            0
        };
        let letters = word[start..]
            .iter()
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count();
        let after = &word[start + letters..];
        let is_word = letters > 0 && (after.is_empty() || b",;.\"'`)]}".contains(&after[0]));
        if !is_word {
            break;
        }
        end = at + start + letters;
        read = at + word.len();
        let goes_on = after.is_empty() || is_list && after == b",";
        if !goes_on {
            break;
        }
    }
    end
}

/// Where the groups of digits end that go on after a code, which ends at `first`: `123 456`.
pub(crate) fn end_of_code(text: &[u8], first: usize) -> usize {
    let line = line_from(text, 0, 64);
    let is_group = |word: &[u8]| word.len() <= 6 && word.iter().all(u8::is_ascii_digit);
    let mut end = first;
    if !line.get(..first).is_some_and(is_group) {
        return first;
    }
    for (at, word) in words_of(line).skip(1) {
        let digits = trim(word);
        if at != end + 1 || digits.is_empty() || !word.starts_with(digits) || !is_group(digits) {
            break;
        }
        end = at + digits.len();
        if digits.len() != word.len() {
            break;
        }
    }
    end
}

/// Where personal data of several words ends that begins `text`: `Ada Lovelace`, `12 Baker Street`.
pub(crate) fn end_of_person(text: &[u8], first: usize) -> usize {
    let line = line_from(text, 0, 160);
    let mut end = first;
    for (at, word) in words_of(line).skip_while(|(at, _)| *at < first) {
        let letters = trim(word);
        let is_part = letters.len() > 1
            && letters[0].is_ascii_uppercase()
            && letters
                .iter()
                .all(|byte| byte.is_ascii_alphabetic() || b"'.-".contains(byte))
            || !letters.is_empty() && letters.len() <= 6 && letters.iter().all(u8::is_ascii_digit);
        let is_pair = word.iter().any(|byte| b"=:{(".contains(byte));
        if at != end + 1 || !is_part || is_pair {
            break;
        }
        end = at + letters.len();
        if letters.len() != word.len() {
            break;
        }
    }
    end
}

/// Returns whether the value of a parameter such as `code` is words: `NOT_FOUND`, `user.created`.
pub(crate) fn is_words(value: &[u8]) -> bool {
    let is_part = |part: &[u8]| {
        let rest = part.get(1..).unwrap_or_default();
        let lower = rest.iter().all(u8::is_ascii_lowercase);
        let upper = part.iter().all(u8::is_ascii_uppercase);
        part.len() <= 14 && (part.is_empty() || part[0].is_ascii_alphabetic() && (lower || upper))
    };
    let camel = value.len() <= 24 && is_error_name(value, About::Thing);
    value.len() <= 64 && (value.split(|byte| b"_-.+/".contains(byte)).all(is_part) || camel)
}

/// Returns whether a text in quotes after `key: ` is the name of a thing that the sentence goes on
/// about: `` token: `lease_id` not found ``.
pub(crate) fn is_subject(name: &[u8], rest: &[u8]) -> bool {
    let is_name = is_name(name) && !name.iter().any(u8::is_ascii_digit);
    let line = line_from(rest, 0, MAX_LINE_LEN);
    // ` not found`, ` has expired`: no bracket, and no next field.
    let first = words_of(line).next().map_or(&line[..0], |(_, word)| word);
    let is_verb = prose::is_in(prose::VERBS, trim(first));
    is_name && line.starts_with(b" ") && is_verb && is_prose(line, About::Password, 0)
}

/// Returns whether a key is about something else than a password: `PWD` with the path of a working
/// directory, and `pass` with the number of tests beside those that fail.
pub(crate) fn is_of_another_thing(key: &str, value: &[u8], rest: &[u8]) -> bool {
    let is_key = |names: &[&str]| names.iter().any(|name| key.eq_ignore_ascii_case(name));
    if is_key(&["pwd", "oldpwd"]) {
        return value == b"/" || value.len() <= 256 && is_path(value);
    }
    let is_number = !value.is_empty() && value.len() <= 6 && value.iter().all(u8::is_ascii_digit);
    let near = || line_from(rest, 0, 48);
    is_key(&["pass"]) && is_number && (contains(near(), b"fail") || contains(near(), b"skip"))
}

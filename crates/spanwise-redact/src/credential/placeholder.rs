//! Values that reveal nothing: absent values, masks and placeholders.

use spanwise_core::REDACTED;

use crate::{
    normalized_key::NormalizedKey,
    scan_cost, value_end,
    word_lists::{BOOLEANS, MASK_WORDS, MASKS, contains_word},
};

/// Returns whether a value is empty, null, a boolean, a mask such as `****`, or already redacted.
pub(crate) fn is_nothing(value: &[u8]) -> bool {
    if value.len() > 24 {
        return is_mask(value);
    }
    let value = value.trim_ascii();
    is_absent(value) || contains_word(BOOLEANS, value)
}

/// Like [`is_nothing`], but returns false for booleans. For user rules, which hide booleans.
pub(crate) fn is_absent(value: &[u8]) -> bool {
    // `Some(` is an option without its content.
    let words = ["null", "none", "nil", "undefined", "Some("];
    is_mask(value) || value == REDACTED.as_bytes() || contains_word(&words, value)
}

fn is_mask(value: &[u8]) -> bool {
    const BULLET: &[u8] = "\u{2022}".as_bytes();
    let star_count = value.iter().take_while(|byte| **byte == b'*').count();
    scan_cost::add(star_count + 1);
    let is_bullets = || value.chunks(BULLET.len()).all(|bytes| bytes == BULLET);
    star_count == value.len() || value.len() <= 96 && is_bullets()
}

/// Returns whether a value is [absent](is_absent), a placeholder or a mask of other software: `?`,
/// `$1`, `:password`, `%s`, `{}`, `${TOKEN}`, `{{ token }}`, `<token>`, `[FILTERED]`, `xxxx`. A
/// scheme such as `Bearer` may precede the placeholder. A value of more than 64 bytes is never a
/// placeholder.
pub(crate) fn is_placeholder(value: &[u8]) -> bool {
    if value.len() > 64 {
        return false;
    }
    scan_cost::add(value.len());
    let value = value.trim_ascii();
    if is_absent(value) {
        return true;
    }
    if let Some(space) = value.iter().position(|byte| *byte == b' ')
        && value_end::is_scheme(&value[..space])
    {
        return is_placeholder(&value[space + 1..]);
    }
    let is_name = |name: &[u8]| {
        let mut digits = 0;
        let has_name_bytes = name.iter().all(|byte| {
            digits += usize::from(byte.is_ascii_digit());
            byte.is_ascii_alphabetic() || b"_-. :/".contains(byte) || byte.is_ascii_digit()
        });
        !name.is_empty() && has_name_bytes && digits <= 2 && !name[0].is_ascii_digit()
            || name.len() <= 2 && name.iter().all(u8::is_ascii_digit)
    };
    let is_upper_name = |name: &[u8]| {
        let is_upper = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'_';
        !name.is_empty() && name.iter().all(is_upper)
    };
    let is_parameter = |name: &[u8]| {
        let is_number = |digits: &[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        // `:password`, `@p1`
        is_name_of_secret(name)
            || matches!(name, [b'p' | b'P' | b'@', digits @ ..] if is_number(digits))
    };
    match value {
        b"?" | b"-" | b"--" | b"{}" | b"{{}}" | b"[]" | b"()" | b"..." | b"\xe2\x80\xa6" | b"%"
        | b"&" => true,
        [b'$', b'{', inside @ .., b'}'] => is_name(inside) || inside.starts_with(b"{"),
        [b'{', b'{', inside @ .., b'}', b'}'] => {
            is_name(inside.trim_ascii()) || inside.trim_ascii().starts_with(b"$")
        }
        [b'$', digits @ ..] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            digits.len() <= 2
        }
        [b'$', name @ ..] => is_upper_name(name),
        [b'#', b'{', inside @ .., b'}'] => is_name(inside),
        [b'{', inside @ .., b'}'] => {
            let inside = inside.trim_ascii();
            inside == b":?"
                || inside.len() <= 2 && inside.iter().all(u8::is_ascii_digit)
                || is_parameter(inside)
        }
        [b'%', b'(', inside @ .., b')', b's'] => is_name(inside),
        [b'%', b's' | b'd' | b'v' | b'q'] => true,
        [b'%', inside @ .., b'%'] => is_upper_name(inside),
        [b'<', inside @ .., b'>'] => {
            let mut words = inside.split(|byte| b"_- .".contains(byte));
            !inside.is_empty() && words.all(is_word_of_name)
        }
        [b'[' | b'(', inside @ .., b']' | b')'] => contains_word(MASKS, inside),
        [b':' | b'@', name @ ..] => is_parameter(name),
        [b'x', ..] | [b'X', ..] => {
            value.len() >= 3 && value.iter().all(|byte| byte.eq_ignore_ascii_case(&b'x'))
        }
        _ => contains_word(MASK_WORDS, value),
    }
}

/// Returns whether a word may be part of the name of a variable or a type: its letters are all
/// capitals, or a small letter follows each capital. `TOKEN` and `apiKey` may, `rxXO` may not.
fn is_word_of_name(word: &[u8]) -> bool {
    let is_upper = |at: usize| word.get(at).is_some_and(u8::is_ascii_uppercase);
    let is_lone_capital = |at: usize| is_upper(at) && (is_upper(at + 1) || at + 1 == word.len());
    word.iter().all(u8::is_ascii_alphabetic)
        && (word.iter().all(u8::is_ascii_uppercase) || !(0..word.len()).any(is_lone_capital))
}

/// Returns whether a whole word of a variable name is about a secret: `db_password`, `apiKey`, but
/// not `monkey`.
fn is_name_of_secret(name: &[u8]) -> bool {
    #[rustfmt::skip]
    let words = [
        "pass", "password", "passwd", "passphrase", "pwd", "pw", "secret", "token", "key", "apikey",
        "hash", "pin", "param", "value",
    ];
    let is_part = |byte: &u8| byte.is_ascii_alphabetic() || b"_.-".contains(byte);
    let key = NormalizedKey::new(std::str::from_utf8(name).unwrap_or_default());
    name.iter().all(is_part) && key.words().any(|(word, _)| contains_word(&words, word))
}

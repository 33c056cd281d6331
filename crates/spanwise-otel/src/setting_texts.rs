//! Parsers of the values of environment variables.

use std::{fs, time::Duration};

use spanwise_core::{
    ParseError, Problem,
    internal::{parse_level, percent_decode_strictly},
    words,
};
use ureq::http::HeaderName;

/// Returns an error if `text` is not the name of a level.
pub(crate) fn check_level(text: &str) -> Result<(), ParseError> {
    if parse_level(text).is_some() {
        return Ok(());
    }
    let hint = "write off, error, warn, info, debug or trace";
    Err(ParseError::word(text, "is not a level", hint))
}

/// Looks up the word `text`, in upper or lower case, in pairs of a word and its value.
pub(crate) fn word_value<T: Copy>(text: &str, values: &[(&str, T)]) -> Option<T> {
    let named = values
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(text));
    named.map(|(_, value)| *value)
}

/// Parses `true` or `false`, in upper or lower case.
pub(crate) fn parse_boolean(text: &str) -> Result<bool, ParseError> {
    word_value(text, &[("true", true), ("false", false)])
        .ok_or_else(|| ParseError::word(text, "is neither true nor false", "write one of them"))
}

pub(crate) fn parse_millis(text: &str, min: u64, max: u64) -> Result<Duration, ParseError> {
    parse_number(text, min, max, "milliseconds").map(Duration::from_millis)
}

pub(crate) fn parse_count(text: &str, min: u64, max: u64) -> Result<usize, ParseError> {
    parse_number(text, min, max, "a number")
        .map(|count| usize::try_from(count).unwrap_or(usize::MAX))
}

pub(crate) fn parse_limit(text: &str) -> Result<usize, ParseError> {
    parse_count(text, 0, u64::MAX)
}

/// Parses a number from `min` to `max`. The error text has the `unit`, such as "milliseconds".
pub(crate) fn parse_number(text: &str, min: u64, max: u64, unit: &str) -> Result<u64, ParseError> {
    let reason = match text.parse::<u64>() {
        Ok(number) if (min..=max).contains(&number) => return Ok(number),
        Ok(_) => "is out of range",
        Err(_) => "is not a number",
    };
    let hint = format!("write {unit} from {min} to {max}");
    Err(ParseError::word(text, reason, hint))
}

/// Reads a file with certificates or a key. The builder checks its content.
pub(crate) fn read_file(path: &str) -> Result<Vec<u8>, ParseError> {
    fs::read(path).map_err(|error| {
        let reason = format!("cannot be read: {error}");
        ParseError::word(path, reason, "write the path of a file in PEM")
    })
}

/// The kind of the pairs in a list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum PairKind {
    /// Headers. Each has a value, which is percent-encoded.
    Headers,
    /// Attributes of the resource. Both keys and values are percent-encoded.
    ResourceAttributes,
}

/// Parses `key=value` pairs. No error shows a value, which may be secret.
///
/// Unlike in other lists, each comma ends a pair: quotes and brackets have no meaning in a value.
pub(crate) fn parse_pairs(text: &str, kind: PairKind) -> Result<Vec<(String, String)>, ParseError> {
    words::parse_each_between_commas(text, |pair| parse_pair(pair, kind))
}

fn parse_pair(pair: &str, kind: PairKind) -> Result<(String, String), Problem> {
    let Some((key, value)) = pair.split_once('=') else {
        return Err(Problem::new(format!(
            "a pair of {} bytes has no `=`: write `key=value`",
            pair.len()
        )));
    };
    let (key, value) = (key.trim(), value.trim());
    if key.is_empty() {
        return Err(Problem::new("a pair has no key: write `key=value`"));
    }
    if value.is_empty() && kind == PairKind::Headers {
        return Err(Problem::new(format!(
            "{} has no value: write `key=value`",
            shown_key(key)
        )));
    }
    let decoded_key = match kind {
        PairKind::Headers => Some(key.to_owned()),
        PairKind::ResourceAttributes => percent_decode_strictly(key),
    };
    let not_encoded = |part: &str| {
        Problem::new(format!(
            "{part} is not percent-encoded: write `%25` for a percent sign"
        ))
    };
    let decoded_key = decoded_key.ok_or_else(|| not_encoded(&shown_key(key)))?;
    let decoded_value = percent_decode_strictly(value)
        .ok_or_else(|| not_encoded(&format!("the value of {}", shown_key(key))))?;
    Ok((decoded_key, decoded_value))
}

/// Returns the text for the key of a pair in errors. If the key is not a valid header name, the
/// text has only its length, because the key may contain a secret. In
/// `Authorization: Basic dXNlcg==`, for example, `:` was written instead of `=`, so the key is all
/// text before the padding `==`.
pub(crate) fn shown_key(key: &str) -> String {
    match key.parse::<HeaderName>() {
        Ok(_) => format!("`{key}`"),
        Err(_) => format!("a key of {} bytes", key.len()),
    }
}

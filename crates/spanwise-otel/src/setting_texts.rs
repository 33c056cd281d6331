//! Parsers of the values of environment variables.

use std::{fs, time::Duration};

use spanwise_core::{
    ParseError, Problem,
    internal::{parse_level, percent_decode_strictly},
    words,
};
use ureq::http::HeaderName;

/// Checks the name of a level.
pub(crate) fn level(text: &str) -> Result<(), ParseError> {
    if parse_level(text).is_some() {
        return Ok(());
    }
    let hint = "write off, error, warn, info, debug or trace";
    Err(ParseError::word(text, "is not a level", hint))
}

/// Parses `true` or `false`, in upper or lower case.
pub(crate) fn boolean(text: &str) -> Result<bool, ParseError> {
    match () {
        () if text.eq_ignore_ascii_case("true") => Ok(true),
        () if text.eq_ignore_ascii_case("false") => Ok(false),
        () => Err(ParseError::word(
            text,
            "is neither true nor false",
            "write one of them",
        )),
    }
}

pub(crate) fn millis(text: &str, min: u64, max: u64) -> Result<Duration, ParseError> {
    number(text, min, max, "milliseconds").map(Duration::from_millis)
}

pub(crate) fn count(text: &str, min: u64, max: u64) -> Result<usize, ParseError> {
    number(text, min, max, "a number").map(|count| usize::try_from(count).unwrap_or(usize::MAX))
}

pub(crate) fn limit(text: &str) -> Result<usize, ParseError> {
    count(text, 0, u64::MAX)
}

/// Parses a number from `min` to `max`. An error requests `unit`, such as "milliseconds".
pub(crate) fn number(text: &str, min: u64, max: u64, unit: &str) -> Result<u64, ParseError> {
    let reason = match text.parse::<u64>() {
        Ok(number) if (min..=max).contains(&number) => return Ok(number),
        Ok(_) => "is out of range",
        Err(_) => "is not a number",
    };
    let hint = format!("write {unit} from {min} to {max}");
    Err(ParseError::word(text, reason, hint))
}

/// Reads a file with certificates or a key. The builder checks its content.
pub(crate) fn file(path: &str) -> Result<Vec<u8>, ParseError> {
    fs::read(path).map_err(|error| {
        let reason = format!("cannot be read: {error}");
        ParseError::word(path, reason, "write the path of a file in PEM")
    })
}

/// How [`pairs`] treats `key=`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum EmptyValues {
    Accepted,
    Refused,
}

/// Parses `key=value` pairs. No error shows a value, which may be secret.
pub(crate) fn pairs(text: &str, empty: EmptyValues) -> Result<Vec<(String, String)>, ParseError> {
    words::parse_each(text, |pair| {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(Problem::new(format!(
                "a pair of {} bytes has no `=`: write `key=value`",
                pair.len()
            )));
        };
        let key = key.trim();
        if key.is_empty() {
            return Err(Problem::new("a pair has no key: write `key=value`"));
        }
        let value = value.trim();
        if value.is_empty() && empty == EmptyValues::Refused {
            return Err(Problem::new(format!(
                "{} has no value: write `key=value`",
                shown_key(key)
            )));
        }
        match percent_decode_strictly(value) {
            Some(value) => Ok((key.to_owned(), value)),
            None => Err(Problem::new(format!(
                "the value of {} is not percent-encoded: write `%25` for a percent sign",
                shown_key(key)
            ))),
        }
    })
}

/// Returns the key of a pair as errors show it. If the key is not a valid header name, this is only
/// its length, because the key may contain a secret. In `Authorization: Basic dXNlcg==`, for
/// example, `:` was written for `=`, so the key ends at the padding.
pub(crate) fn shown_key(key: &str) -> String {
    match key.parse::<HeaderName>() {
        Ok(_) => format!("`{key}`"),
        Err(_) => format!("a key of {} bytes", key.len()),
    }
}

//! Tags, checked against the rules of Sentry.

use sentry_core::protocol::{Map, Value};
use spanwise_core::REDACTED;

use crate::fields::text_of;

/// The valid tags of an event. Sentry would report a processing error for an invalid tag.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tags {
    tags: Map<String, String>,
    /// The number of tags that were not added because they are invalid.
    pub(crate) refused: u64,
}

/// The maximum length of the name of a tag, in bytes. Sentry refuses longer names.
const MAX_NAME_LEN: usize = 32;

/// The maximum length of the value of a tag, in characters.
const MAX_VALUE_CHARS: usize = 200;

impl Tags {
    /// Adds a tag, unless its value is redacted or Sentry would refuse it. Truncates a long value.
    /// Returns whether the tag was added.
    pub(crate) fn insert(&mut self, key: &str, value: &Value) -> bool {
        if is_missing_or_redacted(value) {
            return false;
        }
        let value = single_line(value);
        let is_valid = is_valid_tag_name(key) && !value.is_empty();
        if is_valid {
            self.tags.insert(key.to_owned(), value);
        } else {
            self.refused += 1;
        }
        is_valid
    }

    /// Adds the tags of `others`. They replace existing tags of the same names.
    pub(crate) fn extend(&mut self, others: &Self) {
        let others = others.tags.iter();
        self.tags
            .extend(others.map(|(key, value)| (key.clone(), value.clone())));
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.tags.contains_key(key)
    }

    pub(crate) fn into_map(self) -> Map<String, String> {
        self.tags
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.tags.iter()
    }
}

fn is_missing_or_redacted(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some(REDACTED)
}

/// Returns whether Sentry accepts a tag of this name: 1 to 32 ASCII letters, digits, `_`, `.`, `:`
/// and `-`, except for the names that Sentry reserves.
#[must_use]
pub fn is_valid_tag_name(key: &str) -> bool {
    // Sentry silently drops tags of these names.
    const RESERVED: [&str; 5] = ["release", "dist", "user", "filename", "function"];
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
    (1..=MAX_NAME_LEN).contains(&key.len())
        && key.bytes().all(is_allowed)
        && !RESERVED.contains(&key)
        && !key.starts_with("sentry:")
}

/// Returns the value as one line, without surrounding white space.
fn single_line(value: &Value) -> String {
    let text = text_of(value);
    let is_break = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let without_break = |c: char| if is_break(c) { ' ' } else { c };
    let shown: String = text
        .trim()
        .chars()
        .take(MAX_VALUE_CHARS)
        .map(without_break)
        .collect();
    shown.trim().to_owned()
}

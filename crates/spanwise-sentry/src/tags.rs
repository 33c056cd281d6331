//! Tags, as far as Sentry takes them.

use std::borrow::Cow;

use sentry_core::protocol::{Map, Value};
use spanwise_core::REDACTED;

/// The tags of an event. Sentry marks an event with an error if it has another tag.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tags {
    tags: Map<String, String>,
    /// How many were refused.
    pub(crate) refused: u64,
}

const MAX_KEY_LEN: usize = 32;
const MAX_VALUE_CHARS: usize = 200;

impl Tags {
    /// Adds a tag, or returns `false` if Sentry would not take it. Of a value that is too long the
    /// beginning is the tag's.
    pub(crate) fn insert(&mut self, key: &str, value: &Value) -> bool {
        if is_nothing(value) {
            return false;
        }
        let value = value_text(value);
        let is_valid = is_valid_tag_name(key) && !value.is_empty();
        if is_valid {
            self.tags.insert(key.to_owned(), value);
        } else {
            self.refused += 1;
        }
        is_valid
    }

    /// Adds `others`, which were checked; they win.
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

/// Whether there is no value, or none that may be shown.
fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some(REDACTED)
}

/// Returns whether Sentry takes a tag of this name: at most 32 ASCII letters, digits, `_`, `.`, `:`
/// and `-`, and none of the names that Sentry has for itself.
#[must_use]
pub fn is_valid_tag_name(key: &str) -> bool {
    // Sentry keeps these for itself, and drops tags of these names without a word.
    const RESERVED: [&str; 5] = ["release", "dist", "user", "filename", "function"];
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
    (1..=MAX_KEY_LEN).contains(&key.len())
        && key.bytes().all(is_allowed)
        && !RESERVED.contains(&key)
        && !key.starts_with("sentry:")
}

/// One line, without white space around it.
fn value_text(value: &Value) -> String {
    let text = match value {
        Value::String(text) => Cow::Borrowed(&**text),
        other => Cow::Owned(other.to_string()),
    };
    let is_break = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let line = |c: char| if is_break(c) { ' ' } else { c };
    let shown: String = text
        .trim()
        .chars()
        .take(MAX_VALUE_CHARS)
        .map(line)
        .collect();
    shown.trim().to_owned()
}

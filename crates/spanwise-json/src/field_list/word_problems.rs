//! Error messages about invalid words of a [`FieldList`](super::FieldList). They suggest the word
//! that was probably meant.

use spanwise_core::{Problem, internal::suggest::closest};

/// Returns the problem with a word that has `->` or `=>` in place of `>`, or `None` if the word has
/// neither. Without this check, the word would rename or add something else. `before` is the text
/// in front of the first `>` or `=`, and `from_sign` is the text from this sign on.
pub(super) fn arrow_problem(before: &str, from_sign: &str) -> Option<Problem> {
    let name = before.trim_end_matches(['-', '=']).trim();
    let arrow = if from_sign.starts_with("=>") {
        "=>"
    } else if from_sign.starts_with('>') && before.ends_with('-') {
        "->"
    } else {
        return None;
    };
    // The error does not show the text behind `=`, because it may be a secret.
    let new = match from_sign.strip_prefix('>') {
        Some(new) => new.trim(),
        None => "name",
    };
    Some(Problem::new(format!(
        "`{name}{arrow}…` has the sign `{arrow}`: write `{name}>{new}` to rename `{name}`"
    )))
}

/// The parts that `+` does not show, because the format decides about them.
pub(super) const FIXED_PARTS: [&str; 5] = ["level", "message", "target", "time", "timestamp"];

/// Wrong names of parts, each with the right name.
pub(super) const OTHER_PARTS: [(&str, &str); 9] = [
    ("file", "location"),
    ("line", "location"),
    ("source", "location"),
    ("source_location", "location"),
    ("thread_name", "thread"),
    ("hostname", "host"),
    ("process_id", "pid"),
    ("trace", "trace_id"),
    ("span", "spans"),
];

/// Wrong names of precisions, each with the right name.
pub(super) const OTHER_PRECISIONS: [(&str, &str); 8] = [
    ("s", "seconds"),
    ("ms", "millis"),
    ("milliseconds", "millis"),
    ("us", "micros"),
    ("µs", "micros"),
    ("microseconds", "micros"),
    ("ns", "nanos"),
    ("nanoseconds", "nanos"),
];

/// Returns the problem with a word that has a `sign` and a `name`, where the name is none of
/// `names`. `others` has wrong names, each with the right one.
pub(super) fn unknown_name<'n>(
    text: &str,
    sign: char,
    reason: &str,
    name: &str,
    others: &[(&str, &'n str)],
    names: impl Iterator<Item = &'n str> + Clone,
) -> Problem {
    if name.is_empty() {
        return missing_name(text);
    }
    if let Some((first, _)) = text.split_once(is_separator) {
        // The error shows only the first word, because the others may contain a secret.
        return Problem::new(format!("`{first} …`: {JOINED_BY_COMMAS}"));
    }
    let accepts: Vec<String> = names
        .clone()
        .map(|name| format!("`{sign}{name}`"))
        .collect();
    let accepts = accepts.join(", ");
    let mut others = others.iter();
    let other = others.find(|(other, _)| *other == name);
    let meant = other.map(|(_, name)| *name);
    Problem::new(match meant.or_else(|| closest(name, names)) {
        Some(suggestion) => {
            format!("`{text}` {reason}: did you mean `{sign}{suggestion}`? accepts {accepts}")
        }
        None if sign == '+' => {
            format!("`{text}` {reason}: accepts {accepts}; fields need no `+`")
        }
        None => format!("`{text}` {reason}: accepts {accepts}"),
    })
}

/// Returns the problem with a word that lacks a name.
pub(super) fn missing_name(word: &str) -> Problem {
    Problem::new(format!("`{word}` lacks a name: write one, or remove it"))
}

/// Returns whether a character in a word was probably meant to separate two words.
pub(super) fn is_separator(c: char) -> bool {
    c.is_whitespace() || c == ';'
}

pub(super) const JOINED_BY_COMMAS: &str = "words are joined by commas";

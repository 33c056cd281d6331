//! Checks of the name and of the keys of a format that your program builds.

use super::{FormatBuilder, OtherFields};
use crate::{
    Format,
    format::{ADDED_PREFIX, FIELDS_PREFIX, json},
};

impl FormatBuilder {
    /// Returns all mistakes in the format.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = name_problem(&self.name).into_iter().collect();
        if let OtherFields::Prefix(prefix) = &self.other_fields
            && let Some(problem) = key_problem(prefix)
        {
            problems.push(format!("the prefix {prefix:?} {problem}"));
        }
        let mut seen: Vec<(String, String)> = Vec::new();
        for (part, key) in self.keys() {
            if let Some(problem) = key_problem(&key) {
                problems.push(format!("{part} has the key {key:?}, which {problem}"));
            } else if let Some((other, _)) = seen.iter().find(|(_, other)| *other == key) {
                problems.push(format!(
                    "{other} and {part} have the key `{key}`: choose another one"
                ));
            }
            seen.push((part, key));
        }
        let mut names: Vec<&String> = self.fields.iter().map(|(name, _)| name).collect();
        names.sort();
        let repeated = names.windows(2).filter(|pair| pair[0] == pair[1]);
        for pair in repeated {
            problems.push(format!("the field `{}` has two keys: choose one", pair[0]));
        }
        problems
    }

    /// Returns each part that has a key: its name for error texts, and the key.
    fn keys(&self) -> Vec<(String, String)> {
        let [file, line] = &self.location;
        let fixed_parts = [
            ("the timestamp", &self.timestamp),
            ("the level", &self.level),
            ("the target", &self.target),
            ("the message", &self.message),
            ("the span", &self.span),
            ("the file", file),
            ("the line", line),
            ("the thread", &self.thread),
        ];
        let part = |(part, key): (&str, &String)| (part.to_owned(), key.clone());
        let mut keys: Vec<(String, String)> = fixed_parts.into_iter().map(part).collect();
        for (name, key) in ["spans", "thread_id"].map(|name| (name, name)) {
            keys.push((format!("`{name}`"), key.to_owned()));
        }
        let information = json::TABLE.information();
        keys.extend(information.map(|name| (format!("`{name}`"), self.spelled(&name))));
        if self.levels.is_none() {
            keys.push((
                "the mark of critical events".to_owned(),
                "critical".to_owned(),
            ));
        }
        let parts = ["the name", "the version", "the environment", "the node"];
        let mut has_service = false;
        for (name, key) in parts.iter().zip(&self.service) {
            if let Some(key) = key {
                has_service = true;
                keys.push((format!("{name} of the service"), key.clone()));
            }
        }
        if !has_service {
            keys.push(("the service".to_owned(), "service".to_owned()));
        }
        let fields = self.fields.iter();
        keys.extend(fields.map(|(name, key)| (format!("the field `{name}`"), key.clone())));
        let constants = self.constants.iter();
        keys.extend(constants.map(|(key, _)| ("a constant".to_owned(), key.clone())));
        let error = self.error_parts().into_iter();
        keys.extend(error.map(|(_, key)| ("a part of the error".to_owned(), key)));
        keys
    }
}

/// Returns the problem with the name of a format.
pub(super) fn name_problem(name: &str) -> Option<String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || !name.chars().all(is_allowed) {
        return Some(format!(
            "{name:?} is not a valid name of a format: write letters, digits, `-` and `_`"
        ));
    }
    let mut names = Format::NAMES.iter();
    let is_built_in = names.any(|other| other.eq_ignore_ascii_case(name));
    is_built_in.then(|| format!("`{name}` is a format already: choose another name"))
}

/// The maximum length of a key, in bytes.
const MAX_KEY_LEN: usize = 64;

/// Returns the problem with a key, as the end of a sentence.
fn key_problem(key: &str) -> Option<String> {
    let reserved = [FIELDS_PREFIX, ADDED_PREFIX];
    if key.is_empty() {
        Some("is empty".to_owned())
    } else if key.len() > MAX_KEY_LEN {
        Some(format!("has more than {MAX_KEY_LEN} bytes"))
    } else if key.contains(char::is_control) {
        Some("has control characters".to_owned())
    } else {
        let prefix = reserved
            .into_iter()
            .find(|prefix| key.starts_with(prefix))?;
        Some(format!(
            "begins with `{prefix}`, as fields do that were renamed because of a conflict"
        ))
    }
}

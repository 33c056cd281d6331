//! Reads values of the merged file, and reports their problems with their places.

use std::fmt;

use spanwise_core::{
    ParseError,
    internal::suggest::{closest, closest_level},
};
use tracing::level_filters::LevelFilter;

use super::{
    key_row::{Key, Sinks},
    keys::KEYS,
    merge::{self, Merged, as_bool},
    syntax::{FileValue, Node, Place, Table},
};
use crate::{
    choices::{Choices, describe},
    conceal,
    setting_row::SettingRow,
};

/// Reads values of the merged file. A method with the name of a kind of value, such as
/// [`bool`](Self::bool), returns `None` if the key is unset or its value is invalid.
pub(super) struct FileReader<'a, 'c> {
    pub(super) merged: &'a Merged,
    pub(super) choices: &'a mut Choices<'c>,
}

/// A name in a list, with the place of the key of the list.
pub(super) type Name = (String, Place);

impl FileReader<'_, '_> {
    pub(super) fn add_problem(&mut self, place: &Place, problem: impl fmt::Display) {
        self.choices
            .add_invalid_value(format!("{place}: {problem}"));
    }

    /// Reads a value in the syntax of a setting.
    pub(super) fn setting<T>(
        &mut self,
        row: &SettingRow<T>,
        table: &Table,
        key: &str,
        path: &str,
    ) -> Option<T> {
        let raw = merge::raw(table.get(key)?, &format!("{path}.{key}"))?;
        let read = self.choices.read(row, &raw)?;
        Some(read.value)
    }

    /// Reads a text with the grammar of `parse`. An empty text counts as unset.
    pub(super) fn parsed<T>(
        &mut self,
        table: &Table,
        key: &str,
        path: &str,
        parse: impl FnOnce(&str) -> Result<T, ParseError>,
    ) -> Option<T> {
        let node = table.get(key)?;
        let FileValue::Text(text) = &node.value else {
            return None;
        };
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let error = match parse(text) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let place = &node.place;
        let path = match path {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        };
        self.choices.add_invalid_value(match node.is_hidden {
            true => {
                let hidden = conceal::hidden(text.len());
                format!("{place}: {path}={hidden} is not valid")
            }
            false => {
                let shown = format!("{place}: {path}={}", conceal::shown(text));
                describe(&shown, text, &error)
            }
        });
        None
    }

    /// Reads a level, or `off`.
    pub(super) fn level(&mut self, table: &Table, key: &str, path: &str) -> Option<LevelFilter> {
        self.parsed(table, key, path, level)
    }

    /// Reads a switch.
    pub(super) fn bool(&mut self, table: &Table, key: &str, path: &str) -> Option<bool> {
        let node = table.get(key)?;
        let is_on = as_bool(node);
        // The check of the keys reports all other invalid values.
        if is_on.is_none() && node.is_interpolated && node.text().is_some_and(|it| !it.is_empty()) {
            self.add_problem(
                &node.place,
                format!("{path}.{key} is a text: write true or false"),
            );
        }
        is_on
    }

    /// Reports invalid values of `version` and `panic.hook` that come from references. The check of
    /// the keys runs before references are replaced.
    pub(super) fn check_interpolated(&mut self) {
        let merged = self.merged;
        self.bool(merged.root.table("panic"), "hook", "panic");
        let Some(node) = merged.root.get("version") else {
            return;
        };
        let text = node.text().unwrap_or_default();
        let text = text.trim();
        if node.is_interpolated && !matches!(text, "" | "1") {
            let shown = match node.is_hidden {
                true => conceal::hidden(text.len()),
                false => conceal::shown(text),
            };
            self.add_problem(&node.place, format!("version={shown}: write 1"));
        }
    }

    /// Reports invalid limits of the recorder, and limits without the key `capture`.
    pub(super) fn check_recorder(&mut self) {
        let merged = self.merged;
        let table = merged.root.table("recorder");
        for key in merge::RECORDER_LIMITS {
            let Some(entry) = table.entry(key) else {
                continue;
            };
            let node = &entry.node;
            let is_set = node.text().is_some_and(|text| !text.trim().is_empty());
            if is_set && let Err(error) = merge::recorder_limit(key, node) {
                let place = &node.place;
                let problem = match node.has_hidden() {
                    true => "is not valid".to_owned(),
                    false => conceal::message(&error.to_string(), &node.text().unwrap_or_default()),
                };
                self.choices
                    .add_invalid_value(format!("{place}: recorder.{key}: {problem}"));
            } else if table.get("capture").is_none() {
                let problem = "has no effect: add capture = \"debug\", or remove it";
                self.add_problem(&entry.place, format!("recorder.{key} {problem}"));
            }
        }
    }

    /// Reads a list of names. Skips references to empty texts. A list that contains only such
    /// references counts as unset.
    pub(super) fn names(&mut self, table: &Table, key: &str) -> Option<Vec<Name>> {
        let entry = table.entry(key)?;
        let place = &entry.place;
        match &entry.node.value {
            FileValue::List(nodes) => {
                let is_unset = |node: &&Node| match &node.value {
                    FileValue::Text(text) => node.is_interpolated && text.trim().is_empty(),
                    _ => false,
                };
                if !nodes.is_empty() && nodes.iter().all(|node| is_unset(&node)) {
                    return None;
                }
                let set_nodes = nodes.iter().filter(|node| !is_unset(node));
                let texts = set_nodes.filter_map(|node| match &node.value {
                    FileValue::Text(text) => Some((text.clone(), place.clone())),
                    _ => None,
                });
                Some(texts.collect())
            }
            FileValue::Text(text) if entry.node.is_interpolated && !text.trim().is_empty() => {
                let texts = text
                    .split(',')
                    .map(str::trim)
                    .filter(|text| !text.is_empty());
                Some(texts.map(|text| (text.to_owned(), place.clone())).collect())
            }
            _ => None,
        }
    }

    /// Adds the values of sinks to `explain()`. Skips exporters, which explain their own keys,
    /// because values may be secret. Skips such keys also in sinks of other kinds, where they are
    /// mistakes.
    pub(super) fn explain_sinks(&mut self) {
        let merged = self.merged;
        for entry in &merged.root.table("sink").0 {
            let table = entry.node.table();
            let kind = table.and_then(|table| merge::kind_of_sink(&entry.key, table));
            let Some(table) = table.filter(|_| !matches!(kind, Some("sentry" | "otlp"))) else {
                continue;
            };
            let path = super::check::joined("sink", &entry.key);
            for entry in table.0.iter().filter(|entry| !is_exporter_key(&entry.key)) {
                let path = super::check::joined(&path, &entry.key);
                self.explain_node(&entry.node, &path);
            }
        }
        for (name, table, _) in &merged.disabled {
            if let Some(node) = table.get("enabled") {
                let path = super::check::joined("sink", name);
                self.explain_node(node, &format!("{path}.enabled"));
            }
        }
    }

    /// Adds the values of a table to `explain()`.
    pub(super) fn explain(&mut self, table: &Table, path: &str) {
        for entry in &table.0 {
            let path = super::check::joined(path, &entry.key);
            self.explain_node(&entry.node, &path);
        }
    }

    /// Adds a value, or all values in it, to `explain()`.
    pub(super) fn explain_node(&mut self, node: &Node, path: &str) {
        match &node.value {
            FileValue::Table(table) => self.explain(table, path),
            FileValue::List(nodes) if nodes.iter().any(|node| node.table().is_some()) => {
                for (index, node) in nodes.iter().enumerate() {
                    self.explain_node(node, &format!("{path}[{index}]"));
                }
            }
            FileValue::List(nodes) => {
                let texts = nodes.iter().filter_map(Node::text);
                let shown = texts.collect::<Vec<_>>().join(", ");
                let origin = merge::origin(node, path);
                self.choices.explain_path(path, &shown, &origin);
            }
            _ => {
                let origin = merge::origin(node, path);
                let shown = node.text().unwrap_or_default();
                self.choices.explain_path(path, &shown, &origin);
            }
        }
    }
}

/// Returns whether a key of a sink belongs to an exporter or is unknown.
fn is_exporter_key(name: &str) -> bool {
    let is_key = |key: &&Key| key.path.strip_prefix("sink.*.") == Some(name);
    let key = KEYS.iter().find(is_key);
    key.is_none_or(|key| matches!(key.sinks, Sinks::Sentry | Sinks::Otlp))
}

/// Parses a level, or `off`.
pub(super) fn level(text: &str) -> Result<LevelFilter, ParseError> {
    let level = spanwise_core::internal::parse_level(text);
    level.ok_or_else(|| {
        let accepts = "accepts off, error, warn, info, debug, trace";
        let hint = match closest_level(text) {
            Some(meant) => format!("did you mean {meant}? {accepts}"),
            None => accepts.to_owned(),
        };
        ParseError::word(text, "is not a level", hint)
    })
}

/// Returns a hint for an unknown name: the name that was probably meant, and all names.
pub(super) fn suggested<'n>(
    name: &str,
    names: impl IntoIterator<Item = &'n str> + Clone,
) -> String {
    let all = listed(names.clone());
    match closest(name, names) {
        Some(meant) => format!("did you mean {meant}? {all}"),
        None => all,
    }
}

/// Returns the names joined by commas, for an error.
pub(super) fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_unstable();
    match names[..] {
        [] => "there is none".to_owned(),
        [only] => format!("there is {only}"),
        _ => format!("there are {}", names.join(", ")),
    }
}

//! The differences between two versions of the files, and which of them need a restart.

use std::{collections::BTreeMap, fmt};

use super::{
    check::joined,
    keys::KEYS,
    merge::{Merged, kind_of_sink},
    syntax::{FileValue, Node, Place, Table},
};
use crate::explain::Explanation;

/// The keys that a reload of the configuration added, changed and removed.
///
/// Each key is a path with its file and line, such as `sink.errors.level (log.toml:12)`. If a
/// variable overrides the new value, the variable follows:
/// `levels (log.toml:2, overridden by RUST_LOG)`. Values are not shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigChange {
    /// The keys that only the new files have.
    pub added: Vec<String>,
    /// The keys with another value.
    pub changed: Vec<String>,
    /// The keys that only the old files had, with their old places.
    pub removed: Vec<String>,
}

impl ConfigChange {
    /// Returns whether every value is the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

impl ConfigChange {
    /// Marks the keys that a variable overrides, and the levels of routes that code overrides.
    /// Their changes have no effect.
    pub(crate) fn with_overrides(mut self, explanation: &Explanation) -> Self {
        for key in self.added.iter_mut().chain(&mut self.changed) {
            let path = key.rsplit_once(" (").map(|(path, _)| path);
            if let Some(name) = path.and_then(|path| explanation.override_of(path)) {
                key.pop();
                key.push_str(&format!(", overridden by {name})"));
            }
        }
        self
    }
}

/// Shows `added sink.audit.kind (log.toml:20); removed filter.quiet.drop.target (log.toml:31)`.
impl fmt::Display for ConfigChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = [
            ("added", &self.added),
            ("changed", &self.changed),
            ("removed", &self.removed),
        ];
        let mut separator = "";
        for (what, keys) in lists.into_iter().filter(|(_, keys)| !keys.is_empty()) {
            write!(f, "{separator}{what} {}", keys.join(", "))?;
            separator = "; ";
        }
        match separator {
            "" => f.write_str("no key changed"),
            _ => Ok(()),
        }
    }
}

/// The reasons why a changed configuration was not applied. The previous one stays in use.
///
/// `Debug` shows the same text as `Display`, with each problem on a line.
#[derive(PartialEq, Eq, Clone)]
pub struct ReloadError(Vec<String>);

impl ReloadError {
    pub(crate) fn new(problems: Vec<String>) -> Self {
        Self(problems)
    }

    /// Returns the problems, those of files with their places, in the order of the files.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration was not reloaded, and the previous one stays in use:")?;
        let mut problems = self.0.iter();
        problems.try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl fmt::Debug for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ReloadError {}

/// The keys of all files with their values, after the merge.
#[derive(Default)]
pub(crate) struct FileKeys(BTreeMap<String, KeyValue>);

struct KeyValue {
    /// The value, for comparison only.
    text: String,
    place: Place,
}

impl Merged {
    /// Returns all keys with their values.
    pub(crate) fn keys(&self) -> FileKeys {
        let mut keys = FileKeys::default();
        keys.add_table(&self.root, "");
        for (name, table, place) in &self.disabled {
            let path = joined("sink", name);
            keys.add_table(table, &path);
            let off = KeyValue {
                text: "false".to_owned(),
                place: place.clone(),
            };
            keys.0.insert(format!("{path}.enabled"), off);
        }
        keys
    }

    /// Returns the paths of the sinks that are exporters, such as `sink.sentry`.
    fn exporters(&self) -> impl Iterator<Item = String> {
        let sinks = self.root.table("sink").0.iter();
        let sinks = sinks.filter_map(|sink| Some((&sink.key, sink.node.table()?)));
        let disabled = self.disabled.iter().map(|(name, table, _)| (name, table));
        let exporters = sinks
            .chain(disabled)
            .filter(|(name, table)| matches!(kind_of_sink(name, table), Some("sentry" | "otlp")));
        exporters.map(|(name, _)| joined("sink", name))
    }
}

impl FileKeys {
    fn add_table(&mut self, table: &Table, path: &str) {
        for entry in &table.0 {
            let path = match path {
                "" => entry.key.clone(),
                path => joined(path, &entry.key),
            };
            match entry.node.table() {
                Some(table) => self.add_table(table, &path),
                None => {
                    let place = entry.node.place.clone();
                    let text = comparison_text(&entry.node);
                    self.0.insert(path, KeyValue { text, place });
                }
            }
        }
    }

    /// Returns the differences from `old`.
    pub(crate) fn changes_from(&self, old: &Self) -> ConfigChange {
        let shown =
            |(path, value): (&String, &KeyValue)| format!("{path} ({})", value.place.shown_line());
        let added = self.0.iter().filter(|(path, _)| !old.0.contains_key(*path));
        let changed = self.0.iter().filter(|(path, value)| {
            let old = old.0.get(*path);
            old.is_some_and(|old| old.text != value.text)
        });
        let removed = old.0.iter().filter(|(path, _)| !self.0.contains_key(*path));
        ConfigChange {
            added: added.map(shown).collect(),
            changed: changed.map(shown).collect(),
            removed: removed.map(shown).collect(),
        }
    }

    /// Returns the problems of the changes from `old` that need a restart. Reports removed keys
    /// only if the new files are complete. Otherwise a key may be missing because of an error.
    pub(crate) fn restarts(
        &self,
        new: &Merged,
        old: &Self,
        old_files: &Merged,
        is_complete: bool,
    ) -> Vec<String> {
        let exporters: Vec<String> = new.exporters().chain(old_files.exporters()).collect();
        let differs = |path: &String| {
            let text = |keys: &Self| keys.0.get(path).map(|value| value.text.clone());
            text(self) != text(old)
        };
        let mut paths: Vec<&String> = self.0.keys().chain(old.0.keys()).collect();
        paths.sort();
        paths.dedup();
        let paths = paths
            .into_iter()
            .filter(|path| differs(path) && needs_restart(path, &exporters));
        let problems = paths.filter_map(|path| {
            if let Some(KeyValue { place, .. }) = self.0.get(path) {
                return Some(format!("{place}: {path} {NEEDS_RESTART}"));
            }
            let KeyValue { place, .. } = old.0.get(path).filter(|_| is_complete)?;
            let line = place.shown_line();
            Some(format!("{path} (it was at {line}) {NEEDS_RESTART}"))
        });
        problems.collect()
    }
}

impl FileKeys {
    /// Returns the problem of a changed option of a file sink while its file is open.
    pub(crate) fn open_file_problem(&self, old: &Self, sink: &str, option: &str) -> String {
        let path = joined(&joined("sink", sink), option);
        let why =
            "needs a restart while the file is open: undo this change, or restart the program";
        match (self.0.get(&path), old.0.get(&path)) {
            (Some(KeyValue { place, .. }), _) => format!("{place}: {path} {why}"),
            (None, Some(KeyValue { place, .. })) => {
                format!("{path} (it was at {}) {why}", place.shown_line())
            }
            // Neither version has the key. Its default has changed: the value of a setting such as
            // `LOG_FILE_ROTATE`.
            (None, None) => format!("{path} {why}"),
        }
    }
}

const NEEDS_RESTART: &str = "needs a restart: undo this change, or restart the program";

/// The keys and tables that can change while the program runs.
const RELOADABLE: [&str; 8] = [
    "version", "levels", "sample", "format", "sink", "filter", "root", "route",
];

/// Returns whether a change of the key at `path` needs a restart. `exporters` are the paths of the
/// sinks that are exporters.
fn needs_restart(path: &str, exporters: &[String]) -> bool {
    let first = path.split('.').next().unwrap_or(path);
    if !RELOADABLE.contains(&first) {
        // An unknown key is a mistake, which a restart would not accept either.
        return KEYS.iter().any(|key| key.path == first);
    }
    let exporter_key = exporters.iter().find_map(|exporter| {
        let after_exporter = path.strip_prefix(exporter.as_str())?;
        after_exporter.strip_prefix('.')
    });
    // The router applies the level and the filters of an exporter, so these two can change.
    exporter_key.is_some_and(|key| !["level", "filters"].contains(&key))
}

/// Returns a text for comparisons. Values with equal texts are equal.
fn comparison_text(node: &Node) -> String {
    match &node.value {
        FileValue::Text(text) => format!("{text:?}"),
        FileValue::List(nodes) => {
            let texts: Vec<String> = nodes.iter().map(comparison_text).collect();
            format!("[{}]", texts.join(","))
        }
        FileValue::Table(table) => {
            let entries = table.0.iter();
            let entries =
                entries.map(|entry| format!("{:?}={}", entry.key, comparison_text(&entry.node)));
            let mut texts: Vec<String> = entries.collect();
            texts.sort();
            format!("{{{}}}", texts.join(","))
        }
        FileValue::Integer(_) | FileValue::Float(_) | FileValue::Bool(_) | FileValue::Date => {
            node.text().unwrap_or_default()
        }
    }
}

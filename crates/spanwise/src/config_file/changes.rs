//! The differences between two versions of the files, and which of them need a restart.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
};

use super::{
    ConfigFiles,
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
        for (action, keys) in lists.into_iter().filter(|(_, keys)| !keys.is_empty()) {
            write!(f, "{separator}{action} {}", keys.join(", "))?;
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

    /// Returns the problems in the order of the files. A problem in a file begins with its place.
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
struct FileKeys(BTreeMap<String, KeyValue>);

struct KeyValue {
    /// The value, for comparison only.
    text: String,
    place: Place,
}

impl Merged {
    /// Returns all keys with their values. A disabled sink counts as one with `enabled = false`.
    fn keys(&self) -> FileKeys {
        let mut keys = FileKeys::default();
        keys.add_table(&self.root, "");
        for (name, table, place) in &self.disabled {
            let path = joined("sink", name);
            keys.add_table(table, &path);
            let enabled = table.get("enabled").map(|node| &node.place);
            let disabled = KeyValue {
                text: "false".to_owned(),
                place: enabled.unwrap_or(place).clone(),
            };
            keys.0.insert(format!("{path}.enabled"), disabled);
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
        // An empty table of a sink or a route counts as a key, because the sink or route exists.
        let may_be_empty = ["sink", "route"].contains(&path);
        for entry in &table.0 {
            let path = match path {
                "" => entry.key.clone(),
                path => joined(path, &entry.key),
            };
            let place = match entry.node.table() {
                Some(table) if may_be_empty && table.0.is_empty() => &entry.place,
                Some(table) => {
                    self.add_table(table, &path);
                    continue;
                }
                None => &entry.node.place,
            };
            let value = KeyValue {
                text: comparison_text(&entry.node),
                place: place.clone(),
            };
            self.0.insert(path, value);
        }
    }

    /// Returns whether there is a key at this path, or inside the table at this path.
    fn has(&self, path: &str) -> bool {
        let inside = format!("{path}.");
        let mut keys_inside = self.0.range(inside.clone()..);
        self.0.contains_key(path)
            || keys_inside
                .next()
                .is_some_and(|(first, _)| first.starts_with(&inside))
    }
}

/// The keys of two versions of the files.
pub(crate) struct KeyVersions<'a> {
    new: &'a Merged,
    old: &'a Merged,
    /// The keys of the new files.
    keys: FileKeys,
    old_keys: FileKeys,
    /// Whether all keys of the new files were read. After a syntax error, for example, keys may be
    /// missing.
    is_complete: bool,
    /// Whether the new configuration has no problem. An invalid value may change the default of
    /// another key.
    is_valid: bool,
}

impl<'a> KeyVersions<'a> {
    /// Creates the comparison of the `new` files with the `old` files before a reload. `files` are
    /// the new files before the merge. `problems` are all problems of the new configuration.
    pub(crate) fn new(
        files: &ConfigFiles,
        new: &'a Merged,
        old: &'a Merged,
        problems: &[String],
    ) -> Self {
        Self {
            new,
            old,
            keys: new.keys(),
            old_keys: old.keys(),
            is_complete: files.problems().is_empty() && new.problems().is_empty(),
            is_valid: problems.is_empty(),
        }
    }

    /// Returns the differences.
    pub(crate) fn changes(&self) -> ConfigChange {
        let (keys, old) = (&self.keys, &self.old_keys);
        let shown =
            |(path, value): (&String, &KeyValue)| format!("{path} ({})", value.place.shown_line());
        let added = keys.0.iter().filter(|(path, _)| !old.has(path));
        let changed = keys.0.iter().filter(|(path, value)| {
            let old = old.0.get(*path);
            old.is_some_and(|old| old.text != value.text)
        });
        let removed = old.0.iter().filter(|(path, _)| !keys.has(path));
        ConfigChange {
            added: added.map(shown).collect(),
            changed: changed.map(shown).collect(),
            removed: removed.map(shown).collect(),
        }
    }

    /// Returns a problem for each change that needs a restart.
    pub(crate) fn restarts(&self) -> Vec<String> {
        let exporters: Vec<String> = self.new.exporters().chain(self.old.exporters()).collect();
        let differs = |path: &String| {
            let text = |keys: &FileKeys| keys.0.get(path).map(|value| value.text.clone());
            text(&self.keys) != text(&self.old_keys)
        };
        let mut paths: Vec<&String> = self.keys.0.keys().chain(self.old_keys.0.keys()).collect();
        paths.sort();
        paths.dedup();
        let paths = paths
            .into_iter()
            .filter(|path| differs(path) && needs_restart(path, &exporters));
        let why = "needs a restart: undo this change, or restart the program";
        paths
            .filter_map(|path| self.problem_at(path, why))
            .collect()
    }

    /// Returns the problem that an option of a file sink has changed, which needs a restart while
    /// the file is open.
    pub(crate) fn open_file_problem(&self, sink: &str, option: &str) -> Option<String> {
        let path = joined(&joined("sink", sink), option);
        let why =
            "needs a restart while the file is open: undo this change, or restart the program";
        self.problem_at(&path, why)
    }

    /// Returns the problem of the key at `path`, with its place. Returns `None` if another problem
    /// may be the reason why the key is missing, or why its default has changed.
    fn problem_at(&self, path: &str, why: &str) -> Option<String> {
        match (self.keys.0.get(path), self.old_keys.0.get(path)) {
            (Some(KeyValue { place, .. }), _) => Some(format!("{place}: {path} {why}")),
            (None, _) if !self.is_complete => None,
            (None, Some(KeyValue { place, .. })) => {
                let line = place.shown_line();
                Some(format!("{path} (it was at {line}) {why}"))
            }
            // Neither version has the key. Its default has changed, which is the value of a setting
            // such as `LOG_FILE_ROTATE`.
            (None, None) if !self.is_valid => None,
            (None, None) => Some(format!("{path} {why}")),
        }
    }
}

/// Removes each problem of `restarts` on whose line `problems` has a problem, too. A restart would
/// not accept such a line either.
pub(crate) fn remove_invalid_lines(restarts: &mut Vec<String>, problems: &[String]) {
    let lines: HashSet<&str> = problems.iter().filter_map(|it| line_of(it)).collect();
    restarts.retain(|restart| line_of(restart).is_none_or(|line| !lines.contains(line)));
}

/// Returns the file and the line with which a problem begins: `log.toml:12`.
fn line_of(problem: &str) -> Option<&str> {
    let (place, _) = problem.split_once(": ")?;
    let (line, _column) = place.rsplit_once(':')?;
    line.contains(':').then_some(line)
}

/// The top-level keys and tables that can change while the program runs.
const RELOADABLE: [&str; 8] = [
    "version", "levels", "sample", "format", "sink", "filter", "root", "route",
];

/// Returns whether a change of the key at `path` needs a restart. `exporters` are the paths of the
/// sinks that are exporters.
fn needs_restart(path: &str, exporters: &[String]) -> bool {
    let top_level = path.split('.').next().unwrap_or(path);
    if !RELOADABLE.contains(&top_level) {
        // An unknown key is a mistake, which a restart would not accept either.
        return KEYS.iter().any(|key| key.path == top_level);
    }
    let exporter_key = exporters.iter().find_map(|exporter| {
        let after_exporter = path.strip_prefix(exporter.as_str())?;
        after_exporter.strip_prefix('.')
    });
    // The router applies the level and the filters of an exporter, so both can change.
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

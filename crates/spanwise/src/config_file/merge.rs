//! Merges all files and the profile of the preset into one table, which is a source of settings.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    fmt,
    sync::Arc,
};

use spanwise_core::{ParseError, Setting};
use spanwise_recorder::Recorder;

use super::{
    interpolation::Interpolation,
    keys::{KEYS, path_of},
    syntax::{FileValue, Node, Place, Table},
};
use crate::{
    Preset,
    choices::{Raw, Source},
    explain::{FilePlace, Origin},
    settings::{LOG_OUTPUT, LOG_RECORDER, SETTINGS_WITH_FEATURES},
    warning::Warning,
};

/// All files, merged into one table with the profile of one preset.
pub(crate) struct Merged {
    /// The top level of the merged file, without the table `profile`.
    pub(super) root: Table,
    /// The sinks with `enabled = false`, which are not in `root`: their names, their keys, and the
    /// places of their tables.
    pub(super) disabled: Vec<(String, Table, Place)>,
    /// The problems of references that could not be replaced.
    pub(super) problems: Vec<String>,
    /// The contents of the files in `${file:…}`, which are never shown.
    pub(super) concealed: Vec<String>,
    /// The variables to which texts refer, including texts of other profiles, and texts that
    /// another file overrides.
    used_variables: HashSet<String>,
}

impl Merged {
    /// Returns whether the files define a sink that is not an exporter, even a disabled one. If
    /// they do, there is no sink `main` by default.
    pub(super) fn defines_line_sinks(&self) -> bool {
        let is_exporter = |name: &str, table: &Table| {
            matches!(kind_of_sink(name, table), Some("sentry" | "otlp"))
        };
        let mut sinks = self.root.table("sink").0.iter();
        let mut disabled = self.disabled.iter();
        sinks.any(|sink| {
            sink.node
                .table()
                .is_some_and(|table| !is_exporter(&sink.key, table))
        }) || disabled.any(|(name, table, _)| !is_exporter(name, table))
    }

    /// Copies the tables of all files. If the preset is known, merges its profile into them.
    pub(super) fn new(
        base: &Table,
        preset: Option<Preset>,
        vars: &HashMap<String, OsString>,
        used_variables: HashSet<String>,
    ) -> Self {
        let mut root = base.clone();
        let profiles = root.remove("profile");
        let profile = preset.and_then(|preset| {
            let FileValue::Table(mut profiles) = profiles?.node.value else {
                return None;
            };
            profiles.remove(preset.name())
        });
        if let Some(profile) = profile
            && let FileValue::Table(table) = profile.node.value
        {
            overlay(&mut root, table);
        }
        root.remove("include");
        let mut interpolation = Interpolation::new(vars);
        let disabled = remove_disabled(&mut root, &mut interpolation);
        interpolation.replace_in_table(&mut root);
        Self {
            root,
            disabled,
            problems: interpolation.problems,
            concealed: interpolation.concealed,
            used_variables,
        }
    }

    /// Returns the problems of references that could not be replaced.
    pub(crate) fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Returns whether a reference in a text, or in a text of a list, could not be replaced, for
    /// example because its variable is not set. That problem is already reported.
    pub(super) fn has_reference_problem(&self, node: &Node) -> bool {
        if let FileValue::List(nodes) = &node.value {
            return nodes.iter().any(|node| self.has_reference_problem(node));
        }
        let place = format!("{}: ", node.place);
        self.problems
            .iter()
            .any(|problem| problem.starts_with(&place))
    }

    /// Returns the problems of keys that need a feature which is not enabled. Keys of sinks are
    /// skipped, because the reader of the sinks reports them.
    pub(crate) fn unbuilt(&self) -> Vec<String> {
        let unbuilt = SETTINGS_WITH_FEATURES.iter().filter_map(|(def, feature)| {
            let feature = feature.filter(|feature| !feature.is_built)?;
            let (node, path) = self.node_of(def)?;
            let is_sink_key = path.starts_with("sink.");
            (!is_sink_key).then(|| {
                format!(
                    "{}: {path} needs the feature `{}` of `spanwise`: add it, or remove the key",
                    node.place, feature.name
                )
            })
        });
        unbuilt.collect()
    }

    /// Returns whether the file requests a panic hook, or `None` if it does not set the key.
    pub(crate) fn panic_hook(&self) -> Option<bool> {
        self.root.table("panic").get("hook").and_then(as_bool)
    }

    /// Returns the name of the first enabled sink of a kind. For an exporter, a second sink of the
    /// kind is a problem.
    pub(super) fn name_of_kind(&self, kind: &str) -> Option<&str> {
        let sinks = &self.root.table("sink").0;
        let sink = sinks.iter().find(|entry| {
            entry
                .node
                .table()
                .and_then(|sink| kind_of_sink(&entry.key, sink))
                == Some(kind)
        });
        sink.map(|entry| &*entry.key)
    }

    /// Returns the value of a setting, and its path. The path of an exporter's key has the name
    /// that the sink has in the file, such as `sink.errors.dsn`.
    pub(super) fn node_of(&self, def: &Setting) -> Option<(&Node, String)> {
        let path = path_of(def)?;
        let parts: Vec<&str> = path.splitn(3, '.').collect();
        let (name, key) = match parts[..] {
            ["sink", kind @ ("sentry" | "otlp"), key] => (self.name_of_kind(kind)?, key),
            ["sink", name, key] => (name, key),
            _ => return Some((self.root.at(&path)?, path)),
        };
        let node = self.root.table("sink").table(name).get(key)?;
        Some((node, format!("sink.{name}.{key}")))
    }
}

/// Returns the kind of a sink. Without the key `kind`, some names imply the kind.
pub(super) fn kind_of_sink<'t>(name: &'t str, sink: &'t Table) -> Option<&'t str> {
    match sink.get("kind").map(|kind| &kind.value) {
        Some(FileValue::Text(kind)) => Some(kind),
        Some(_) => None,
        None => match name {
            "error_file" => Some("file"),
            "file" | "sentry" | "otlp" => Some(name),
            _ => None,
        },
    }
}

/// Merges `over` into `base`. Tables are merged key by key. All other values are replaced.
pub(super) fn overlay(base: &mut Table, over: Table) {
    for entry in over.0 {
        match base.entry_mut(&entry.key) {
            Some(other) => match (&mut other.node.value, entry.node.value) {
                (FileValue::Table(base), FileValue::Table(over)) => overlay(base, over),
                (_, value) => {
                    other.place = entry.place;
                    other.node = Node {
                        value,
                        ..entry.node
                    };
                }
            },
            None => base.0.push(entry),
        }
    }
}

/// Stores the name of its profile in each place that is inside a profile.
pub(super) fn mark_profiles(root: &mut Table) {
    let Some(FileValue::Table(profiles)) =
        root.entry_mut("profile").map(|entry| &mut entry.node.value)
    else {
        return;
    };
    for entry in &mut profiles.0 {
        let name: Arc<str> = entry.key.as_str().into();
        entry
            .node
            .for_each_place(&mut |place| place.profile = Some(Arc::clone(&name)));
    }
}

/// Removes the sinks with `enabled = false` from `root`. Returns their names, their keys, and the
/// places of their tables.
fn remove_disabled(
    root: &mut Table,
    interpolation: &mut Interpolation<'_>,
) -> Vec<(String, Table, Place)> {
    let Some(FileValue::Table(sinks)) = root.entry_mut("sink").map(|entry| &mut entry.node.value)
    else {
        return Vec::new();
    };
    let mut disabled = Vec::new();
    for entry in std::mem::take(&mut sinks.0) {
        let mut entry = entry;
        if let FileValue::Table(table) = &mut entry.node.value {
            if let Some(enabled) = table.entry_mut("enabled") {
                interpolation.replace_in_node(&mut enabled.node);
            }
            if table.get("enabled").and_then(as_bool) == Some(false) {
                disabled.push((entry.key, std::mem::take(table), entry.place));
                continue;
            }
        }
        sinks.0.push(entry);
    }
    disabled
}

/// Returns the value of a switch. A text is a switch only if it comes from a reference.
pub(super) fn as_bool(node: &Node) -> Option<bool> {
    match &node.value {
        FileValue::Bool(is_on) => Some(*is_on),
        FileValue::Text(text) if node.is_interpolated => crate::parse::is_on(text.trim()),
        _ => None,
    }
}

/// Returns the origin of a value.
pub(super) fn origin(node: &Node, path: &str) -> Origin {
    Origin::File(file_place(node, path))
}

/// Returns the place of a value, in the form that `explain()` needs.
pub(super) fn file_place(node: &Node, path: &str) -> FilePlace {
    FilePlace {
        name: format!("{}: {path}", node.place),
        line: node.place.shown_line(),
        path: path.to_owned(),
        is_hidden: node.has_hidden(),
    }
}

/// Returns a value as the text of a setting.
pub(super) fn raw(node: &Node, path: &str) -> Option<Raw> {
    Some(Raw {
        text: node.text()?.into(),
        name: format!("{}: {path}", node.place),
        origin: origin(node, path),
    })
}

impl Source for Merged {
    fn raw(&self, def: &Setting) -> Option<Raw> {
        if def.name == LOG_RECORDER.def.name {
            return recorder(self.root.get("recorder")?);
        }
        let (node, path) = self.node_of(def)?;
        let raw = raw(node, &path)?;
        // The kind of the sink `main` is the value of `LOG_OUTPUT`. A kind that is not an output is
        // skipped, because the reader of the sinks reports it.
        let is_kind_of_main = def.name == LOG_OUTPUT.def.name;
        let is_output = |text: &str| ["stdout", "stderr", "none"].contains(&text);
        let has_output = raw.text.to_str().is_some_and(is_output);
        (!is_kind_of_main || has_output).then_some(raw)
    }

    fn unknown(&self, _: &[Setting], _: &dyn Fn(&str) -> bool) -> Vec<Warning> {
        Vec::new()
    }

    fn uses(&self, variable: &str) -> bool {
        self.used_variables.contains(variable)
    }
}

/// Returns the table of the recorder in the syntax of `LOG_RECORDER`.
fn recorder(node: &Node) -> Option<Raw> {
    let table = node.table()?;
    let capture = table.entry("capture")?;
    let mut raw = raw(&capture.node, "recorder.capture")?;
    if raw.text.to_str().is_some_and(|text| text.trim().is_empty()) {
        // An empty text counts as unset. Limits alone do not switch the recorder on.
        return None;
    }
    for key in RECORDER_LIMITS {
        if let Some(limit) = table
            .get(key)
            .and_then(|node| recorder_limit(key, node).ok())
        {
            raw.text.push(format!(",{limit}"));
        }
    }
    Some(raw)
}

/// The keys of the recorder besides `capture`.
pub(super) const RECORDER_LIMITS: [&str; 3] = ["slow", "tail", "lines"];

/// Returns a limit of the recorder in the syntax of `LOG_RECORDER`, such as `slow=1s`.
pub(super) fn recorder_limit(key: &str, node: &Node) -> Result<String, ParseError> {
    let text = node.text().unwrap_or_default();
    let text = text.trim();
    let word = format!("{key}={text}");
    match text.chars().next() {
        // A comma would begin another limit.
        _ if text.contains(',') => Err(ParseError::word(text, "is a list", "write one value")),
        // With a level, the word would be a directive for a target of this name.
        Some(first) if first.is_alphabetic() => {
            let path = format!("recorder.{key}");
            let row = KEYS.iter().find(|row| row.path == path);
            let accepts = row.map_or("a limit", |row| row.accepts);
            Err(ParseError::word(
                text,
                "is not a limit",
                format!("write {accepts}"),
            ))
        }
        // `debug` only completes the text for the parser.
        _ => format!("debug,{word}").parse::<Recorder>().map(|_| word),
    }
}

/// Shows no value, because it may be a secret.
impl fmt::Debug for Merged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merged").finish_non_exhaustive()
    }
}

//! Checks the names of keys and the kinds of values. This happens before a profile is merged into
//! the files, so a mistake in a profile is found under every preset.

use spanwise_core::internal::suggest::closest;

use super::{
    interpolation::is_whole,
    key_row::{Key, KeyKind},
    keys::{
        CONDITIONS, KEYS, NOT_IN_PROFILES, PROFILES, RESERVED_KEYS, RESERVED_KINDS, otel_key,
        otel_settings,
    },
    syntax::{Entry, FileValue, Node, Place, Table},
};
use crate::Preset;

/// Checks documents, and collects the problems with their places.
pub(super) struct Check<'a> {
    /// All files, merged, but without a profile merged into them. Needed because one file may have
    /// the kind of a sink, and another file its other keys.
    base: &'a Table,
    /// The keys of OTLP sinks.
    otel_keys: Vec<String>,
    pub(super) problems: Vec<(Place, String)>,
}

impl<'a> Check<'a> {
    pub(super) fn new(base: &'a Table) -> Self {
        let settings = otel_settings();
        let otel_keys = settings.iter().filter_map(|def| otel_key(def.name));
        Self {
            base,
            otel_keys: otel_keys.collect(),
            problems: Vec::new(),
        }
    }

    /// Checks the top level of a file.
    pub(super) fn document(&mut self, table: &Table) {
        self.table(table, "", "", &[]);
    }

    /// Checks a table. `pattern` is its path in [`KEYS`], and `shown` its path in the file. Reports
    /// the top-level keys in `excluded`, which a profile cannot have.
    fn table(&mut self, table: &Table, pattern: &str, shown: &str, excluded: &[&str]) {
        for entry in &table.0 {
            let path = joined(shown, &entry.key);
            if pattern.is_empty() && excluded.contains(&&*entry.key) {
                let problem = "is not a setting of a profile: write it at the top level";
                self.problem(&entry.place, format!("{path} {problem}"));
                continue;
            }
            if pattern.is_empty() && entry.key == "profile" {
                self.profiles(entry, &path);
                continue;
            }
            match find(pattern, &entry.key) {
                Some(key) => self.entry(entry, key, &path, excluded),
                None if pattern == "sink.*" && self.otel_keys.contains(&entry.key) => {
                    if matches!(entry.node.value, FileValue::Table(_) | FileValue::Date) {
                        let kind = kind_of(&entry.node);
                        self.problem(&entry.node.place, format!("{path} is {kind}: write a text"));
                    }
                }
                None => self.unknown(entry, pattern, &path),
            }
        }
    }

    fn entry(&mut self, entry: &Entry, key: &Key, path: &str, excluded: &[&str]) {
        let node = &entry.node;
        if let Some(problem) = wrong_kind(node, key.kind, key.accepts) {
            self.problem(&node.place, format!("{path} is {problem}"));
            return;
        }
        if let ("version", FileValue::Integer(version)) = (key.path, &node.value)
            && *version != 1
        {
            self.problem(&node.place, format!("{path} is {version}: write 1"));
        }
        let Some(table) = node.table() else {
            return;
        };
        match key.kind {
            KeyKind::Condition => {
                let has_level = key.path == "filter.*.level";
                self.condition(table, path, has_level);
            }
            _ if key.path == "sink.*" && self.is_reserved(&entry.key, table) => {}
            _ => self.table(table, key.path, path, excluded),
        }
    }

    /// Returns whether only a later release will have the kind of a sink. The keys of such a sink
    /// are not known yet.
    fn is_reserved(&self, name: &str, table: &Table) -> bool {
        let base = self.base.table("sink").table(name);
        let kind = table.get("kind").or(base.get("kind"));
        kind.is_some_and(
            |kind| matches!(&kind.value, FileValue::Text(kind) if RESERVED_KINDS.contains(&&**kind)),
        )
    }

    fn profiles(&mut self, entry: &Entry, path: &str) {
        let Some(profiles) = entry.node.table() else {
            let kind = kind_of(&entry.node);
            self.problem(
                &entry.node.place,
                format!("{path} is {kind}: write a table"),
            );
            return;
        };
        for profile in &profiles.0 {
            let path = joined(path, &profile.key);
            if !PROFILES.contains(&&*profile.key) {
                let advice = match Preset::for_environment(&profile.key) {
                    Some(preset) => format!("did you mean {}?", preset.name()),
                    None => advice(&profile.key, PROFILES.into_iter()),
                };
                self.problem(&profile.place, format!("{path} is not a preset: {advice}"));
            } else if let Some(table) = profile.node.table() {
                self.table(table, "", &path, &NOT_IN_PROFILES);
            } else {
                let kind = kind_of(&profile.node);
                self.problem(
                    &profile.node.place,
                    format!("{path} is {kind}: write a table"),
                );
            }
        }
    }

    fn unknown(&mut self, entry: &Entry, pattern: &str, path: &str) {
        if pattern.is_empty() && RESERVED_KEYS.contains(&&*entry.key) {
            self.problem(
                &entry.place,
                format!(
                    "{path} is not available yet: available are `Handle::set_levels` and \
                     `Handle::set_levels_for`, which change levels while the program runs"
                ),
            );
            return;
        }
        if pattern == "route.*" && entry.node.table().is_some() {
            let problem = "is not a setting: write the whole target of a route in quotes, such as \
                           [route.\"shop::payments\"]";
            self.problem(&entry.place, format!("{path} {problem}"));
            return;
        }
        if entry.key == "*" && is_named(pattern) {
            let problem = format!("{path} is not a name: write one table for each {pattern}");
            self.problem(&entry.place, problem);
            return;
        }
        let advice = self.advice(entry, pattern);
        self.problem(&entry.place, format!("{path} is not a setting: {advice}"));
    }

    /// Returns the advice for a key that the table at `pattern` does not have.
    fn advice(&self, entry: &Entry, pattern: &str) -> String {
        let name = &*entry.key;
        let is_list = matches!(entry.node.value, FileValue::List(_));
        if pattern.is_empty() && is_list && is_value(&joined_plain("root", name)) {
            return format!("write it as {name} below [root]");
        }
        let siblings = KEYS.iter().filter(|key| is_below(key.path, pattern));
        let siblings = siblings.map(Key::name).filter(|name| *name != "*");
        let otel = self.otel_keys.iter().map(String::as_str);
        let otel = otel.filter(|_| pattern == "sink.*");
        let all: Vec<&str> = siblings
            .clone()
            .map(|name| -> &str { name })
            .chain(otel)
            .collect();
        // Below the header of a table, a key of the top level belongs to the table.
        let is_top_level = is_value(name);
        let meant = closest(name, all);
        match meant {
            Some(meant) if is_top_level => {
                format!("did you mean {meant}, or {name} above the first table?")
            }
            Some(meant) => format!("did you mean {meant}?"),
            None if is_top_level => "write it above the first table".to_owned(),
            None => format!("there are {}", siblings.collect::<Vec<_>>().join(", ")),
        }
    }

    fn condition(&mut self, table: &Table, path: &str, has_level: bool) {
        for entry in &table.0 {
            let path = joined(path, &entry.key);
            let node = &entry.node;
            if has_level && entry.key == "as" {
                if let Some(problem) = wrong_kind(node, KeyKind::Text, "a level") {
                    self.problem(&node.place, format!("{path} is {problem}"));
                }
                continue;
            }
            let Some((_, accepts, _)) = CONDITIONS.iter().find(|(key, ..)| *key == entry.key)
            else {
                let keys = CONDITIONS.iter().map(|(key, ..)| *key);
                let advice = advice(&entry.key, keys);
                self.problem(&entry.place, format!("{path} is not a condition: {advice}"));
                continue;
            };
            match (&*entry.key, &node.value) {
                ("not", FileValue::Table(table)) => self.condition(table, &path, false),
                ("any", FileValue::List(nodes))
                    if nodes.iter().all(|node| node.table().is_some()) =>
                {
                    for (index, node) in nodes.iter().enumerate() {
                        let path = format!("{path}[{index}]");
                        self.condition(node.table().unwrap_or(table), &path, false);
                    }
                }
                ("any", _) => {
                    let kind = kind_of(node);
                    self.problem(&node.place, format!("{path} is {kind}: write {accepts}"));
                }
                ("is" | "not", value) => {
                    let is_scalar = |value: &FileValue| {
                        !matches!(
                            value,
                            FileValue::List(_) | FileValue::Table(_) | FileValue::Date
                        )
                    };
                    let is_fit = match value {
                        FileValue::List(nodes) => nodes.iter().all(|node| is_scalar(&node.value)),
                        value => is_scalar(value),
                    };
                    if !is_fit {
                        let kind = kind_of(node);
                        self.problem(&node.place, format!("{path} is {kind}: write {accepts}"));
                    }
                }
                ("above" | "below", _) => self.kind(node, KeyKind::Number, accepts, &path),
                ("exists", _) => self.kind(node, KeyKind::Bool, accepts, &path),
                ("preset", FileValue::List(_)) => self.kind(node, KeyKind::List, accepts, &path),
                _ => self.kind(node, KeyKind::Text, accepts, &path),
            }
        }
    }

    /// Checks the kind of a value.
    fn kind(&mut self, node: &Node, kind: KeyKind, accepts: &str, path: &str) {
        if let Some(problem) = wrong_kind(node, kind, accepts) {
            self.problem(&node.place, format!("{path} is {problem}"));
        }
    }

    fn problem(&mut self, place: &Place, problem: String) {
        self.problems.push((place.clone(), problem));
    }
}

/// Returns the definition of a key in the table at `pattern`.
fn find(pattern: &str, name: &str) -> Option<&'static Key> {
    let find = |name: &str| {
        let path = joined_plain(pattern, name);
        KEYS.iter().find(|key| key.path == path)
    };
    match (pattern, name) {
        // The reader of the routes reports this target.
        ("route", "*") => find("*"),
        // The rows for any name are not the row of a name.
        (_, "*") => None,
        _ => find(name).or_else(|| find("*")),
    }
}

/// Returns whether a path is that of a key with a value, and not of a table.
fn is_value(path: &str) -> bool {
    let is_table = |kind| {
        matches!(
            kind,
            KeyKind::Table | KeyKind::NamedTables | KeyKind::Condition
        )
    };
    let key = KEYS.iter().find(|key| key.path == path);
    key.is_some_and(|key| !is_table(key.kind))
}

/// Returns whether the keys of a table are names, such as those of sinks.
fn is_named(pattern: &str) -> bool {
    let any = joined_plain(pattern, "*");
    KEYS.iter().any(|key| key.path == any)
}

/// Returns a path and a name, joined by a dot. The name is not quoted.
fn joined_plain(pattern: &str, name: &str) -> String {
    match pattern {
        "" => name.to_owned(),
        _ => format!("{pattern}.{name}"),
    }
}

/// Returns whether the path of a key is directly below a table.
fn is_below(path: &str, pattern: &str) -> bool {
    match path.rsplit_once('.') {
        Some((above, _)) => above == pattern,
        None => pattern.is_empty(),
    }
}

/// Returns the path of a key in a table, as a file would contain it.
pub(super) fn joined(path: &str, name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let name = match !name.is_empty() && name.chars().all(is_bare) {
        true => name.to_owned(),
        false => format!("{name:?}"),
    };
    joined_plain(path, &name)
}

/// Returns the advice for a name that is not one of `names`.
pub(super) fn advice<'n>(name: &str, names: impl Iterator<Item = &'n str> + Clone) -> String {
    match closest(name, names.clone()) {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("there are {}", names.collect::<Vec<_>>().join(", ")),
    }
}

/// Returns the problem of a value that is not of this kind: `a text: write true or false`. Does not
/// show the value, which may be a secret.
fn wrong_kind(node: &Node, kind: KeyKind, accepts: &str) -> Option<String> {
    let is_text = |node: &Node| matches!(node.value, FileValue::Text(_));
    let is_fit = match (&node.value, kind) {
        (
            FileValue::Text(text),
            KeyKind::Integer | KeyKind::Number | KeyKind::Bool | KeyKind::List,
        ) => is_whole(text),
        (FileValue::Text(_), KeyKind::Text)
        | (FileValue::Integer(_), KeyKind::Integer | KeyKind::Number)
        | (FileValue::Float(_), KeyKind::Number)
        | (FileValue::Bool(_), KeyKind::Bool)
        | (FileValue::Table(_), KeyKind::Table | KeyKind::NamedTables | KeyKind::Condition) => true,
        (FileValue::List(nodes), KeyKind::List) => match nodes.iter().find(|node| !is_text(node)) {
            Some(other) => return Some(format!("a list with {}: write texts", kind_of(other))),
            None => true,
        },
        _ => false,
    };
    (!is_fit).then(|| format!("{}: write {}", kind_of(node), accepted(kind, accepts)))
}

/// Returns the text for an error that says what to write for a kind.
fn accepted(kind: KeyKind, accepts: &str) -> String {
    match kind {
        KeyKind::Text => format!("a text, which accepts {accepts}"),
        KeyKind::Integer => accepts.to_owned(),
        KeyKind::Number => accepts.to_owned(),
        KeyKind::Bool => "true or false".to_owned(),
        KeyKind::List => "a list of texts".to_owned(),
        KeyKind::Table | KeyKind::NamedTables | KeyKind::Condition => "a table".to_owned(),
    }
}

fn kind_of(node: &Node) -> &'static str {
    match node.value {
        FileValue::Text(_) => "a text",
        FileValue::Integer(_) | FileValue::Float(_) => "a number",
        FileValue::Bool(_) => "true or false",
        FileValue::Date => "a date or a time",
        FileValue::List(_) => "a list",
        FileValue::Table(_) => "a table",
    }
}

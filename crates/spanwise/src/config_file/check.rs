//! Checks the names of keys and the kinds of values, such as text or list. The check runs before a
//! profile is merged into the files, so that it finds a mistake in a profile under every preset.

use spanwise_core::internal::suggest::closest;

use super::{
    interpolation::is_single_reference,
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
    /// All files, merged into one table, but without a profile merged into it. Needed because one
    /// file may have the kind of a sink, and another file its other keys.
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
    pub(super) fn check_document(&mut self, table: &Table) {
        self.check_table(table, "", "", &[]);
    }

    /// Checks a table. `pattern` is its path in [`KEYS`], such as `sink.*`. `table_path` is its
    /// path in the file. `excluded` has the top-level keys that are not allowed in this table.
    fn check_table(&mut self, table: &Table, pattern: &str, table_path: &str, excluded: &[&str]) {
        for entry in &table.0 {
            let path = joined(table_path, &entry.key);
            if pattern.is_empty() && excluded.contains(&&*entry.key) {
                let problem = "is not a setting of a profile: write it at the top level";
                self.add_problem(&entry.place, format!("{path} {problem}"));
                continue;
            }
            if pattern.is_empty() && entry.key == "profile" {
                self.check_profiles(entry, &path);
                continue;
            }
            match find_key(pattern, &entry.key) {
                Some(key) => self.check_entry(entry, key, &path, excluded),
                None if pattern == "sink.*" && self.otel_keys.contains(&entry.key) => {
                    if matches!(entry.node.value, FileValue::Table(_) | FileValue::Date) {
                        let kind = kind_of(&entry.node);
                        self.add_problem(
                            &entry.node.place,
                            format!("{path} is {kind}: write a text"),
                        );
                    }
                }
                None => self.report_unknown(entry, pattern, &path),
            }
        }
    }

    fn check_entry(&mut self, entry: &Entry, key: &Key, path: &str, excluded: &[&str]) {
        let node = &entry.node;
        if let Some(problem) = wrong_kind(node, key.kind, key.accepts) {
            self.add_problem(&node.place, format!("{path} is {problem}"));
            return;
        }
        if let ("version", FileValue::Integer(version)) = (key.path, &node.value)
            && *version != 1
        {
            self.add_problem(&node.place, format!("{path} is {version}: write 1"));
        }
        let Some(table) = node.table() else {
            return;
        };
        match key.kind {
            KeyKind::Condition => {
                let has_level = key.path == "filter.*.level";
                self.check_condition(table, path, has_level);
            }
            _ if key.path == "sink.*" && self.is_reserved(&entry.key, table) => {}
            _ => self.check_table(table, key.path, path, excluded),
        }
    }

    /// Returns whether only a later release will have the kind of a sink. The keys of such a sink
    /// are not known yet, and are not checked.
    fn is_reserved(&self, name: &str, table: &Table) -> bool {
        let base = self.base.table("sink").table(name);
        let kind = table.get("kind").or(base.get("kind"));
        kind.is_some_and(
            |kind| matches!(&kind.value, FileValue::Text(kind) if RESERVED_KINDS.contains(&&**kind)),
        )
    }

    fn check_profiles(&mut self, entry: &Entry, path: &str) {
        let Some(profiles) = entry.node.table() else {
            let kind = kind_of(&entry.node);
            self.add_problem(
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
                self.add_problem(&profile.place, format!("{path} is not a preset: {advice}"));
            } else if let Some(table) = profile.node.table() {
                self.check_table(table, "", &path, &NOT_IN_PROFILES);
            } else {
                let kind = kind_of(&profile.node);
                self.add_problem(
                    &profile.node.place,
                    format!("{path} is {kind}: write a table"),
                );
            }
        }
    }

    /// Reports a key that the table at `pattern` does not have.
    fn report_unknown(&mut self, entry: &Entry, pattern: &str, path: &str) {
        if pattern.is_empty() && RESERVED_KEYS.contains(&&*entry.key) {
            self.add_problem(
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
            self.add_problem(&entry.place, format!("{path} {problem}"));
            return;
        }
        if entry.key == "*" && has_named_keys(pattern) {
            let problem = format!("{path} is not a name: write one table for each {pattern}");
            self.add_problem(&entry.place, problem);
            return;
        }
        let advice = self.advice(entry, pattern);
        self.add_problem(&entry.place, format!("{path} is not a setting: {advice}"));
    }

    /// Returns what to write instead of a key that the table at `pattern` does not have.
    fn advice(&self, entry: &Entry, pattern: &str) -> String {
        let name = &*entry.key;
        let is_list = matches!(entry.node.value, FileValue::List(_));
        if pattern.is_empty() && is_list && is_value_key(&joined_plain("root", name)) {
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
        // In TOML, each key below the header of a table belongs to that table. A top-level key
        // must be above all headers.
        let is_top_level = is_value_key(name);
        match closest(name, all) {
            Some(meant) if is_top_level => {
                format!("did you mean {meant}, or {name} above the first table?")
            }
            Some(meant) => format!("did you mean {meant}?"),
            None if is_top_level => "write it above the first table".to_owned(),
            None => format!("there are {}", siblings.collect::<Vec<_>>().join(", ")),
        }
    }

    /// Checks a condition. `has_level` is whether the key `as` may set a level.
    fn check_condition(&mut self, table: &Table, path: &str, has_level: bool) {
        for entry in &table.0 {
            let path = joined(path, &entry.key);
            let node = &entry.node;
            if has_level && entry.key == "as" {
                if let Some(problem) = wrong_kind(node, KeyKind::Text, "a level") {
                    self.add_problem(&node.place, format!("{path} is {problem}"));
                }
                continue;
            }
            let Some((_, accepts, _)) = CONDITIONS.iter().find(|(key, ..)| *key == entry.key)
            else {
                let keys = CONDITIONS.iter().map(|(key, ..)| *key);
                let advice = advice(&entry.key, keys);
                self.add_problem(&entry.place, format!("{path} is not a condition: {advice}"));
                continue;
            };
            match (&*entry.key, &node.value) {
                ("not", FileValue::Table(table)) => self.check_condition(table, &path, false),
                ("any", FileValue::List(nodes))
                    if nodes.iter().all(|node| node.table().is_some()) =>
                {
                    for (index, node) in nodes.iter().enumerate() {
                        let path = format!("{path}[{index}]");
                        self.check_condition(node.table().unwrap_or(table), &path, false);
                    }
                }
                ("any", _) => {
                    let kind = kind_of(node);
                    self.add_problem(&node.place, format!("{path} is {kind}: write {accepts}"));
                }
                ("is" | "not", value) => {
                    let is_scalar = |value: &FileValue| {
                        !matches!(
                            value,
                            FileValue::List(_) | FileValue::Table(_) | FileValue::Date
                        )
                    };
                    let is_accepted = match value {
                        FileValue::List(nodes) => nodes.iter().all(|node| is_scalar(&node.value)),
                        value => is_scalar(value),
                    };
                    if !is_accepted {
                        let kind = kind_of(node);
                        self.add_problem(&node.place, format!("{path} is {kind}: write {accepts}"));
                    }
                }
                ("above" | "below", _) => self.check_kind(node, KeyKind::Number, accepts, &path),
                ("exists", _) => self.check_kind(node, KeyKind::Bool, accepts, &path),
                ("preset", FileValue::List(_)) => {
                    self.check_kind(node, KeyKind::List, accepts, &path)
                }
                _ => self.check_kind(node, KeyKind::Text, accepts, &path),
            }
        }
    }

    /// Checks the kind of a value.
    fn check_kind(&mut self, node: &Node, kind: KeyKind, accepts: &str, path: &str) {
        if let Some(problem) = wrong_kind(node, kind, accepts) {
            self.add_problem(&node.place, format!("{path} is {problem}"));
        }
    }

    fn add_problem(&mut self, place: &Place, problem: String) {
        self.problems.push((place.clone(), problem));
    }
}

/// Returns the row of the key `name` in the table at `pattern`.
fn find_key(pattern: &str, name: &str) -> Option<&'static Key> {
    let find = |name: &str| {
        let path = joined_plain(pattern, name);
        KEYS.iter().find(|key| key.path == path)
    };
    match (pattern, name) {
        // The reader of the routes reports that `*` is not a target.
        ("route", "*") => find("*"),
        // In other tables, a `*` in a file is not a name, and so does not match the row `*`.
        (_, "*") => None,
        _ => find(name).or_else(|| find("*")),
    }
}

/// Returns whether the key at `path` has a value that is not a table.
fn is_value_key(path: &str) -> bool {
    let is_table = |kind| {
        matches!(
            kind,
            KeyKind::Table | KeyKind::NamedTables | KeyKind::Condition
        )
    };
    let key = KEYS.iter().find(|key| key.path == path);
    key.is_some_and(|key| !is_table(key.kind))
}

/// Returns whether the keys of the table at `pattern` are names, such as those of sinks.
fn has_named_keys(pattern: &str) -> bool {
    let any = joined_plain(pattern, "*");
    KEYS.iter().any(|key| key.path == any)
}

/// Returns a path and a name, joined by a dot. Does not quote the name.
fn joined_plain(pattern: &str, name: &str) -> String {
    match pattern {
        "" => name.to_owned(),
        _ => format!("{pattern}.{name}"),
    }
}

/// Returns whether the key at `path` is directly in the table at `pattern`.
fn is_below(path: &str, pattern: &str) -> bool {
    match path.rsplit_once('.') {
        Some((above, _)) => above == pattern,
        None => pattern.is_empty(),
    }
}

/// Returns the path of the key `name` in the table at `path`. Quotes the name if TOML requires it.
pub(super) fn joined(path: &str, name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let name = match !name.is_empty() && name.chars().all(is_bare) {
        true => name.to_owned(),
        false => format!("{name:?}"),
    };
    joined_plain(path, &name)
}

/// Returns what to write instead of a name that is not one of `names`.
pub(super) fn advice<'n>(name: &str, names: impl Iterator<Item = &'n str> + Clone) -> String {
    match closest(name, names.clone()) {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("there are {}", names.collect::<Vec<_>>().join(", ")),
    }
}

/// Returns a problem such as `a text: write true or false` if the value is not of this kind. Does
/// not show the value, which may be a secret.
fn wrong_kind(node: &Node, kind: KeyKind, accepts: &str) -> Option<String> {
    let is_text = |node: &Node| matches!(node.value, FileValue::Text(_));
    let is_accepted = match (&node.value, kind) {
        (
            FileValue::Text(text),
            KeyKind::Integer | KeyKind::Number | KeyKind::Bool | KeyKind::List,
        ) => is_single_reference(text),
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
    (!is_accepted).then(|| format!("{}: write {}", kind_of(node), accepted(kind, accepts)))
}

/// Returns the end of an error: what to write for a value of this kind.
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

//! Options that rename, omit or add parts of a line, such as the level.
//!
//! A *part* is a member of the line that is not a field. The changes are made once, in a copy of
//! the format's [`FormatTable`]. The encoder reads only this copy, so a changed part costs a line
//! nothing.
//!
//! An option names a part by its key in the format, or by its key in `json`. If the format has
//! another key, the name from `json` refers to the members whose values depend on the same input:
//! `level` refers to the first member that differs between two levels.

use spanwise_core::internal::sync::Mutex;

use crate::{
    Format,
    builder::{Options, ServiceNames},
    escape,
    format_table::{
        EventLevel, FormatTable, Layout, MessageKey, Part, PartInputs, Style, ThreadKeys, host,
        process_id,
    },
    name_limits::limit_name,
};

/// The result of [`resolve`].
pub(crate) struct Resolved {
    /// The options, with the table of the layer.
    pub(crate) options: Options,
    /// A message for each change that was not made, because the format does not allow it.
    pub(crate) problems: Vec<String>,
}

/// Returns the message for a `word` that gives a part or a field a key that another part has.
pub(crate) fn taken_key_problem(word: &str, key: &str) -> String {
    format!(
        "`{word}`: `{key}` is already a key of the line: omit or rename that one, or choose another name"
    )
}

/// The keys of parts, each with its new key. `None` omits the part.
type Changes = Vec<(&'static str, Option<String>)>;

/// Applies the options that rename, omit or add parts.
pub(crate) fn resolve(requested: &Options) -> Resolved {
    let format = &requested.format;
    let mut resolved = Resolved {
        options: requested.clone(),
        problems: Vec::new(),
    };
    let base = format.table();
    let options = &mut resolved.options;
    options.table = base;
    if let Format::Custom(custom) = format
        && custom.code().is_some()
    {
        // The code receives the list of spans, and decides whether to show it.
        options.span_list = true;
        options.thread_id |= custom.has_thread_id();
    }
    let mut added_parts: Vec<Part> = Vec::new();
    for (word, is_shown, key, value) in [
        (
            "+host",
            options.host,
            base.process.host,
            host as fn(&PartInputs<'_>) -> _,
        ),
        ("+pid", options.pid, base.process.pid, process_id),
    ] {
        if !is_shown || member_keys(base).any(|other| other == key) {
            continue;
        }
        if keys(base).any(|other| other == key) {
            resolved.problems.push(format!(
                "`{word}`: `{key}` is already a key of `{format}`: remove the word"
            ));
            continue;
        }
        added_parts.push((key, value));
    }
    if requested.exclude.is_empty() && requested.rename.is_empty() && added_parts.is_empty() {
        return resolved;
    }
    let finder = PartFinder::new(base, &added_parts, requested);
    let mut changes = finder.omissions(&requested.exclude, &mut resolved.problems);
    changes.extend(finder.take_renames(&requested.rename, &mut resolved));
    refuse_omitted_and_renamed(&mut changes, &mut resolved.problems);
    finder.refuse_taken_keys(&mut changes, &mut resolved.problems);
    finder.keep_a_first_member(&mut changes, &mut resolved);
    omit_optional_parts(&mut resolved.options, base, &changes);
    resolved.options.table = changed_table(format, &added_parts, changes);
    resolved
}

/// Removes, and reports, the renames of parts that are also omitted.
fn refuse_omitted_and_renamed(changes: &mut Changes, problems: &mut Vec<String>) {
    let omitted = changes.iter().filter(|(_, to)| to.is_none());
    let omitted: Vec<&'static str> = omitted.map(|(key, _)| *key).collect();
    changes.retain(|(key, to)| {
        let Some(to) = to.as_ref().filter(|_| omitted.contains(key)) else {
            return true;
        };
        problems.push(format!(
            "`{key}>{to}`: `{key}` is omitted, too: write one of the two"
        ));
        false
    });
}

/// Switches off the optional parts that `changes` omit.
fn omit_optional_parts(options: &mut Options, base: &FormatTable, changes: &Changes) {
    let is_omitted = |key: &str| {
        changes
            .iter()
            .any(|(part, to)| *part == key && to.is_none())
    };
    if is_omitted(base.timestamp) {
        options.timestamp = None;
    }
    options.message &= !is_omitted(base.message.key);
    options.span_name &= !is_omitted(base.span);
    options.span_list &= !is_omitted(base.spans);
    options.thread_name &= !is_omitted(base.thread.name);
    options.thread_id &= !is_omitted(base.thread.id);
}

/// Returns the keys that lines with these options may have, besides those of fields.
pub(crate) fn shown_keys(options: &Options) -> impl Iterator<Item = String> {
    let table = options.table;
    let optional = [
        (options.timestamp.is_some(), table.timestamp),
        (options.message, table.message.key),
        (options.span_name, table.span),
        (options.span_list, table.spans),
        (
            options.thread_name || table.thread.always,
            table.thread.name,
        ),
        (options.thread_id, table.thread.id),
    ];
    let optional = optional.into_iter().filter(|(is_shown, _)| *is_shown);
    let members = [table.open, table.head, table.tail];
    let members = members.into_iter().flatten().map(|(key, _)| *key);
    let location = table.origin.iter().filter(|_| options.source_location);
    optional
        .map(|(_, key)| key)
        .chain(members)
        .chain(location.map(|(key, _)| *key))
        .chain(table.constants.iter().map(|(key, _)| *key))
        .chain(table.required.iter().copied())
        .map(str::to_owned)
        .chain(table.information())
}

/// Returns the key of an event's message, as a JSON string.
pub(crate) fn message_key(options: &Options) -> Vec<u8> {
    let table = options.table;
    let mut renames = options.rename.iter().rev();
    let key = match table.layout {
        Layout::Flat => table.message.key,
        // In a nested line, the message is a field among others.
        Layout::Nested => renames
            .find(|(from, _)| from == "message")
            .map_or(table.message.key, |(_, to)| to),
    };
    escape::quoted(&limit_name(key))
}

/// Finds the parts that a name refers to, by comparing the values that parts have for different
/// inputs. For example, the parts about the service differ between the options `plain` and `full`.
struct PartFinder<'a> {
    base: &'static FormatTable,
    /// The parts that the options add to the table: the host and the process id.
    added_parts: &'a [Part],
    /// Options without a service and without the source location.
    plain: Options,
    /// Options with a service and with the source location.
    full: Options,
}

impl<'a> PartFinder<'a> {
    fn new(base: &'static FormatTable, added_parts: &'a [Part], requested: &Options) -> Self {
        let plain = Options {
            source_location: false,
            target: true,
            service: ServiceNames::default(),
            ..requested.clone()
        };
        let name = Some("service".to_owned());
        let full = Options {
            source_location: true,
            service: ServiceNames {
                name: name.clone(),
                version: name.clone(),
                environment: name.clone(),
                node: name,
            },
            ..plain.clone()
        };
        Self {
            base,
            added_parts,
            plain,
            full,
        }
    }

    /// Returns the changes that omit the parts with these names.
    fn omissions(&self, names: &[String], problems: &mut Vec<String>) -> Changes {
        let mut changes = Changes::new();
        for name in names {
            let keys = self.keys_for_name(name);
            if keys.iter().any(|key| self.requires(key)) || self.requires(name) {
                problems.push(self.required_part_problem(&format!("-{name}"), name));
            } else {
                changes.extend(keys.into_iter().map(|key| (key, None)));
            }
        }
        changes
    }

    /// Returns the changes that rename parts. Removes them from `Options::rename`, so that only the
    /// renames of fields remain there.
    fn take_renames(&self, names: &[(String, String)], resolved: &mut Resolved) -> Changes {
        let base = self.base;
        let mut changes = Changes::new();
        for (from, to) in names {
            let part_to_rename = match self.keys_for_name(from)[..] {
                [key] => Some(key),
                // The first of the parts about the service is its name.
                [name, ..] if from == "service" => Some(name),
                _ => base.required.iter().copied().find(|key| key == from),
            };
            let Some(key) = part_to_rename else { continue };
            // In the nested layout, the message is a field among others.
            if base.layout == Layout::Nested && key == base.message.key {
                continue;
            }
            resolved.options.rename.retain(|(other, _)| other != from);
            if self.requires(key) {
                let word = format!("{from}>{to}");
                let problem = self.required_part_problem(&word, from);
                resolved.problems.push(problem);
            } else {
                changes.retain(|(other, _)| *other != key);
                changes.push((key, Some(part_key(base, to))));
            }
        }
        changes
    }

    fn requires(&self, key: &str) -> bool {
        self.base.required.contains(&key)
    }

    /// Returns the message for a `word` that changes a part that the format requires.
    fn required_part_problem(&self, word: &str, name: &str) -> String {
        let format = &self.plain.format;
        match format.decider_of_parts() {
            Some("the template") => format!(
                "`{word}`: the template decides about `{name}`: write the parts of the line in it"
            ),
            Some(author) => {
                format!("`{word}`: {author} of `{format}` decides about `{name}`: remove the word")
            }
            None => format!("`{word}`: `{format}` requires `{name}`: remove the word"),
        }
    }

    /// Removes, and reports, the renames that would give two parts the same key.
    fn refuse_taken_keys(&self, changes: &mut Changes, problems: &mut Vec<String>) {
        loop {
            let is_taken = |(part, to): &(&'static str, Option<String>)| {
                to.as_deref()
                    .is_some_and(|to| self.is_taken(to, part, changes))
            };
            let Some(at) = changes.iter().rposition(is_taken) else {
                return;
            };
            if let (part, Some(to)) = changes.remove(at) {
                problems.push(taken_key_problem(&format!("{part}>{to}"), &to));
            }
        }
    }

    /// If `changes` omits all members in front of the fields, keeps them, and reports a problem. A
    /// flat line needs such a member, because its brace replaces the comma of the first one.
    fn keep_a_first_member(&self, changes: &mut Changes, resolved: &mut Resolved) {
        let base = self.base;
        let stays = |key: &str| {
            !changes
                .iter()
                .any(|(part, to)| *part == key && to.is_none())
        };
        let has_time = resolved.options.timestamp.is_some() && stays(base.timestamp);
        let inputs = inputs(&resolved.options);
        let mut first = base.parts().filter(|(key, _)| stays(key));
        let has_first = has_time || first.any(|(_, value)| value(&inputs).is_some());
        if has_first || base.layout == Layout::Nested {
            return;
        }
        changes.retain(|(key, to)| to.is_some() || base.parts().all(|(part, _)| part != key));
        let problem =
            "`-level`: a line begins with its time, its level or its target: keep one of them";
        resolved.problems.push(problem.to_owned());
    }

    /// Returns the keys of the parts that `name` refers to.
    fn keys_for_name(&self, name: &str) -> Vec<&'static str> {
        let table = self.base;
        let first = |keys: Vec<&'static str>| keys.into_iter().take(1).collect();
        match name {
            "service" => return self.service_keys(),
            "location" => return self.location_keys(&["file", "line"]),
            _ => {}
        }
        if let Some(key) = self.keys().find(|key| *key == name) {
            return vec![key];
        }
        let plain = inputs(&self.plain);
        match name {
            "timestamp" => vec![table.timestamp],
            "message" => vec![table.message.key],
            "span" => vec![table.span],
            "spans" => vec![table.spans],
            "thread" | "thread_name" => vec![table.thread.name],
            "thread_id" => vec![table.thread.id],
            "level" => first(self.differing_keys(
                &plain,
                &PartInputs {
                    level: EventLevel::Warn,
                    ..plain
                },
            )),
            "target" => first(self.differing_keys(
                &plain,
                &PartInputs {
                    target: "other",
                    ..plain
                },
            )),
            "file" | "line" => first(self.location_keys(&[name])),
            "host" => self
                .keys()
                .filter(|key| *key == table.process.host)
                .collect(),
            "pid" => self
                .keys()
                .filter(|key| *key == table.process.pid)
                .collect(),
            _ => Vec::new(),
        }
    }

    fn service_keys(&self) -> Vec<&'static str> {
        self.differing_keys(&inputs(&self.plain), &inputs(&self.full))
    }

    /// Returns the keys of the members that show the source file, the line, or both, as `selected`
    /// names them.
    fn location_keys(&self, selected: &[&str]) -> Vec<&'static str> {
        let here = PartInputs {
            file: Some("file"),
            line: Some(1),
            ..inputs(&self.full)
        };
        let elsewhere = PartInputs {
            file: if selected.contains(&"file") {
                Some("other")
            } else {
                here.file
            },
            line: if selected.contains(&"line") {
                Some(2)
            } else {
                here.line
            },
            ..here
        };
        self.differing_keys(&here, &elsewhere)
    }

    /// Returns the keys of the members whose values differ between the two inputs, in the order of
    /// the line.
    fn differing_keys(
        &self,
        inputs: &PartInputs<'_>,
        others: &PartInputs<'_>,
    ) -> Vec<&'static str> {
        let differs = |(_, value): &&Part| value(inputs) != value(others);
        let parts = members(self.base).filter(differs);
        parts.map(|(key, _)| *key).collect()
    }

    fn keys(&self) -> impl Iterator<Item = &'static str> {
        let added_keys = self.added_parts.iter().map(|(key, _)| *key);
        keys(self.base).chain(added_keys)
    }

    /// Returns whether `part` cannot get the new key `key`, because another part has it, or because
    /// the format has it for one field.
    fn is_taken(&self, key: &str, part: &str, changes: &Changes) -> bool {
        let is_changed = |other: &str| changes.iter().any(|(key, _)| *key == other);
        let mut others = self
            .keys()
            .filter(|other| *other != part && !is_changed(other));
        let mut other_changes = changes.iter().filter(|(other, _)| *other != part);
        others.any(|other| other == key)
            || other_changes.any(|(_, to)| to.as_deref() == Some(key))
            || self.base.information().any(|other| other == key)
            || self.base.required.contains(&key)
            || self.base.is_place(key)
    }
}

fn inputs(options: &Options) -> PartInputs<'_> {
    PartInputs {
        options,
        level: EventLevel::Info,
        target: "target",
        file: None,
        line: None,
    }
}

/// Returns the parts that have a value in the table. Others, such as the message, only have a key.
fn members(table: &'static FormatTable) -> impl Iterator<Item = &'static Part> {
    let members = [table.open, table.head, table.origin, table.tail];
    members.into_iter().flatten()
}

fn member_keys(table: &'static FormatTable) -> impl Iterator<Item = &'static str> {
    members(table).map(|(key, _)| *key)
}

/// Returns the keys of all parts, shown or not.
fn keys(table: &'static FormatTable) -> impl Iterator<Item = &'static str> {
    let single_keys = [
        table.timestamp,
        table.message.key,
        table.span,
        table.spans,
        table.thread.name,
        table.thread.id,
    ];
    let constants = table.constants.iter().map(|(key, _)| *key);
    let keys = single_keys.into_iter().chain(member_keys(table));
    keys.chain(constants)
}

/// Returns the new key of a part as the format spells it. GELF adds an underscore, unless the name
/// already begins with one.
fn part_key(table: &FormatTable, name: &str) -> String {
    let key = match table.style {
        Style::Scalar => table.spell(name.strip_prefix('_').unwrap_or(name)),
        Style::Words => table.spell(name),
        Style::Json | Style::Labels => name.to_owned(),
    };
    limit_name(&key).into_owned()
}

/// All changed tables. They are never freed, because layers and plans have `&'static` references to
/// tables. A process has few.
static CHANGED_TABLES: Mutex<Vec<ChangedTable>> = Mutex::new(Vec::new());

struct ChangedTable {
    format: Format,
    added_keys: Vec<&'static str>,
    changes: Changes,
    table: &'static FormatTable,
}

/// Returns the table of a format with these added parts and changes. Makes each table only once.
fn changed_table(format: &Format, added_parts: &[Part], changes: Changes) -> &'static FormatTable {
    let base = format.table();
    if added_parts.is_empty() && changes.is_empty() {
        return base;
    }
    let added_keys: Vec<&'static str> = added_parts.iter().map(|(key, _)| *key).collect();
    let mut tables = CHANGED_TABLES.lock();
    let is_same = |other: &&ChangedTable| {
        other.format == *format && other.added_keys == added_keys && other.changes == changes
    };
    if let Some(known) = tables.iter().find(is_same) {
        return known.table;
    }
    let table = Box::leak(Box::new(apply_changes(base, added_parts, &changes)));
    tables.push(ChangedTable {
        format: format.clone(),
        added_keys,
        changes,
        table,
    });
    table
}

/// Returns a copy of `base` with these added parts and changes.
fn apply_changes(
    base: &'static FormatTable,
    added_parts: &[Part],
    changes: &Changes,
) -> FormatTable {
    let change = |key: &'static str| {
        let mut changes = changes.iter();
        changes.find(|(part, _)| *part == key).map(|(_, to)| to)
    };
    // An omitted part that is only a key in the table, such as the message, keeps this key, so that
    // no field gets it by chance.
    let renamed = |key: &'static str| match change(key) {
        Some(Some(to)) => &*to.clone().leak(),
        Some(None) | None => key,
    };
    let is_kept = |key: &'static str| change(key).is_none_or(Option::is_some);
    let parts = |parts: &[Part]| -> &'static [Part] {
        let kept = parts.iter().filter(|(key, _)| is_kept(key));
        let parts: Vec<Part> = kept.map(|(key, value)| (renamed(key), *value)).collect();
        parts.leak()
    };
    let constants = base.constants.iter().filter(|(key, _)| is_kept(key));
    let constants: Vec<_> = constants.map(|(key, json)| (renamed(key), *json)).collect();
    FormatTable {
        open: parts(base.open),
        timestamp: renamed(base.timestamp),
        head: parts(base.head),
        message: MessageKey {
            key: renamed(base.message.key),
            missing: base.message.missing.filter(|_| is_kept(base.message.key)),
            ..base.message
        },
        span: renamed(base.span),
        spans: renamed(base.spans),
        origin: parts(base.origin),
        thread: ThreadKeys {
            name: renamed(base.thread.name),
            id: renamed(base.thread.id),
            always: base.thread.always && is_kept(base.thread.name),
        },
        tail: parts(&[base.tail, added_parts].concat()),
        dimension: base.dimension.filter(|key| is_kept(key)).map(renamed),
        constants: constants.leak(),
        ..*base
    }
}

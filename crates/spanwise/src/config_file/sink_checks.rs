//! Checks of sinks: keys that the kind does not have, keys without an effect, too many sinks, two
//! sinks for one file or exporter, and variables for sinks that a later release will have.

use spanwise_core::Setting;

use super::{
    MAX_SINKS,
    check::joined,
    key_row::Sinks,
    keys::{KEYS, RESERVED_VARIABLES, SINK_KINDS, otel_key, otel_settings},
    read_sinks::{PlacedSink, SinkReader},
    syntax::Table,
};
use crate::{
    file_paths,
    settings::{LOG_OUTPUT, SETTINGS},
    sink_settings::{SinkKind, SinkSettings},
};

impl SinkReader<'_, '_> {
    /// Reports keys that the kind of the sink does not have.
    pub(super) fn check_keys(&mut self, table: &Table, kind: &SinkKind, path: &str) {
        let kind = match kind {
            SinkKind::Stdout => "stdout",
            SinkKind::Stderr => "stderr",
            SinkKind::File(_) => "file",
            // A sink that was switched to the kind `none` may still have the keys of its old kind.
            SinkKind::None | SinkKind::Code => return,
            SinkKind::Exporter(kind) => kind,
        };
        let otel_keys: Vec<_> = otel_settings()
            .iter()
            .filter_map(|def| otel_key(def.name))
            .collect();
        for entry in &table.0 {
            let key = KEYS
                .iter()
                .find(|key| key.path == format!("sink.*.{}", entry.key));
            let is_otel = otel_keys.contains(&entry.key) && kind == "otlp";
            let sinks = match key {
                Some(key) => key.sinks,
                None if otel_keys.contains(&entry.key) => Sinks::Otlp,
                None => continue,
            };
            if !sinks.contain(kind) && !is_otel {
                let path = joined(path, &entry.key);
                let problem = format!(
                    "{path} is not a setting of the kind {kind}, but of {}",
                    sinks.name()
                );
                self.reader.add_problem(&entry.place, problem);
            }
        }
    }

    /// Reports keys that have no effect because of another key of the same table. A key may be
    /// intended, and is not reported, if the other key comes from another file, a profile or a
    /// variable.
    pub(super) fn check_effect(&mut self, table: &Table, sink: &SinkSettings, path: &str) {
        // Returns the place of `key`, and the text of `other_key`, if both are in the same table of
        // the same file.
        let in_one_table = |key: &str, other_key: &str| {
            let (entry, other) = (table.entry(key)?, table.entry(other_key)?);
            let is_same_table =
                entry.place.file == other.place.file && entry.place.profile == other.place.profile;
            is_same_table.then(|| (entry.place.clone(), other.node.text().unwrap_or_default()))
        };
        let is_format = |name: &str| sink.format.name() == name;
        let max_line = in_one_table("max_line", "format");
        if let Some((place, _)) = max_line.filter(|(_, name)| is_format(name))
            && sink.format.is_human_readable()
        {
            let problem = format!(
                "{path}.max_line has no effect with `{}`: remove it",
                sink.format.name()
            );
            self.reader.add_problem(&place, problem);
        }
        if let Some((place, _)) = in_one_table("buffer", "background")
            && sink.background == Some(false)
        {
            let problem =
                format!("{path}.buffer has no effect without a background thread: remove it");
            self.reader.add_problem(&place, problem);
        }
    }

    /// Reports problems that involve several sinks: too many sinks, and two for one file or
    /// exporter.
    pub(super) fn check_together(&mut self, sinks: &[PlacedSink]) {
        let merged = self.reader.merged;
        if sinks.len() > MAX_SINKS
            && let Some((_, Some(place))) = sinks.get(MAX_SINKS)
        {
            let count = sinks.len();
            let problem = format!("there are {count} sinks: write at most {MAX_SINKS}");
            self.reader.add_problem(place, problem);
        }
        for (index, (sink, place)) in sinks.iter().enumerate() {
            let path = joined("sink", &sink.name);
            let Some(place) = place.as_ref().filter(|_| sink.enabled) else {
                continue;
            };
            let table = merged.root.table("sink").table(&sink.name);
            let earlier_sinks = &sinks[..index];
            match &sink.kind {
                SinkKind::File(file) => {
                    let is_same = |(other, _): &&PlacedSink| match &other.kind {
                        SinkKind::File(other) => file_paths::are_same(&other.path, &file.path),
                        _ => false,
                    };
                    if let Some((other, _)) = earlier_sinks.iter().find(is_same) {
                        let path_place = table.get("path").map_or(place, |node| &node.place);
                        let problem = format!(
                            "{path}.path is the file of the sink {}: give each its own",
                            other.name
                        );
                        self.reader.add_problem(path_place, problem);
                    }
                }
                SinkKind::Exporter(kind) => {
                    let is_same = |(other, _): &&PlacedSink| matches!(other.kind, SinkKind::Exporter(other) if other == *kind);
                    if let Some((other, _)) = earlier_sinks.iter().find(is_same) {
                        let problem = format!(
                            "{path} has the kind {kind}, as the sink {}: there can be one",
                            other.name
                        );
                        self.reader.add_problem(place, problem);
                    }
                }
                _ => {}
            }
        }
    }

    /// Reports variables for sinks that a later release will have.
    pub(super) fn check_reserved_variables(&mut self) {
        for def in reserved_settings() {
            if self.reader.choices.unchecked_text(&def).is_some() {
                let name = self.reader.choices.name_of(&def);
                self.reader.choices.add_invalid_value(format!(
                    "{name} is not available yet: available are {}",
                    SINK_KINDS.join(", ")
                ));
            }
        }
        debug_assert!(
            SETTINGS
                .iter()
                .all(|def| !RESERVED_VARIABLES.contains(&def.name))
        );
    }
}

/// Returns the definitions of the variables for sinks that a later release will have.
pub(crate) fn reserved_settings() -> impl Iterator<Item = Setting> {
    RESERVED_VARIABLES.into_iter().map(reserved_setting)
}

/// Returns the definition of a variable for a sink that a later release will have.
fn reserved_setting(name: &'static str) -> Setting {
    Setting {
        name,
        key: None,
        ..LOG_OUTPUT.def
    }
}

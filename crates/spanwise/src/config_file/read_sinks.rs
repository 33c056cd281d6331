//! Reads the tables `[sink.NAME]`, and the variables that change or add a sink.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use spanwise_appender::WhenFull;
use spanwise_core::{ParseError, Redact, TargetLevels, internal::suggest::closest};
use spanwise_json::{FieldList, Format};
use spanwise_redact::PolicyOverrides;
use tracing::level_filters::LevelFilter;

use super::{
    check::{advice, joined},
    keys::{RESERVED_KINDS, SINK_KINDS},
    merge::{self, kind_of_sink},
    named_formats::{NamedFormat, read_bytes, read_max_line, resolve_format},
    reader::{FileReader, suggested},
    sink_texts,
    syntax::{Node, Place, Table},
};
use crate::{
    Color, Output, Preset,
    choices::Choices,
    field_options::{self, ListContext},
    file_options::FileOptions,
    format_choice::RegisteredFormat,
    level_options::LevelOptions,
    output_options::{OutputOptions, shared_color},
    settings::{
        LOG_COLOR, LOG_ERROR_FILE, LOG_FIELDS, LOG_FILE, LOG_FILE_COMPRESS, LOG_FILE_KEEP,
        LOG_FILE_ROTATE, LOG_FORMAT, LOG_OUTPUT, LOG_SAMPLE, SENTRY_DSN,
    },
    sink_settings::{SinkKind, SinkRedaction, SinkSettings},
    static_fields::StaticFields,
};

/// The settings of the whole program that sinks inherit or depend on.
pub(crate) struct Program<'a> {
    pub(crate) lines: &'a OutputOptions,
    pub(crate) files: &'a FileOptions,
    /// The formats that the program registers.
    pub(crate) registered: &'a [RegisteredFormat],
    /// The names of the filters that the program registers.
    pub(crate) code_filters: &'a [String],
    /// The formats of the file.
    pub(crate) formats: &'a [NamedFormat],
    pub(crate) static_fields: &'a StaticFields,
    pub(crate) context: &'a [String],
    pub(crate) policy: Option<&'a Arc<dyn Redact>>,
    /// Whether sinks can change the policy. They cannot if it is off or set in code.
    pub(crate) changes_redaction: bool,
    pub(crate) levels: &'a LevelOptions,
    pub(crate) verbosity: i8,
    /// Whether code names the configuration file.
    pub(crate) is_in_code: bool,
}

/// Reads sinks. A method with the name of a key reads this key, and reports an invalid value.
pub(super) struct SinkReader<'a, 'c> {
    pub(super) reader: FileReader<'a, 'c>,
    pub(super) program: &'a Program<'a>,
}

/// A sink, with the place of its table if it has one.
pub(super) type PlacedSink = (SinkSettings, Option<Place>);

impl SinkReader<'_, '_> {
    /// Reads all sinks: those that no file defines, those in the files, and the disabled ones.
    pub(super) fn sinks(&mut self, filters: &[&str]) -> Vec<PlacedSink> {
        let merged = self.reader.merged;
        let mut sinks: Vec<PlacedSink> = Vec::new();
        for name in self.sinks_outside_file() {
            let shown_name = match name {
                "file" => self.reader.choices.name_of(&LOG_FILE.def),
                "error_file" => self.reader.choices.name_of(&LOG_ERROR_FILE.def),
                "main" => self.reader.choices.name_of(&LOG_OUTPUT.def),
                other => other.to_owned(),
            };
            let kind = self.kind(name, &Table::default(), None, "");
            if let Some(kind) = kind {
                let table = Table::default();
                sinks.push((self.sink(name, shown_name, kind, &table, filters), None));
            }
        }
        for entry in &merged.root.table("sink").0 {
            let Some(table) = entry.node.table() else {
                continue;
            };
            let path = joined("sink", &entry.key);
            // Disabled sinks are not in this table. The call only reports an invalid value.
            let _ = self.reader.bool(table, "enabled", &path);
            if let Some(kind) = self.kind(&entry.key, table, Some(&entry.place), &path) {
                self.check_keys(table, &kind, &path);
                let shown_name = self.shown_name(&entry.key, &kind, table, &entry.place, &path);
                let sink = self.sink(&entry.key, shown_name, kind, table, filters);
                self.check_effect(table, &sink, &path);
                sinks.push((sink, Some(entry.place.clone())));
            } else if !kind_of_sink(&entry.key, table).is_some_and(is_reserved) {
                // The result is not used. The call only reports the problems of the other keys.
                let shown_name = format!("{}: {path}", entry.place);
                self.sink(&entry.key, shown_name, SinkKind::None, table, filters);
            }
        }
        for (name, table, place) in &merged.disabled {
            if sinks.iter().any(|(sink, _)| sink.name == *name) {
                continue;
            }
            let path = joined("sink", name);
            let is_disabled_by_profile = place.profile.is_some() && table.get("enabled").is_some();
            if is_disabled_by_profile && table.0.len() == 1 && kind_of_sink(name, table).is_none() {
                let known = sinks.iter().map(|(sink, _)| &*sink.name);
                let sinks = suggested(name, known);
                let problem = format!("{path} is switched off, and no file defines it: {sinks}");
                self.reader.add_problem(place, problem);
                continue;
            }
            let shown_name = format!("{place}: {path}");
            let kind = match kind_of_sink(name, table) {
                Some("sentry") => SinkKind::Exporter("sentry"),
                Some("otlp") => SinkKind::Exporter("otlp"),
                _ => SinkKind::None,
            };
            let mut sink = self.sink(name, shown_name, kind, &Table::default(), filters);
            sink.enabled = false;
            sinks.push((sink, Some(place.clone())));
        }
        self.check_together(&sinks);
        sinks
    }

    /// Returns the name of a sink in errors. For a file, it is the variable or key of its path.
    fn shown_name(
        &self,
        name: &str,
        kind: &SinkKind,
        table: &Table,
        place: &Place,
        path: &str,
    ) -> String {
        match (kind, name, table.get("path")) {
            (SinkKind::File(_), "file", _) => self.reader.choices.shown_name(&LOG_FILE.def),
            (SinkKind::File(_), "error_file", _) => {
                self.reader.choices.shown_name(&LOG_ERROR_FILE.def)
            }
            (SinkKind::File(_), _, Some(node)) => format!("{}: {path}.path", node.place),
            _ => format!("{place}: {path}"),
        }
    }

    /// Returns the names of the sinks that no file defines, but that code, variables or the preset
    /// add.
    fn sinks_outside_file(&self) -> Vec<&'static str> {
        let merged = self.reader.merged;
        let choices = &*self.reader.choices;
        let in_file = |name: &str| merged.root.table("sink").get(name).is_some();
        let lines = self.program.lines;
        let is_output_set = choices.is_set(&LOG_OUTPUT) && lines.output != Output::None;
        let has_main = lines.has_writer || is_output_set || !merged.defines_line_sinks();
        let files = self.program.files;
        let reads_variables = choices.preset != Preset::Test;
        let is_sentry_set = cfg!(feature = "sentry") && choices.is_set(&SENTRY_DSN);
        let candidates = [
            ("main", has_main),
            ("file", files.file.is_some()),
            ("error_file", files.error_file.is_some()),
            (
                "sentry",
                is_sentry_set && merged.name_of_kind("sentry").is_none(),
            ),
            (
                "otlp",
                reads_variables && merged.name_of_kind("otlp").is_none() && exports(choices),
            ),
        ];
        let added = candidates
            .into_iter()
            .filter(|(name, is_added)| *is_added && !in_file(name));
        added.map(|(name, _)| name).collect()
    }

    fn sink(
        &mut self,
        name: &str,
        shown_name: String,
        kind: SinkKind,
        table: &Table,
        filters: &[&str],
    ) -> SinkSettings {
        let path = joined("sink", name);
        let (format, fields, max_field, max_line) = self.rendering(name, table, &path);
        let about = format!("the sink {name}");
        SinkSettings {
            format,
            fields,
            max_field,
            max_line,
            color: self.color(name, &kind, table, &path),
            level: self.level(name, table, &path),
            filters: self.reader.filter_names(table, &about, filters),
            sampler: self.reader.setting(&LOG_SAMPLE, table, "sample", &path),
            recorder: self.reader.bool(table, "recorder", &path).unwrap_or(true),
            redaction: self.redaction(table, &path),
            background: self.reader.bool(table, "background", &path),
            buffer: read_bytes(&mut self.reader, table, "buffer", &path),
            when_full: self.when_full(table, &path),
            fallback: self.fallback(table, &path),
            name: name.to_owned(),
            shown_name,
            kind,
            bit: 0,
            enabled: true,
        }
    }

    /// Returns the kind of a sink, with the options of that kind. Returns `None` if the sink cannot
    /// be built, for example because the kind is unknown.
    fn kind(
        &mut self,
        name: &str,
        table: &Table,
        place: Option<&Place>,
        path: &str,
    ) -> Option<SinkKind> {
        let Some(kind) = kind_of_sink(name, table) else {
            if name == "main" {
                return Some(self.main_kind());
            }
            if let Some(place) = place.filter(|_| table.get("kind").is_none()) {
                let problem = match table.get("path") {
                    Some(_) => "has a path and no kind: add kind = \"file\"",
                    None => {
                        "has no kind: add kind = \"stdout\", or another of stderr, file, sentry, \
                         otlp, none"
                    }
                };
                self.reader.add_problem(place, format!("{path} {problem}"));
            }
            return None;
        };
        // The kind that the name implies.
        let expected = match name {
            "file" | "error_file" => Some("file"),
            "sentry" | "otlp" => Some(name),
            _ => None,
        };
        let is_wrong = match name {
            "main" => !["stdout", "stderr", "none"].contains(&kind),
            _ => expected.is_some_and(|expected| expected != kind && kind != "none"),
        };
        let kind_place = table.get("kind").map(|node| node.place.clone());
        if let Some(place) = kind_place
            && (is_wrong || !SINK_KINDS.contains(&kind))
        {
            let shown = crate::conceal::shown(kind);
            let problem = match (is_reserved(kind), expected) {
                (true, _) => format!(
                    "{path}.kind={shown} is not available yet: available are {}",
                    SINK_KINDS.join(", ")
                ),
                (false, Some(expected)) => format!(
                    "{path}.kind={shown}: a sink of this name has the kind {expected}; choose \
                     another name"
                ),
                (false, None) if name == "main" => {
                    let accepted = ["stdout", "stderr", "none"];
                    let meant = closest(kind, accepted)
                        .map(|meant| format!("did you mean {meant}? "))
                        .unwrap_or_default();
                    format!("{path}.kind={shown}: {meant}accepts stdout, stderr, none")
                }
                (false, None) => {
                    let advice = advice(kind, SINK_KINDS.into_iter());
                    format!("{path}.kind={shown} is unknown: {advice}")
                }
            };
            self.reader.add_problem(&place, problem);
            return None;
        }
        match kind {
            "stdout" | "stderr" | "none" if name == "main" => Some(self.main_kind()),
            "stdout" => Some(SinkKind::Stdout),
            "stderr" => Some(SinkKind::Stderr),
            "none" => Some(SinkKind::None),
            "file" => self.file(name, table, place, path),
            "sentry" => self.exporter("sentry", cfg!(feature = "sentry"), table, place, path),
            _ => self.exporter("otlp", cfg!(feature = "otel"), table, place, path),
        }
    }

    /// Returns the kind of the sink `main`, which the setting `LOG_OUTPUT` has chosen.
    fn main_kind(&self) -> SinkKind {
        match self.program.lines.output {
            Output::Stdout => SinkKind::Stdout,
            Output::Stderr | Output::TestHarness => SinkKind::Stderr,
            Output::None => SinkKind::None,
        }
    }

    /// Returns the kind of an exporter. Reports a missing feature or address of a sink in a file.
    /// `place` is `None` for a sink that a variable adds.
    fn exporter(
        &mut self,
        kind: &'static str,
        is_built: bool,
        table: &Table,
        place: Option<&Place>,
        path: &str,
    ) -> Option<SinkKind> {
        let Some(place) = place else {
            return Some(SinkKind::Exporter(kind));
        };
        if !is_built {
            let feature = if kind == "otlp" { "otel" } else { kind };
            self.reader.add_problem(
                place,
                format!(
                    "{path} needs the feature `{feature}` of `spanwise`: add it, or remove the sink"
                ),
            );
            return None;
        }
        let choices = &*self.reader.choices;
        let (is_set, key, variable) = match kind {
            "sentry" => (choices.is_set(&SENTRY_DSN), "dsn", "SENTRY_DSN"),
            _ => (exports(choices), "endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        };
        // An empty address is not a problem, because it switches the sink off.
        if !is_set && table.get(key).is_none() && choices.preset != Preset::Test {
            let problem = format!("{path} has no {key}: add one, or set {variable}");
            self.reader.add_problem(place, problem);
        }
        Some(SinkKind::Exporter(kind))
    }

    /// Returns the kind of a file sink, with its path and options.
    fn file(
        &mut self,
        name: &str,
        table: &Table,
        place: Option<&Place>,
        path: &str,
    ) -> Option<SinkKind> {
        let reader = &mut self.reader;
        let files = self.program.files;
        // The path that a setting or code has chosen.
        let chosen_file = match name {
            "file" => files.file.clone(),
            "error_file" => files.error_file.clone(),
            _ => None,
        };
        let is_chosen = chosen_file.is_some();
        let path_in_table = table.get("path").and_then(|node| node.text());
        let path_in_table = path_in_table
            .map(|path| path.trim().to_owned())
            .filter(|path| !path.is_empty());
        let file = chosen_file.or_else(|| path_in_table.map(PathBuf::from));
        let rotation = reader.setting(&LOG_FILE_ROTATE, table, "rotate", path);
        let retention = reader.setting(&LOG_FILE_KEEP, table, "keep", path);
        let compression = reader.setting(&LOG_FILE_COMPRESS, table, "compress", path);
        let mode = reader.parsed(table, "mode", path, sink_texts::mode);
        let per_process = reader.bool(table, "per_process", path);
        let options = FileOptions::for_sink(rotation, retention, compression, per_process);
        // Settings such as `LOG_FILE_KEEP` apply to two sinks. They override the table of `file`,
        // and are defaults for `error_file`.
        let options = match name {
            "file" => files.or(&options),
            "error_file" => options.or(files),
            _ => options,
        };
        let Some(file) = file else {
            if let Some(place) = place
                && !self.is_missing_path_expected(name, table)
            {
                let problem =
                    format!("{path} has no path: add path = \"/var/log/shop/{name}.log\"");
                self.reader.add_problem(place, problem);
            }
            return None;
        };
        if !is_chosen && let Some(node) = table.get("path") {
            let shown = format!("{}: {path}.path", node.place);
            if let Some(problem) = options.path_problem(&shown, &file) {
                self.reader.choices.add_invalid_value(problem);
            }
            self.explain_path(name, node, &file);
        }
        Some(SinkKind::File(options.into_settings(file, mode)))
    }

    /// Shows the path of the sinks `file` and `error_file` in `explain()`, if code names the
    /// configuration file and the preset `test` ignores the settings of these paths.
    fn explain_path(&mut self, name: &str, node: &Node, path: &Path) {
        let def = match name {
            "file" => &LOG_FILE.def,
            "error_file" => &LOG_ERROR_FILE.def,
            _ => return,
        };
        if self.program.is_in_code {
            let shown = self.reader.choices.name_of(def);
            let origin = merge::origin(node, &format!("sink.{name}.path"));
            let choices = &mut self.reader.choices;
            choices.explain_instead(&shown, path.display(), &origin);
        }
    }

    /// Returns whether a missing path needs no report: because another problem explains it, such as
    /// a variable that is not set, or because the preset `test` ignores the paths of the sinks
    /// `file` and `error_file`.
    fn is_missing_path_expected(&self, name: &str, table: &Table) -> bool {
        let has_problem = table.get("path").is_some_and(|node| {
            node.text().is_none() || self.reader.merged.has_reference_problem(node)
        });
        has_problem
            || matches!(name, "file" | "error_file") && self.reader.choices.preset == Preset::Test
    }

    /// Returns the format, the fields, and the maximum lengths of a value and of a line.
    fn rendering(
        &mut self,
        name: &str,
        table: &Table,
        path: &str,
    ) -> (Format, FieldList, Option<usize>, Option<usize>) {
        let reader = &mut self.reader;
        let lines = self.program.lines;
        let max_line = match name {
            "main" => lines.max_line,
            _ => read_max_line(reader, table, path),
        };
        // The setting `LOG_FORMAT` has already chosen the format of `main`, which sinks without a
        // format inherit with its options.
        let own_format = table.get("format").filter(|_| name != "main");
        let own_format = own_format.and_then(|node| {
            let choice = reader.setting(&LOG_FORMAT, table, "format", path)?;
            let format_name = choice.name().to_owned();
            let origin = merge::origin(node, &format!("{path}.format"));
            let file_formats = self.program.formats.iter().map(NamedFormat::registered);
            let all_formats: Vec<_> = self
                .program
                .registered
                .iter()
                .cloned()
                .chain(file_formats)
                .collect();
            let format = resolve_format(reader, choice, origin, &all_formats)?;
            let named = NamedFormat::find(self.program.formats, &format_name, &format);
            Some((format, named))
        });
        let named = own_format.as_ref().and_then(|(_, named)| *named);
        let (max_field, inherited_max_line) = match &own_format {
            Some(_) => (
                named.and_then(|named| named.max_field),
                named.and_then(|named| named.max_line),
            ),
            None => (lines.max_field, lines.max_line),
        };
        let max_line = max_line.or(inherited_max_line);
        // The setting `LOG_FIELDS` has already read the fields of `main`.
        let own_fields = match table.get("fields").filter(|_| name != "main") {
            Some(node) => reader
                .setting(&LOG_FIELDS, table, "fields", path)
                .map(|list| (list, format!("{}: {path}.fields", node.place))),
            None => None,
        };
        let inherits_format = own_format.is_none();
        let format = own_format.map_or_else(|| lines.format.clone(), |(format, _)| format);
        let fields = match (own_fields, named) {
            (Some((list, shown)), _) => self.checked_fields(&list, &shown, &format),
            (None, Some(named)) => self.checked_fields(&named.fields, &named.fields_name, &format),
            (None, None) if inherits_format => lines.fields.clone(),
            (None, None) => FieldList::default(),
        };
        (format, fields, max_field, max_line)
    }

    fn checked_fields(&mut self, list: &FieldList, shown: &str, format: &Format) -> FieldList {
        let context = ListContext {
            format,
            static_fields: self.program.static_fields,
            context: self.program.context,
            policy: self.program.policy,
        };
        let (list, problems) = field_options::check(list, shown, &context, true);
        for problem in problems {
            self.reader.choices.add_problem(problem);
        }
        list
    }

    fn color(&mut self, name: &str, kind: &SinkKind, table: &Table, path: &str) -> Color {
        if name == "main" {
            return self.program.lines.color;
        }
        if !matches!(kind, SinkKind::Stdout | SinkKind::Stderr) {
            return Color::Never;
        }
        let set = self.reader.setting(&LOG_COLOR, table, "color", path);
        match set.unwrap_or_default() {
            Color::Auto => shared_color(self.reader.choices).map_or(Color::Auto, |set| set.value),
            color => color,
        }
    }

    fn level(&mut self, name: &str, table: &Table, path: &str) -> TargetLevels {
        let by_variable = match name {
            "main" => self.program.lines.level,
            "file" => self.program.files.level,
            _ => None,
        };
        let default = match name {
            "error_file" => LevelFilter::ERROR,
            _ => LevelFilter::TRACE,
        };
        // The key is read even if a variable overrides it, so that its mistakes are reported.
        let levels = self.reader.parsed(table, "level", path, |text| {
            sink_texts::levels(text, default)
        });
        let by_variable = by_variable.map(TargetLevels::from);
        by_variable.or(levels).unwrap_or_else(|| default.into())
    }

    fn redaction(&mut self, table: &Table, path: &str) -> SinkRedaction {
        let redaction = self
            .reader
            .parsed(table, "redact", path, |text| match text {
                "inherit" => Ok(SinkRedaction::Inherited),
                "insecure_off" => Ok(SinkRedaction::Off),
                _ => {
                    let overrides: PolicyOverrides = text.parse()?;
                    if overrides.is_off() {
                        let hint = "write insecure_off, which names the risk";
                        return Err(ParseError::word(text, "shows secrets", hint));
                    }
                    Ok(SinkRedaction::Changed(overrides))
                }
            });
        let redaction = redaction.unwrap_or_default();
        if matches!(redaction, SinkRedaction::Changed(_))
            && !self.program.changes_redaction
            && let Some(node) = table.get("redact")
        {
            let reason = match self.program.policy {
                None => "redaction is off: switch it on, or remove the key",
                Some(_) => "the policy is in code: change it there, or remove the key",
            };
            let place = &node.place;
            self.reader.choices.add_problem(format!(
                "{place}: {path}.redact has no effect, because {reason}"
            ));
        }
        redaction
    }

    fn when_full(&mut self, table: &Table, path: &str) -> WhenFull {
        let set = self
            .reader
            .parsed(table, "when_full", path, sink_texts::when_full);
        set.unwrap_or(self.program.lines.when_full)
    }

    fn fallback(&mut self, table: &Table, path: &str) -> Vec<String> {
        let names = self.reader.names(table, "fallback").unwrap_or_default();
        for (name, place) in names.iter().filter(|(name, _)| name != "stderr") {
            let problem = format!("{path}.fallback names {name:?}: only stderr is available yet");
            self.reader.add_problem(place, problem);
        }
        names.into_iter().map(|(name, _)| name).collect()
    }
}

/// Returns whether only a later release will have this kind of sink.
fn is_reserved(kind: &str) -> bool {
    RESERVED_KINDS.contains(&kind)
}

/// Returns whether a setting enables an export over OTLP.
fn exports(choices: &Choices<'_>) -> bool {
    #[cfg(feature = "otel")]
    return spanwise_otel::OtelSetting::all().any(|setting| {
        let text = choices.unchecked_text(&setting.def);
        text.is_some_and(|text| setting.enables(&text))
    });
    #[cfg(not(feature = "otel"))]
    {
        let _ = choices;
        false
    }
}

//! Reads the tables `[format.NAME]`. Each defines a format with changes, or a template, which sinks
//! use by its name.

use std::sync::Arc;

use spanwise_appender::ByteSize;
use spanwise_core::{ParseError, Redact};
use spanwise_json::{FieldList, Format, JsonLayer};

use super::{merge::Merged, reader::FileReader, syntax::Table};
use crate::{
    choices::Choices,
    explain::Origin,
    field_options::{self, ListContext},
    format_choice::{self, FormatChoice, RegisteredFormat},
    output_options::{OutputOptions, bytes_of},
    parse,
    settings::{LOG_FIELDS, LOG_FORMAT, LOG_MAX_LINE},
    static_fields::StaticFields,
};

/// A format that a table of the file defines.
#[derive(Debug, Clone)]
pub(crate) struct NamedFormat {
    pub(crate) name: String,
    pub(crate) format: Format,
    pub(crate) fields: FieldList,
    /// The place and path of `fields`, for errors.
    pub(crate) fields_name: String,
    /// The maximum length of the text of a value, in bytes.
    pub(crate) max_field: Option<usize>,
    /// The maximum length of a line, in bytes.
    pub(crate) max_line: Option<usize>,
}

impl NamedFormat {
    /// Returns the name and the format, as for a format that the program registers.
    pub(crate) fn registered(&self) -> RegisteredFormat {
        (self.name.clone(), self.format.clone())
    }

    /// Returns the format that the file defines by this name. The case of the name does not matter,
    /// as for registered formats. `format` is the format that the name selects. If it is another
    /// format, which the program has registered by this name, the result is `None`.
    pub(super) fn find<'f>(formats: &'f [Self], name: &str, format: &Format) -> Option<&'f Self> {
        let mut formats = formats.iter();
        let named = formats.find(|named| named.name.eq_ignore_ascii_case(name));
        named.filter(|named| named.format == *format)
    }
}

/// If `lines` uses a format that a file defines, applies the options in the table of the format.
/// Options of `lines` that a setting has set are kept.
pub(crate) fn complete_lines(
    lines: &mut OutputOptions,
    formats: &[NamedFormat],
    static_fields: &StaticFields,
    context: &[String],
    policy: Option<&Arc<dyn Redact>>,
    choices: &mut Choices<'_>,
) {
    let name = lines.format_name.as_deref();
    let named = name.and_then(|name| NamedFormat::find(formats, name, &lines.format));
    let Some(named) = named else {
        return;
    };
    lines.max_field = named.max_field;
    lines.max_line = lines.max_line.or(named.max_line);
    if lines.fields.is_empty() {
        let context = ListContext {
            format: &named.format,
            static_fields,
            context,
            policy,
        };
        let (list, problems) =
            field_options::check(&named.fields, &named.fields_name, &context, true);
        problems
            .into_iter()
            .for_each(|problem| choices.add_problem(problem));
        lines.fields = list;
    }
}

/// Reads the formats of a file. A base may be a format that the program registers.
pub(crate) fn named_formats(
    merged: &Merged,
    registered: &[RegisteredFormat],
    choices: &mut Choices<'_>,
) -> Vec<NamedFormat> {
    let mut reader = FileReader { merged, choices };
    let entries = &merged.root.table("format").0;
    let formats = entries.iter().enumerate().filter_map(|(index, entry)| {
        let table = entry.node.table()?;
        let name = &entry.key;
        let path = super::check::joined("format", name);
        let mut registered_names = registered.iter().map(|(name, _)| name);
        let is_registered = registered_names.any(|other| other.eq_ignore_ascii_case(name));
        if is_registered || name.parse::<Format>().is_ok() {
            let problem = format!("{path} is a format already: choose another name");
            reader.add_problem(&entry.place, problem);
        }
        let mut earlier = entries[..index].iter();
        if let Some(other) = earlier.find(|other| other.key.eq_ignore_ascii_case(name)) {
            let problem = format!(
                "{path} has the name of the format {}: rename one",
                other.key
            );
            reader.add_problem(&entry.place, problem);
        }
        let format = match (table.entry("base"), table.entry("template")) {
            (Some(_), Some(template)) => {
                let problem = format!("{path} has a base and a template: remove one of them");
                reader.add_problem(&template.place, problem);
                None
            }
            (_, Some(_)) => read_template(&mut reader, table, &path),
            (Some(_), None) => read_base(&mut reader, table, &path, registered),
            (None, None) => {
                let problem = format!("{path} has no base: add base = \"json\", or a template");
                reader.add_problem(&entry.place, problem);
                None
            }
        };
        let fields = reader.setting(&LOG_FIELDS, table, "fields", &path);
        let fields_place = table.get("fields").map(|node| node.place.to_string());
        Some(NamedFormat {
            name: name.clone(),
            // After an error, a default format takes its place, so that sinks that use it have no
            // further problems.
            format: format.unwrap_or_default(),
            fields: fields.unwrap_or_default(),
            fields_name: format!("{}: {path}.fields", fields_place.unwrap_or_default()),
            max_field: read_max_field(&mut reader, table, &path),
            max_line: read_max_line(&mut reader, table, &path),
        })
    });
    formats.collect()
}

/// Reads the format that a template describes.
fn read_template(reader: &mut FileReader<'_, '_>, table: &Table, path: &str) -> Option<Format> {
    reader.parsed(table, "template", path, |text| {
        format!("text:{text}").parse()
    })
}

/// Reads the format that `base` names.
fn read_base(
    reader: &mut FileReader<'_, '_>,
    table: &Table,
    path: &str,
    registered: &[RegisteredFormat],
) -> Option<Format> {
    let choice = reader.setting(&LOG_FORMAT, table, "base", path)?;
    let node = table.get("base")?;
    let origin = super::merge::origin(node, &format!("{path}.base"));
    resolve_format(reader, choice, origin, registered)
}

/// Returns the format that a choice names. An unknown name is a problem, unless the program later
/// registers a format by this name.
pub(super) fn resolve_format(
    reader: &mut FileReader<'_, '_>,
    choice: FormatChoice,
    origin: Origin,
    registered: &[RegisteredFormat],
) -> Option<Format> {
    let chosen = crate::choices::Chosen::new(choice, origin);
    match format_choice::resolve(&chosen, registered) {
        Ok(format) => Some(format),
        Err(problem) => {
            reader.choices.add_unregistered(problem);
            None
        }
    }
}

/// Reads the maximum length of the text of a value, in bytes.
fn read_max_field(reader: &mut FileReader<'_, '_>, table: &Table, path: &str) -> Option<usize> {
    let size = reader.parsed(table, "max_field", path, |text| {
        parse::size_within(text, &JsonLayer::FIELD_LIMITS)
    });
    size.map(bytes_of)
}

/// Reads the maximum length of a line, in bytes.
pub(super) fn read_max_line(
    reader: &mut FileReader<'_, '_>,
    table: &Table,
    path: &str,
) -> Option<usize> {
    let size = reader.setting(&LOG_MAX_LINE, table, "max_line", path);
    size.map(bytes_of)
}

/// Reads a size, in bytes.
pub(super) fn read_bytes(
    reader: &mut FileReader<'_, '_>,
    table: &Table,
    key: &str,
    path: &str,
) -> Option<usize> {
    reader.parsed(table, key, path, |text| {
        let ByteSize(bytes) = text.parse()?;
        usize::try_from(bytes).map_err(|_| ParseError::word(text, "is out of range", "write less"))
    })
}

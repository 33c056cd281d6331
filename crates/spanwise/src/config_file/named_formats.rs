//! The tables `[format.NAME]`: formats with changes, which sinks use by name.

use spanwise_appender::ByteSize;
use spanwise_core::ParseError;
use spanwise_json::{FieldList, Format, JsonLayer};

use super::{merge::Merged, reader::FileReader, syntax::Table};
use crate::{
    choices::Choices,
    explain::Origin,
    format_choice::{self, FormatChoice, RegisteredFormat},
    output_options::bytes_of,
    parse,
    settings::{LOG_FIELDS, LOG_FORMAT, LOG_MAX_LINE},
};

/// A format of a file, with its changes.
#[derive(Debug, Clone)]
pub(crate) struct NamedFormat {
    pub(crate) name: String,
    pub(crate) format: Format,
    pub(crate) fields: FieldList,
    /// The place and path of `fields`, for errors.
    pub(crate) fields_name: String,
    pub(crate) max_field: Option<usize>,
    pub(crate) max_line: Option<usize>,
}

impl NamedFormat {
    /// Returns the name and the format, as for a format that the program registers.
    pub(crate) fn registered(&self) -> RegisteredFormat {
        (self.name.clone(), self.format.clone())
    }
}

/// Reads the formats of a file. A base may be a format that the program registers.
pub(crate) fn named_formats(
    merged: &Merged,
    registered: &[RegisteredFormat],
    choices: &mut Choices<'_>,
) -> Vec<NamedFormat> {
    let mut reader = FileReader { merged, choices };
    let entries = merged.root.table("format").0.iter();
    let formats = entries.filter_map(|entry| {
        let table = entry.node.table()?;
        let name = &entry.key;
        let path = super::check::joined("format", name);
        if name.parse::<Format>().is_ok() {
            let problem = format!("{path} is a format already: choose another name");
            reader.problem(&entry.place, problem);
        }
        let format = match (table.entry("base"), table.entry("template")) {
            (Some(_), Some(template)) => {
                let problem = format!("{path} has a base and a template: remove one of them");
                reader.problem(&template.place, problem);
                None
            }
            (_, Some(_)) => template(&mut reader, table, &path),
            (Some(_), None) => base(&mut reader, table, &path, registered),
            (None, None) => {
                let problem = format!("{path} has no base: add base = \"json\", or a template");
                reader.problem(&entry.place, problem);
                None
            }
        };
        let fields = reader.setting(&LOG_FIELDS, table, "fields", &path);
        let fields_place = table.get("fields").map(|node| node.place.to_string());
        Some(NamedFormat {
            name: name.clone(),
            // A default after an error, so that the sinks that use it have no further problems.
            format: format.unwrap_or_default(),
            fields: fields.unwrap_or_default(),
            fields_name: format!("{}: {path}.fields", fields_place.unwrap_or_default()),
            max_field: max_field(&mut reader, table, &path),
            max_line: max_line(&mut reader, table, &path),
        })
    });
    formats.collect()
}

/// Reads the format that a template describes.
fn template(reader: &mut FileReader<'_, '_>, table: &Table, path: &str) -> Option<Format> {
    reader.parsed(table, "template", path, |text| {
        format!("text:{text}").parse()
    })
}

/// Reads the format that `base` names.
fn base(
    reader: &mut FileReader<'_, '_>,
    table: &Table,
    path: &str,
    registered: &[RegisteredFormat],
) -> Option<Format> {
    let choice = reader.setting(&LOG_FORMAT, table, "base", path)?;
    let node = table.get("base")?;
    let origin = super::merge::origin(node, &format!("{path}.base"));
    format(reader, choice, origin, registered)
}

/// Returns the format that a choice names. An unknown name is a problem, unless the program
/// registers the format later.
pub(super) fn format(
    reader: &mut FileReader<'_, '_>,
    choice: FormatChoice,
    origin: Origin,
    registered: &[RegisteredFormat],
) -> Option<Format> {
    let set = crate::choices::Chosen::new(choice, origin);
    match format_choice::resolve(&set, registered) {
        Ok(format) => Some(format),
        Err(problem) => {
            reader.choices.add_unregistered(problem);
            None
        }
    }
}

/// Reads the maximum length of the text of a value, in bytes.
fn max_field(reader: &mut FileReader<'_, '_>, table: &Table, path: &str) -> Option<usize> {
    let size = reader.parsed(table, "max_field", path, |text| {
        parse::size_within(text, &JsonLayer::FIELD_LIMITS)
    });
    size.map(bytes_of)
}

/// Reads the maximum length of a line, in bytes.
pub(super) fn max_line(
    reader: &mut FileReader<'_, '_>,
    table: &Table,
    path: &str,
) -> Option<usize> {
    let size = reader.setting(&LOG_MAX_LINE, table, "max_line", path);
    size.map(bytes_of)
}

/// Reads a number of bytes.
pub(super) fn bytes(
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

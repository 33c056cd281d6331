//! Collects the fields of an event or span as values. A value may panic or never end while it is
//! formatted.

use std::{error::Error, fmt};

use spanwise_core::internal::{error_chain, panic_safe, suggest::closest};
use tracing_core::{Field, field::Visit};

use crate::{FieldValue, render};

/// Names and values in the order they were recorded.
pub(crate) type Fields = Vec<(&'static str, FieldValue)>;

/// The maximum length of a text, in bytes. It is more than a test needs, and stops a `Debug` that
/// never ends.
pub(crate) const MAX_TEXT_LEN: usize = 1024 * 1024;

/// The maximum number of causes of an error, because a chain may be endless.
const MAX_CAUSES: usize = 16;

/// Returns the fields that `record` visits. Call this without a lock, because it formats values,
/// and their `Debug` may log or read spans.
pub(crate) fn collect(record: impl FnOnce(&mut dyn Visit)) -> Fields {
    let mut collector = Collector(Fields::new());
    record(&mut collector);
    collector.0
}

/// Returns the value of the field `name`. If there are several, returns the last value, as a JSON
/// line shows it.
pub(crate) fn find<'a>(fields: &'a Fields, name: &str) -> Option<&'a FieldValue> {
    let mut matching = fields.iter().rev().filter(|(key, _)| *key == name);
    matching.next().map(|(_, value)| value)
}

/// Returns the reason why the field `name` is not `expected`, or `None` if it is.
pub(crate) fn mismatch(fields: &Fields, name: &str, expected: &FieldValue) -> Option<String> {
    match find(fields, name) {
        Some(value) if value.matches(expected) => None,
        Some(value) => Some(format!(
            "field `{name}` is {}, expected {}",
            value.describe(),
            expected.describe()
        )),
        None => {
            let similar_name = closest(name, fields.iter().map(|(key, _)| *key));
            Some(format!(
                "there is no field `{name}`, expected {}{}",
                expected.describe(),
                render::did_you_mean(similar_name)
            ))
        }
    }
}

struct Collector(Fields);

impl Collector {
    fn add(&mut self, field: &Field, value: impl Into<FieldValue>) {
        let name = field.name();
        // For a field name that is a keyword, `tracing` includes `r#` in the name.
        let name = name.strip_prefix("r#").unwrap_or(name);
        self.0.push((name, value.into()));
    }
}

macro_rules! record {
    ($($record:ident: $value:ty),+) => {
        $(fn $record(&mut self, field: &Field, value: $value) {
            self.add(field, value);
        })+
    };
}

impl Visit for Collector {
    record!(record_bool: bool, record_f64: f64, record_bytes: &[u8]);
    record!(record_i64: i64, record_u64: u64, record_i128: i128, record_u128: u128);

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, panic_safe::truncate_at(value, MAX_TEXT_LEN));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let message = text(format_args!("{value}"));
        let causes = error_chain(value, MAX_CAUSES);
        let causes = causes.map(|error| text(format_args!("{error}")));
        let causes = causes.collect();
        self.add(field, FieldValue::Error { message, causes });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, text(format_args!("{value:?}")));
    }
}

/// Formats a value. Truncates the text at [`MAX_TEXT_LEN`] bytes.
fn text(value: fmt::Arguments<'_>) -> String {
    panic_safe::format_text(value, MAX_TEXT_LEN)
}

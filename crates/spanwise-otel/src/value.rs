//! Encodes the fields of spans and events as attributes, except for special and omitted fields.

use std::{error::Error, fmt, fmt::Write as _, sync::LazyLock};

use spanwise_core::internal::{error_chain, errors, panic_safe};
use tracing_core::{Field, field::Visit};

use crate::{
    attributes::{AnyValue, Attributes, Key},
    limits::MAX_VALUE_LEN,
    plan::{FieldRole, PlannedField, SpecialField},
};

/// Encodes the fields that it visits as attributes.
///
/// A value that panics or fails while it is formatted loses only its own text.
pub(crate) struct FieldEncoder<'a, F> {
    fields: &'a [PlannedField],
    attributes: &'a mut Attributes,
    /// Reused memory for values that are formatted.
    text: &'a mut String,
    /// Whether `attributes` may already have the key of a field that is visited.
    may_replace: bool,
    /// Whether an error was visited. Only the first error becomes `exception.*` attributes.
    has_exception: bool,
    /// Whether the fields `trace_id` and `span_id` are attributes, and not special fields.
    keeps_ids: bool,
    /// Receives the values of special fields, such as `otel.name`.
    on_special: F,
}

impl<'a, F> FieldEncoder<'a, F>
where
    F: FnMut(SpecialField, AnyValue<'_>),
{
    /// Creates an encoder. `fields` and `has_repeated_keys` are those of the
    /// [`CallsitePlan`](crate::plan::CallsitePlan).
    pub(crate) fn new(
        fields: &'a [PlannedField],
        has_repeated_keys: bool,
        attributes: &'a mut Attributes,
        text: &'a mut String,
        on_special: F,
    ) -> Self {
        Self {
            fields,
            may_replace: has_repeated_keys || !attributes.is_empty(),
            attributes,
            text,
            has_exception: false,
            keeps_ids: false,
            on_special,
        }
    }

    /// Sets whether the fields `trace_id` and `span_id` are attributes. Defaults to false: they are
    /// special fields.
    pub(crate) fn keep_ids(mut self, keep: bool) -> Self {
        self.keeps_ids = keep;
        self
    }

    fn role(&self, planned: &PlannedField) -> FieldRole {
        match planned.role {
            FieldRole::Special(SpecialField::TraceId | SpecialField::SpanId) if self.keeps_ids => {
                FieldRole::Attribute
            }
            role => role,
        }
    }

    #[inline(always)] // See `Attributes::add`.
    fn add(&mut self, field: &Field, value: AnyValue<'_>) {
        let Some(planned) = self.fields.get(field.index()) else {
            return;
        };
        match self.role(planned) {
            FieldRole::Attribute if self.may_replace => self.attributes.set(&planned.key, value),
            FieldRole::Attribute => self.attributes.push(&planned.key, value),
            FieldRole::Special(special) => (self.on_special)(special, value),
            FieldRole::Omitted => {}
        }
    }

    /// Adds a value that is formatted as text.
    #[inline]
    fn add_text(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let Some(planned) = self.fields.get(field.index()) else {
            return;
        };
        match self.role(planned) {
            FieldRole::Omitted => return,
            // Formatting may be expensive, so skip it if the attribute would be dropped.
            FieldRole::Attribute if self.attributes.is_full_for(&planned.key) => {
                return self.attributes.add_dropped(1);
            }
            FieldRole::Attribute | FieldRole::Special(_) => {}
        }
        let mut text = std::mem::take(self.text);
        text.clear();
        panic_safe::format_into(&mut text, value, MAX_VALUE_LEN);
        self.add(field, AnyValue::Text(&text));
        *self.text = text;
    }

    /// Adds the `exception.*` attributes. Does nothing for a second error.
    fn add_exception(&mut self, error: &(dyn Error + 'static)) {
        if std::mem::replace(&mut self.has_exception, true) {
            return;
        }
        let keys = &*EXCEPTION_KEYS;
        let mut text = String::new();
        panic_safe::format_into(&mut text, format_args!("{error}"), MAX_VALUE_LEN);
        self.attributes.set(&keys.message, AnyValue::Text(&text));
        let type_name = errors::type_name(error).map(str::to_owned);
        if let Some(name) = type_name.or_else(|| errors::short_name(error)) {
            self.attributes.set(&keys.error_type, AnyValue::Text(&name));
        }
        if push_causes(&mut text, error) {
            self.attributes.set(&keys.stacktrace, AnyValue::Text(&text));
        }
    }
}

/// Appends the causes of `error` and its backtrace to `text`. Returns whether there are any.
fn push_causes(text: &mut String, error: &(dyn Error + 'static)) -> bool {
    let old_len = text.len();
    for cause in error_chain(error, MAX_CAUSES) {
        text.push_str("\ncaused by: ");
        panic_safe::format_into(text, format_args!("{cause}"), MAX_VALUE_LEN);
        if text.len() > MAX_VALUE_LEN {
            return true;
        }
    }
    if let Some(backtrace) = errors::short_backtrace(error) {
        // Writing to a `String` does not fail.
        let _ = write!(text, "\n{backtrace}");
    }
    text.len() > old_len
}

impl<F> Visit for FieldEncoder<'_, F>
where
    F: FnMut(SpecialField, AnyValue<'_>),
{
    #[inline]
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, AnyValue::Double(value));
    }

    #[inline]
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, AnyValue::Int(value));
    }

    #[inline]
    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.add(field, AnyValue::Int(value)),
            Err(_) => self.add_text(field, format_args!("{value}")),
        }
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        match i64::try_from(value) {
            Ok(value) => self.add(field, AnyValue::Int(value)),
            Err(_) => self.add_text(field, format_args!("{value}")),
        }
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        match i64::try_from(value) {
            Ok(value) => self.add(field, AnyValue::Int(value)),
            Err(_) => self.add_text(field, format_args!("{value}")),
        }
    }

    #[inline]
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, AnyValue::Bool(value));
    }

    #[inline]
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, AnyValue::Text(value));
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.add(field, AnyValue::Bytes(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.add_text(field, format_args!("{value}"));
        let planned = self.fields.get(field.index());
        if planned.is_some_and(|planned| planned.role != FieldRole::Omitted) {
            self.add_exception(value);
        }
    }

    #[inline]
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add_text(field, format_args!("{value:?}"));
    }
}

/// The keys of the attributes of an error, by the [semantic conventions].
///
/// [semantic conventions]: https://opentelemetry.io/docs/specs/semconv/exceptions/exceptions-logs/
struct ExceptionKeys {
    message: Key,
    error_type: Key,
    stacktrace: Key,
}

static EXCEPTION_KEYS: LazyLock<ExceptionKeys> = LazyLock::new(|| ExceptionKeys {
    message: Key::new("exception.message"),
    error_type: Key::new("exception.type"),
    stacktrace: Key::new("exception.stacktrace"),
});

/// The maximum number of causes in `exception.stacktrace`.
const MAX_CAUSES: usize = 32;

#[cfg(test)]
mod tests;

//! Copies of the fields of an event or a span, truncated to the lengths that are sent.

use std::{borrow::Cow, error::Error, fmt, iter, sync::Arc};

use sentry_core::protocol::Value;
use spanwise_core::internal::{error_chain, errors, log_record, panic_safe};
use tracing_core::{Field, Metadata, field::Visit};

/// The maximum length of a value, in bytes. Sentry truncates longer texts.
const MAX_VALUE_LEN: usize = 4 * 1024;
/// The maximum length of a message, in bytes. Sentry truncates longer texts.
const MAX_MESSAGE_LEN: usize = 8 * 1024;

/// The maximum length of a backtrace, in bytes. A backtrace is parsed, and not sent as text.
const MAX_BACKTRACE_LEN: usize = 64 * 1024;

/// The maximum number of errors in a chain.
const MAX_CHAIN_LEN: usize = 32;

/// The fields of an event or a span.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pub(crate) message: Option<String>,
    pub(crate) values: Vec<(&'static str, Value)>,
    /// A chain for each field that is an error: the error, followed by its causes.
    pub(crate) errors: Vec<Vec<Cause>>,
    /// Whether the event is a record of the `log` crate. The `log.*` fields of a record contain its
    /// origin, and are not collected.
    is_log_record: bool,
    detail: ErrorDetail,
}

/// The details of each error that are collected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ErrorDetail {
    /// The text of the error, and of each of its causes.
    #[default]
    Texts,
    /// The texts, the names of the types, and the backtraces.
    Exceptions,
}

/// An error of a chain: the logged error itself, or one of its causes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    /// The name of the type, such as `Declined`.
    pub(crate) ty: String,
    /// The module of the type, such as `shop::pay`.
    pub(crate) module: Option<String>,
    pub(crate) text: String,
    pub(crate) backtrace: Option<Arc<str>>,
}

impl Fields {
    /// Collects the fields that `record` passes to a visitor.
    pub(crate) fn record(
        callsite: &Metadata<'_>,
        detail: ErrorDetail,
        record: impl FnOnce(&mut dyn Visit),
    ) -> Self {
        let mut fields = Self {
            is_log_record: log_record::is_log_record(callsite),
            detail,
            ..Self::default()
        };
        record(&mut fields);
        fields
    }

    /// Removes a field and returns its value.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        let index = self.values.iter().position(|(other, _)| *other == name)?;
        let (_, value) = self.values.remove(index);
        Some(value)
    }

    /// Removes and returns the message, or else an error that was logged as a text, such as by
    /// `#[instrument(err)]`. `None` if the event has neither.
    pub(crate) fn take_message(&mut self) -> Option<String> {
        self.message.take().or_else(|| {
            let is_error =
                |(name, value): &(&str, Value)| is_error_field(name) && value.is_string();
            let index = self.values.iter().position(is_error)?;
            match self.values.remove(index) {
                (_, Value::String(text)) => Some(text),
                _ => None,
            }
        })
    }

    /// Returns the message, or else an error that was logged as a text, or else the text of the
    /// first error. `None` if the event has none of them.
    pub(crate) fn text_or_error(&self) -> Option<&str> {
        let error_text = || self.error_texts().first().copied();
        let first_error = || {
            self.errors
                .iter()
                .flatten()
                .next()
                .map(|cause| &*cause.text)
        };
        self.message
            .as_deref()
            .or_else(error_text)
            .or_else(first_error)
    }

    /// Returns the errors that were logged as texts.
    pub(crate) fn error_texts(&self) -> Vec<&str> {
        let texts = self.values.iter();
        let texts = texts.filter(|(name, _)| is_error_field(name));
        texts.filter_map(|(_, value)| value.as_str()).collect()
    }

    /// Returns the value of a field, if it is a text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        field_value(&self.values, name)?.as_str()
    }

    /// Converts to the fields of a span. The text of each logged error becomes a field `error`.
    pub(crate) fn into_span_fields(self) -> Vec<(&'static str, Value)> {
        let mut fields = self.values;
        if let Some(message) = self.message {
            fields.push(("message", message.into()));
        }
        let errors = self.errors.into_iter();
        let errors = errors.filter_map(|chain| chain.into_iter().next());
        fields.extend(errors.map(|error| ("error", error.text.into())));
        fields
    }

    /// Adds a value. It replaces an earlier value of the same field.
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        let name = field.name();
        if self.is_log_record && log_record::is_log_field(name) {
            return;
        }
        let value = value.into();
        match self.values.iter_mut().find(|(other, _)| *other == name) {
            Some((_, existing)) => *existing = value,
            None => self.values.push((name, value)),
        }
    }

    fn add_text(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let max_len = match field.name() {
            "message" => MAX_MESSAGE_LEN,
            "panic.backtrace" => MAX_BACKTRACE_LEN,
            _ => MAX_VALUE_LEN,
        };
        let text = truncated_text(value, max_len);
        if field.name() == "message" {
            self.message = Some(text);
        } else {
            self.add(field, text);
        }
    }
}

/// Returns whether this is a usual name for an error that is logged as a text: `error!(%err)`,
/// `error!(?e)`, `#[instrument(err)]`.
fn is_error_field(name: &str) -> bool {
    matches!(name, "error" | "err" | "e" | "exception.message")
}

fn truncated_text(value: fmt::Arguments<'_>, max_len: usize) -> String {
    let mut text = String::new();
    if panic_safe::format_into(&mut text, value, max_len) {
        text.push('…');
    }
    text
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON cannot represent NaN and infinities.
        if value.is_finite() {
            self.add(field, value);
        } else {
            self.add_text(field, format_args!("{value}"));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add_text(field, format_args!("{value}"));
    }

    fn record_error(&mut self, _: &Field, value: &(dyn Error + 'static)) {
        let chain = causes(value).map(|error| Cause::from_error(error, self.detail));
        self.errors.push(chain.collect());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add_text(field, format_args!("{value:?}"));
    }
}

/// Returns the value of the field `name`.
pub(crate) fn field_value<'v>(
    fields: &'v [(&'static str, Value)],
    name: &str,
) -> Option<&'v Value> {
    let field = fields.iter().find(|(other, _)| *other == name);
    field.map(|(_, value)| value)
}

/// Returns the text of a value: a string without its quotes.
pub(crate) fn text_of(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// Returns an error and its causes, the outermost first.
pub(crate) fn causes<'e>(
    error: &'e (dyn Error + 'static),
) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    iter::once(error).chain(error_chain(error, MAX_CHAIN_LEN - 1))
}

impl Cause {
    fn from_error(error: &(dyn Error + 'static), detail: ErrorDetail) -> Self {
        let text = truncated_text(format_args!("{error}"), MAX_VALUE_LEN);
        let (mut name, mut module, mut backtrace) = (None, None, None);
        if detail == ErrorDetail::Exceptions {
            name = errors::short_name(error);
            let path = errors::type_name(error).and_then(|name| name.split('<').next());
            module = path.and_then(|path| Some(path.rsplit_once("::")?.0.to_owned()));
            backtrace = errors::backtrace(error);
        }
        Self {
            ty: name.unwrap_or_else(|| "Error".to_owned()),
            module,
            text,
            backtrace,
        }
    }
}

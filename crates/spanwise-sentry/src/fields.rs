//! The fields of an event or a span, copied as far as they are sent.

use std::{error::Error, fmt, iter, sync::Arc};

use sentry_core::protocol::Value;
use spanwise_core::internal::{error_chain, errors, log_record, panic_safe};
use tracing_core::{Field, Metadata, field::Visit};

/// Sentry cuts values itself; what is longer than this is not sent at all.
pub(crate) const MAX_VALUE_LEN: usize = 4 * 1024;
pub(crate) const MAX_MESSAGE_LEN: usize = 8 * 1024;

/// A panic's backtrace is read, and never sent as text.
const MAX_BACKTRACE_LEN: usize = 64 * 1024;

/// Errors of a chain, at most.
const MAX_CHAIN_LEN: usize = 32;

/// What an event or a span says.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pub(crate) message: Option<String>,
    pub(crate) values: Vec<(&'static str, Value)>,
    /// The errors among the fields, each with what caused it, the outermost first.
    pub(crate) errors: Vec<Vec<Cause>>,
    /// Of a record of the `log` crate some fields say where it comes from.
    is_log_record: bool,
    detail: ErrorDetail,
}

/// How much of the errors is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ErrorDetail {
    /// Their texts.
    #[default]
    Texts,
    /// Also the names of their types, and the backtrace.
    Exceptions,
}

/// An error of a chain.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    /// `Declined`.
    pub(crate) ty: String,
    /// `shop::pay`, if it is known.
    pub(crate) module: Option<String>,
    pub(crate) text: String,
    pub(crate) backtrace: Option<Arc<str>>,
}

impl Fields {
    /// The fields of an event or a span of `callsite`, which `record` gives to a visitor.
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

    /// What the event says in words: its message, or, as of `#[instrument(err)]`, its error.
    pub(crate) fn take_message(&mut self) -> Option<String> {
        let error_text = || {
            let at = self
                .values
                .iter()
                .position(|(name, value)| is_error_field(name) && value.is_string())?;
            match self.values.remove(at) {
                (_, Value::String(text)) => Some(text),
                _ => None,
            }
        };
        self.message.take().or_else(error_text)
    }

    /// The message, else what an error says.
    pub(crate) fn text_or_error(&self) -> Option<&str> {
        let message = self.message.as_deref();
        let text = || self.error_texts().first().copied();
        let cause = || {
            self.errors
                .iter()
                .flatten()
                .next()
                .map(|cause| &*cause.text)
        };
        message.or_else(text).or_else(cause)
    }

    /// What the errors among the fields say that came as texts.
    pub(crate) fn error_texts(&self) -> Vec<&str> {
        let texts = self.values.iter();
        texts
            .filter(|(name, _)| is_error_field(name))
            .filter_map(|(_, value)| value.as_str())
            .collect()
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.values
            .iter()
            .find(|(other, _)| *other == name)
            .and_then(|(_, value)| value.as_str())
    }

    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        let name = field.name();
        if self.is_log_record && log_record::is_log_field(name) {
            return;
        }
        let value = value.into();
        // Of a field given twice the last value stands.
        match self.values.iter_mut().find(|(other, _)| *other == name) {
            Some(slot) => slot.1 = value,
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

/// The names that errors are logged by: `error!(%err)`, `error!(?e)`, `#[instrument(err)]`.
fn is_error_field(name: &str) -> bool {
    matches!(name, "error" | "err" | "e" | "exception.message")
}

pub(crate) fn truncated_text(value: fmt::Arguments<'_>, max_len: usize) -> String {
    let mut text = String::new();
    if panic_safe::format_into(&mut text, value, max_len) {
        text.push('…');
    }
    text
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinities.
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

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let _ = field;
        let chain = causes(value).map(|error| Cause::from_error(error, self.detail));
        self.errors.push(chain.collect());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add_text(field, format_args!("{value:?}"));
    }
}

/// An error and what caused it, the outermost first.
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

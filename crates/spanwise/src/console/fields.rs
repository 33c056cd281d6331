//! The fields of an event or a span as text.

use std::{error::Error, fmt};

use spanwise_core::internal::{
    error_chain,
    errors::{self, MAX_SHOWN_CAUSES},
    log_record, panic_safe,
};
use tracing_core::{Field, Metadata, field::Visit};

/// The field of a panic with its backtrace.
pub(crate) const PANIC_BACKTRACE: &str = "panic.backtrace";

/// The maximum length of the text of a value, in bytes.
const MAX_VALUE_LEN: usize = 16 * 1024;

/// The maximum length of the backtrace of a panic, in bytes. It exceeds [`MAX_VALUE_LEN`], because
/// a setting can request all frames.
const MAX_BACKTRACE_LEN: usize = 256 * 1024;

/// The fields of an event or a span.
#[derive(Debug, Default, Clone)]
pub(crate) struct Fields {
    pub(crate) message: Option<Value>,
    /// All fields but the message.
    pub(crate) others: Vec<(&'static str, Value)>,
}

/// The value of a field.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub(crate) text: String,
    pub(crate) kind: ValueKind,
}

#[derive(Debug, Clone)]
pub(crate) enum ValueKind {
    Number(f64),
    Bool,
    Text,
    Error {
        /// The texts of the causes, the outermost first.
        causes: Vec<String>,
        /// The backtrace in the format of std, shortened.
        backtrace: Option<String>,
    },
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self {
            text,
            kind: ValueKind::Text,
        }
    }
}

impl Value {
    /// Returns the causes of an error, the outermost first.
    pub(crate) fn causes(&self) -> &[String] {
        match &self.kind {
            ValueKind::Error { causes, .. } => causes,
            ValueKind::Number(_) | ValueKind::Bool | ValueKind::Text => &[],
        }
    }

    /// Returns the backtrace of an error.
    pub(crate) fn backtrace(&self) -> Option<&str> {
        match &self.kind {
            ValueKind::Error { backtrace, .. } => backtrace.as_deref(),
            ValueKind::Number(_) | ValueKind::Bool | ValueKind::Text => None,
        }
    }

    /// Returns the text and the texts of the causes, separated by colons.
    pub(crate) fn joined(&self) -> String {
        let mut joined = self.text.clone();
        for cause in self.causes() {
            joined.push_str(": ");
            joined.push_str(cause);
        }
        joined
    }
}

impl Fields {
    /// Collects the fields of `callsite` that `record` passes to a visitor.
    pub(crate) fn new(callsite: &Metadata<'_>, record: impl FnOnce(&mut dyn Visit)) -> Self {
        let mut visitor = FieldVisitor {
            callsite,
            fields: Self::default(),
        };
        record(&mut visitor);
        visitor.fields
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.message.is_none() && self.others.is_empty()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        let mut named = self.others.iter().filter(|(other, _)| *other == name);
        named.next().map(|(_, value)| value)
    }

    /// Returns the text of a field.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).map(|value| value.text.as_str())
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<Value> {
        let index = self.others.iter().position(|(other, _)| *other == name)?;
        Some(self.others.remove(index).1)
    }

    /// Sets a field. Replaces a field with the same name.
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.others.retain(|(other, _)| *other != name);
        self.others.push((name, value.into()));
    }

    pub(crate) fn rename(&mut self, from: &str, to: &'static str) {
        let named = self.others.iter_mut().find(|(name, _)| *name == from);
        if let Some((name, _)) = named {
            *name = to;
        }
    }
}

struct FieldVisitor<'a> {
    callsite: &'a Metadata<'a>,
    fields: Fields,
}

impl FieldVisitor<'_> {
    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>, kind: ValueKind) {
        let name = field.name().strip_prefix("r#").unwrap_or(field.name());
        if log_record::is_origin_field(self.callsite, name) {
            return;
        }
        let max_len = match name {
            PANIC_BACKTRACE => MAX_BACKTRACE_LEN,
            _ => MAX_VALUE_LEN,
        };
        let text = truncated_text(value, max_len);
        let value = Value { text, kind };
        // In a span, `message` is an ordinary field.
        if name == "message" && self.callsite.is_event() {
            self.fields.message = Some(value);
        } else {
            self.fields.set(name, value);
        }
    }
}

/// Formats at most `max_len` bytes, and appends an ellipsis if the text is longer.
fn truncated_text(value: fmt::Arguments<'_>, max_len: usize) -> String {
    let mut text = String::new();
    if panic_safe::format_into(&mut text, value, max_len) {
        text.push('…');
    }
    text
}

impl Visit for FieldVisitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"), ValueKind::Text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"), ValueKind::Text);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, format_args!("{value}"), ValueKind::Bool);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, format_args!("{value:?}"), ValueKind::Number(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        let number = ValueKind::Number(value as f64);
        self.add(field, format_args!("{value}"), number);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        let number = ValueKind::Number(value as f64);
        self.add(field, format_args!("{value}"), number);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        let number = ValueKind::Number(value as f64);
        self.add(field, format_args!("{value}"), number);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        let number = ValueKind::Number(value as f64);
        self.add(field, format_args!("{value}"), number);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let backtrace = errors::short_backtrace(value).map(|backtrace| {
            let backtrace = panic_safe::truncate_at(&backtrace, MAX_VALUE_LEN);
            backtrace.trim_end().to_owned()
        });
        let max_cause_len = MAX_VALUE_LEN / MAX_SHOWN_CAUSES;
        let causes = error_chain(value, MAX_SHOWN_CAUSES);
        let causes = causes.map(|cause| truncated_text(format_args!("{cause}"), max_cause_len));
        let kind = ValueKind::Error {
            causes: causes.collect(),
            backtrace,
        };
        self.add(field, format_args!("{value}"), kind);
    }
}

//! The event as a filter in code sees it. Such a filter is a function that
//! [`Builder::filter`](crate::Builder::filter) registers.

use std::{borrow::Cow, fmt};

use spanwise_core::{Context, Redact, Redaction, internal::panic_safe};
use tracing::{Event, Level};
use tracing_core::{Field, field::Visit};

use super::condition::MESSAGE;

/// What a filter in code decides: see [`Builder::filter`](crate::Builder::filter).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The event passes.
    Keep,
    /// The event is dropped, and counted.
    Drop,
    /// The event passes with another level, which the sinks behind the filter show and obey.
    Level(Level),
}

/// An event as a filter in code sees it. The redaction policy of the program is applied to all
/// values.
pub struct FilterEvent<'a> {
    pub(super) event: &'a Event<'a>,
    pub(super) target: &'a str,
    pub(super) level: Level,
    pub(super) policy: Option<&'a dyn Redact>,
    pub(super) context: &'a dyn Fn() -> Context,
}

impl FilterEvent<'_> {
    /// Returns the target. For a record of the `log` crate it is the target of the record.
    #[must_use]
    pub fn target(&self) -> &str {
        self.target
    }

    /// Returns the level, which earlier filters may have changed.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Returns the source file and the line of the event, if they are known.
    #[must_use]
    pub fn location(&self) -> Option<(&str, u32)> {
        let callsite = self.event.metadata();
        callsite.file().zip(callsite.line())
    }

    /// Returns the redacted message.
    #[must_use]
    pub fn message(&self) -> Option<String> {
        self.field(MESSAGE)
    }

    /// Returns the redacted text of a field of the event. `None` if the event does not have the
    /// field, or if the policy removes it.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<String> {
        let field = self.event.metadata().fields().field(name)?;
        let mut reader = FieldReader {
            index: field.index(),
            policy: self.policy,
            text: None,
        };
        self.event.record(&mut reader);
        reader.text
    }

    /// Returns the redacted value of a context key, such as `request_id`.
    #[must_use]
    pub fn context(&self, key: &str) -> Option<String> {
        // The context has been redacted by the same policy.
        let context = (self.context)();
        context.get(key).map(str::to_owned)
    }
}

impl fmt::Debug for FilterEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilterEvent")
            .field("target", &self.target)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

/// The kinds of values for which a redaction policy has separate verdicts.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Number,
    Bool,
}

/// Returns the text of a value after redaction. `None` if the policy removes the value.
fn redacted(policy: Option<&dyn Redact>, key: &str, kind: Kind, text: String) -> Option<String> {
    let Some(policy) = policy else {
        return Some(text);
    };
    if key == MESSAGE {
        return Some(policy.redact_text(&text).into_owned());
    }
    let verdicts = policy.verdicts(key);
    let verdict = match kind {
        Kind::Text => verdicts.text,
        Kind::Number => verdicts.number,
        Kind::Bool => verdicts.boolean,
    };
    match policy.apply(verdict, key, || Cow::Borrowed(&text)) {
        Redaction::Keep => Some(text),
        Redaction::Replace(replacement) => Some(replacement.into_owned()),
        Redaction::Remove => None,
    }
}

/// A visitor that reads the redacted text of one field.
struct FieldReader<'a> {
    /// The index of the field.
    index: usize,
    policy: Option<&'a dyn Redact>,
    text: Option<String>,
}

impl FieldReader<'_> {
    fn read(&mut self, field: &Field, kind: Kind, value: fmt::Arguments<'_>) {
        if field.index() == self.index {
            let text = panic_safe::format_text(value, <dyn Redact>::MAX_COLLECT_LEN);
            self.text = redacted(self.policy, field.name(), kind, text);
        }
    }
}

impl Visit for FieldReader<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.read(field, Kind::Text, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.read(field, Kind::Text, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.read(field, Kind::Bool, format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.read(field, Kind::Number, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.read(field, Kind::Number, format_args!("{value}"));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.read(field, Kind::Number, format_args!("{value}"));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.read(field, Kind::Number, format_args!("{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.read(field, Kind::Number, format_args!("{value}"));
    }
}

//! A captured event and its assertions.

use std::{fmt, sync::Arc};

use spanwise_core::{Context, internal::suggest::closest};
use tracing_core::Level;

use crate::{
    FieldValue, Span,
    fields::{self, Fields},
    render,
};

/// A captured event. Cheap to clone.
///
/// Assertions return the event, so that they can be chained. They panic with the location of the
/// caller, and show the event.
///
/// ```
/// use tracing::Level;
///
/// let logs = spanwise_testing::capture();
/// let request = tracing::info_span!("request", tenant_id = "acme");
/// request.in_scope(|| tracing::warn!(retries = 3, elapsed = 0.25, "payment is slow"));
///
/// let event = logs.one("payment is slow");
/// event
///     .assert_level(Level::WARN)
///     .assert_field("retries", 3)
///     .assert_field("elapsed", 0.25)
///     .assert_context("tenant_id", "acme")
///     .assert_in_span("request");
/// assert!(event.json_line().starts_with(b"{\"timestamp\":"));
/// ```
#[derive(Clone)]
pub struct Event(pub(crate) Arc<EventData>);

/// The data of an [`Event`].
pub(crate) struct EventData {
    pub(crate) level: Level,
    pub(crate) target: String,
    pub(crate) message: String,
    /// The event's own fields except the message.
    pub(crate) fields: Fields,
    /// The enclosing spans, innermost first.
    pub(crate) spans: Vec<Span>,
    pub(crate) context: Context,
    pub(crate) json_line: Vec<u8>,
}

impl Event {
    /// Returns the level.
    #[must_use]
    pub fn level(&self) -> Level {
        self.0.level
    }

    /// Returns the target. For a record of the `log` crate, returns the target of the record.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.0.target
    }

    /// Returns the message, or an empty text if there is none.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the event's own fields except the message, in the order they were logged.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &FieldValue)> {
        self.0.fields.iter().map(|(name, value)| (*name, value))
    }

    /// Returns the value of one of the event's own fields.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&FieldValue> {
        fields::find(&self.0.fields, name)
    }

    /// Returns the spans that enclose the event, innermost first, with their fields at that time.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.0.spans
    }

    /// Returns the context. It is empty if the stack has no
    /// [`ContextLayer`](spanwise_core::ContextLayer).
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.0.context
    }

    /// Returns the line that a [`JsonLayer`](spanwise_json::JsonLayer) writes for the event, with
    /// its line break. The layer has the default settings, except for its limits: 1 MiB for a
    /// text, and 64 MiB for a line.
    #[must_use]
    pub fn json_line(&self) -> &[u8] {
        &self.0.json_line
    }

    /// Asserts the level.
    ///
    /// # Panics
    /// If the event has another level.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "it asserts")]
    pub fn assert_level(&self, expected: Level) -> &Self {
        if self.0.level != expected {
            self.fail(format_args!(
                "the level is {}, expected {expected}",
                self.0.level
            ));
        }
        self
    }

    /// Asserts the target.
    ///
    /// # Panics
    /// If the event has another target.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "it asserts")]
    pub fn assert_target(&self, expected: &str) -> &Self {
        if self.0.target != expected {
            self.fail(format_args!(
                "the target is `{}`, expected `{expected}`",
                self.0.target
            ));
        }
        self
    }

    /// Asserts that the event itself (not a span) has a field with this name and value.
    ///
    /// Integers are equal regardless of their type. Values logged with `%` or `?` are compared as
    /// text. An error equals its message. It also equals its message with its causes after `: `, as
    /// in `charge failed: connection refused`.
    ///
    /// # Panics
    /// If the field is missing or has another value. For a missing field, the message names a
    /// similar field, and an enclosing span that has the field.
    #[track_caller]
    pub fn assert_field(&self, name: &str, expected: impl Into<FieldValue>) -> &Self {
        if let Some(why) = fields::mismatch(&self.0.fields, name, &expected.into()) {
            let mut enclosing_spans = self.0.spans.iter();
            let span_hint = match enclosing_spans.find(|span| span.field(name).is_some()) {
                Some(span) if self.field(name).is_none() => {
                    format!("; the span around it has one: {span}")
                }
                _ => String::new(),
            };
            self.fail(format_args!("{why}{span_hint}"));
        }
        self
    }

    /// Asserts that the event itself (not a span) has no field with this name.
    ///
    /// # Panics
    /// If the event has the field.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "it asserts")]
    pub fn assert_no_field(&self, name: &str) -> &Self {
        if let Some(value) = self.field(name) {
            self.fail(format_args!(
                "field `{name}` is {}, expected no such field",
                value.describe()
            ));
        }
        self
    }

    /// Asserts a value of the [`context`](Self::context).
    ///
    /// # Panics
    /// If the context has another value or no value for `key`.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "it asserts")]
    pub fn assert_context(&self, key: &str, expected: &str) -> &Self {
        let context = &self.0.context;
        match context.get(key) {
            Some(value) if value == expected => {}
            Some(value) => self.fail(format_args!(
                "the context has {key}={value:?}, expected {expected:?}"
            )),
            None if context.is_empty() => self.fail(format_args!(
                "the context is empty, expected {key}={expected:?}: no span around the event has a context key, \
                 or the subscriber has no `ContextLayer`"
            )),
            None => {
                let similar_key = closest(key, context.iter().map(|(key, _)| key));
                self.fail(format_args!(
                    "the context has no `{key}`, expected {expected:?}{}; it is {context:?}",
                    render::did_you_mean(similar_key)
                ));
            }
        }
        self
    }

    /// Asserts that one of the spans that enclose the event has this name.
    ///
    /// # Panics
    /// If no enclosing span has this name.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "it asserts")]
    pub fn assert_in_span(&self, name: &str) -> &Self {
        let names = || self.0.spans.iter().map(Span::name);
        if !names().any(|known| known == name) {
            let hint = match self.0.spans.is_empty() {
                true => "; it is in no span",
                false => "",
            };
            self.fail(format_args!(
                "no span around the event is `{name}`{hint}{}",
                render::did_you_mean(closest(name, names()))
            ));
        }
        self
    }

    #[track_caller]
    fn fail(&self, why: fmt::Arguments<'_>) -> ! {
        panic!("{why}\n    {self}");
    }
}

impl fmt::Display for Event {
    /// Writes one line, in the format of `tracing_subscriber::fmt`: `INFO
    /// request{tenant_id="acme"}:load: shop: order created order_id=42`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render::event(self, &render::show_unchanged))
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

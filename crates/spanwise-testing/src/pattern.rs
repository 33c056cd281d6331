//! Conditions that select events for an assertion.

use std::{fmt, panic::Location};

use regex_lite::Regex;

use crate::{Event, render};

/// A condition on events: a message, a [regular expression](matching), or a [closure](when).
///
/// Assertions accept any type that converts into a pattern. A text is compared with the whole
/// message.
///
/// ```
/// use spanwise_testing::{capture, matching, when};
/// use tracing::Level;
///
/// let logs = capture();
/// tracing::info!(order_id = 42, "order 42 created");
/// tracing::warn!("payment is slow");
///
/// assert_eq!(logs.count("payment is slow"), 1);
/// logs.one(matching(r"^order \d+ created$")).assert_field("order_id", 42);
/// logs.none(when(|event| event.level() == Level::ERROR));
/// ```
pub struct Pattern<'a>(Kind<'a>);

enum Kind<'a> {
    Message(&'a str),
    Regex(Regex),
    Closure {
        condition: Box<dyn Fn(&Event) -> bool + 'a>,
        written_at: &'static Location<'static>,
    },
}

/// Selects events whose message matches a regular expression, in the syntax of `regex-lite`.
///
/// The expression may match any part of the message. Use `^…$` to match the whole message.
///
/// # Panics
/// If `regex` is not a valid regular expression.
#[must_use]
#[track_caller]
pub fn matching(regex: &str) -> Pattern<'static> {
    match Regex::new(regex) {
        Ok(regex) => Pattern(Kind::Regex(regex)),
        Err(error) => panic!("{regex:?} is not a valid regular expression: {error}"),
    }
}

/// Selects events for which a closure returns `true`.
#[must_use]
#[track_caller]
pub fn when<'a>(condition: impl Fn(&Event) -> bool + 'a) -> Pattern<'a> {
    Pattern(Kind::Closure {
        condition: Box::new(condition),
        written_at: Location::caller(),
    })
}

impl Pattern<'_> {
    pub(crate) fn matches(&self, event: &Event) -> bool {
        match &self.0 {
            Kind::Message(message) => event.message() == *message,
            Kind::Regex(regex) => regex.is_match(event.message()),
            Kind::Closure { condition, .. } => condition(event),
        }
    }

    /// Returns `; did you mean "…"?` if an event has a similar message.
    pub(crate) fn suggestion(&self, events: &[Event]) -> String {
        match self.0 {
            Kind::Message(message) => render::similar_message_hint(events, message),
            Kind::Regex(_) | Kind::Closure { .. } => String::new(),
        }
    }

    /// Returns the predicate of a sentence about `count` events that match:
    /// `has the message "paid"`.
    pub(crate) fn predicate(&self, count: usize) -> String {
        let (has, matches, meets) = match count {
            1 => ("has", "matches", "meets"),
            _ => ("have", "match", "meet"),
        };
        match &self.0 {
            Kind::Message(message) => format!("{has} the message {message:?}"),
            Kind::Regex(regex) => format!("{matches} /{regex}/"),
            Kind::Closure { written_at, .. } => format!("{meets} the condition at {written_at}"),
        }
    }
}

impl<'a> From<&'a str> for Pattern<'a> {
    fn from(message: &'a str) -> Self {
        Self(Kind::Message(message))
    }
}

impl<'a> From<&'a String> for Pattern<'a> {
    fn from(message: &'a String) -> Self {
        Self(Kind::Message(message))
    }
}

impl fmt::Debug for Pattern<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.predicate(1)).finish()
    }
}

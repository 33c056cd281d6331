//! Renders events and spans as one line each, for failures.

use std::borrow::Cow;

use spanwise_core::internal::suggest::closest;

use crate::{Event, FieldValue, Span};

/// A function that hides secrets in a text. Called before the text is quoted or cut, so that no
/// part of a secret remains.
pub(crate) type Hide<'a> = &'a dyn for<'t> Fn(&'t str) -> Cow<'t, str>;

/// A [`Hide`] that hides nothing.
pub(crate) fn show_unchanged(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

/// The maximum number of characters that a failure shows of one text.
const MAX_SHOWN_CHARS: usize = 200;

/// A failure lists at most this many events, the latest ones.
const MAX_LISTED_EVENTS: usize = 100;

pub(crate) fn event(event: &Event, hide: Hide<'_>) -> String {
    let mut line = format!("{} ", event.level());
    for enclosing_span in event.spans().iter().rev() {
        line += &span(enclosing_span, hide);
        line.push(':');
    }
    if !event.spans().is_empty() {
        line.push(' ');
    }
    line += &one_line(&hide(event.target()));
    line.push(':');
    if !event.message().is_empty() {
        line.push(' ');
        line += &one_line(&hide(event.message()));
    }
    for (name, field_value) in event.fields() {
        line += &format!(" {name}={}", value(field_value, hide));
    }
    line
}

pub(crate) fn span(span: &Span, hide: Hide<'_>) -> String {
    let fields: Vec<String> = span
        .fields()
        .map(|(name, field_value)| format!("{name}={}", value(field_value, hide)))
        .collect();
    if fields.is_empty() {
        return span.name().to_owned();
    }
    format!("{}{{{}}}", span.name(), fields.join(" "))
}

/// Lists captured events, one per line.
pub(crate) fn list(events: &[Event], hide: Hide<'_>) -> String {
    if events.is_empty() {
        return "nothing was captured".to_owned();
    }
    let omitted = events.len().saturating_sub(MAX_LISTED_EVENTS);
    let mut text = format!("captured {}:", count(events.len(), "event"));
    if omitted > 0 {
        text += &format!("\n    … {omitted} earlier …");
    }
    let shown = events[omitted..].iter().map(|shown| event(shown, hide));
    text + &lines(&shown.collect::<Vec<_>>())
}

/// Lists the unrouted events that `matches` selects, with a remedy. Returns an empty text if there
/// are none.
pub(crate) fn unrouted_hint(unrouted: &[Event], matches: impl Fn(&Event) -> bool) -> String {
    let matching: Vec<Event> = unrouted
        .iter()
        .filter(|event| matches(event))
        .cloned()
        .collect();
    if matching.is_empty() {
        return String::new();
    }
    format!(
        "\nlogged by a thread outside of every capture, or in one that has ended; \
         enter a span of this test there, or call `logs.handle().enter()`:{}",
        lines(&matching)
    )
}

/// Returns `; did you mean "…"?` with the most similar message, or an empty text. Similar messages
/// differ by a few letters, or one contains the other.
pub(crate) fn similar_message_hint(events: &[Event], message: &str) -> String {
    let all = || events.iter().map(Event::message);
    let lower = message.to_lowercase();
    let overlaps = |known: &&str| {
        let known = known.to_lowercase();
        !known.is_empty() && (known.contains(&lower) || lower.contains(&known))
    };
    match closest(message, all()).or_else(|| all().find(overlaps)) {
        Some(similar) => format!("; did you mean {:?}?", cut(similar)),
        None => String::new(),
    }
}

/// Returns `; did you mean …?`, or an empty text if there is no similar name.
pub(crate) fn did_you_mean(similar: Option<&str>) -> String {
    similar
        .map(|similar| format!("; did you mean `{similar}`?"))
        .unwrap_or_default()
}

/// Returns `1 event` or `2 events` for the noun `event`.
pub(crate) fn count(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

/// Returns each item on an indented line of its own.
pub(crate) fn lines<T: ToString>(items: &[T]) -> String {
    items
        .iter()
        .map(|item| format!("\n    {}", item.to_string()))
        .collect()
}

/// Returns a value as text. Texts have quotes, so that "42" is not read as the number 42.
fn value(value: &FieldValue, hide: Hide<'_>) -> String {
    let text = value.to_string();
    let text = hide(&text);
    match value {
        FieldValue::Text(_) | FieldValue::Error { .. } => format!("{:?}", cut(&text)),
        _ => cut(&text).into_owned(),
    }
}

/// Cuts a text, and escapes its control characters, such as line breaks.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for character in cut(text).chars() {
        if character.is_control() {
            line.extend(character.escape_debug());
        } else {
            line.push(character);
        }
    }
    line
}

/// Cuts a text after [`MAX_SHOWN_CHARS`] characters.
fn cut(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

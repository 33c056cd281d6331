//! A search for a text that must not have been logged.

use std::{borrow::Cow, fmt};

use crate::{Event, FieldValue, render, route::Captured, span::SpanRecord};

/// A text to search for, in the forms in which Rust and `JsonLayer` may write it.
pub(crate) struct Secret {
    plain: String,
    /// The forms to search for, including the plain text. The longest form is first. If a shorter
    /// form were hidden first, a part of a longer form could remain.
    forms: Vec<String>,
}

/// The minimum length of a secret, in bytes, whose bytes are also searched as a list of numbers and
/// as hexadecimal digits. The numbers and digits of a shorter secret may occur by chance.
const MIN_BYTES_FORM_LEN: usize = 4;

impl Secret {
    pub(crate) fn new(plain: &str) -> Self {
        let mut forms = vec![plain.to_owned()];
        // The text as JSON escapes it, for example in a logged body.
        forms.extend(
            serde_json::to_string(plain)
                .ok()
                .map(|json| without_delimiters(&json)),
        );
        // The text as `Debug` escapes it, for example in a logged struct.
        forms.push(without_delimiters(&format!("{plain:?}")));
        if plain.len() >= MIN_BYTES_FORM_LEN {
            // The bytes as the `Debug` of a `Vec<u8>` lists them, and as the hexadecimal digits
            // that `JsonLayer` writes.
            forms.push(without_delimiters(&format!("{:?}", plain.as_bytes())));
            forms.push(FieldValue::Bytes(plain.into()).to_string());
        }
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        forms.dedup();
        Self {
            plain: plain.to_owned(),
            forms,
        }
    }

    /// Returns a description of each place where the secret occurs, with the event or span. The
    /// description shows only the [visible start](Self::visible_start) of the secret.
    pub(crate) fn places(&self, captured: &Captured) -> Vec<String> {
        let mut places = Vec::new();
        for event in &captured.events {
            self.places_in_event(event, "the event", &mut places);
        }
        for event in &captured.unrouted_events {
            self.places_in_event(event, "an event outside of every capture:", &mut places);
        }
        for span in &captured.spans {
            self.places_in_span(span, "the span", &mut places);
        }
        for span in &captured.unrouted_spans {
            self.places_in_span(span, "a span outside of every capture:", &mut places);
        }
        places
    }

    /// Returns the visible start and the length of the secret, so that readers recognize it.
    pub(crate) fn description(&self) -> String {
        format!(
            "{:?} ({})",
            self.visible_start(),
            render::count(self.plain.len(), "byte")
        )
    }

    /// Returns the first four characters of the secret, but at most the first half.
    fn visible_start(&self) -> String {
        let shown_count = (self.plain.chars().count() / 2).min(4);
        self.plain.chars().take(shown_count).chain(['…']).collect()
    }

    fn places_in_event(&self, event: &Event, subject: &str, places: &mut Vec<String>) {
        let mut found = Vec::new();
        if self.is_in(event.target()) {
            found.push("the target of".to_owned());
        }
        if self.is_in(event.message()) {
            found.push("the message of".to_owned());
        }
        for (name, _) in event.fields().filter(|(_, value)| self.is_in_value(value)) {
            found.push(format!("field `{name}` of"));
        }
        for span in event.spans() {
            for (name, _) in span.fields().filter(|(_, value)| self.is_in_value(value)) {
                found.push(format!(
                    "field `{name}` of the span `{}` around",
                    span.name()
                ));
            }
        }
        for (key, _) in event.context().iter().filter(|(_, text)| self.is_in(text)) {
            found.push(format!("`{key}` in the context of"));
        }
        if found.is_empty() && self.is_in_line(event.json_line()) {
            found.push("the JSON line of".to_owned());
        }
        if !found.is_empty() {
            let line = render::event(event, &|text| self.hide(text));
            places.extend(
                found
                    .iter()
                    .map(|place| format!("{place} {subject} {line}")),
            );
        }
    }

    fn places_in_span(&self, span: &SpanRecord, subject: &str, places: &mut Vec<String>) {
        let snapshot = span.snapshot();
        let replaced_values = span.replaced_values();
        let matching = snapshot
            .fields()
            .chain(replaced_values.iter().map(|(name, value)| (*name, value)))
            .filter(|(_, value)| self.is_in_value(value))
            .map(|(name, _)| name);
        let mut names: Vec<&str> = Vec::new();
        for name in matching {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let line = render::span(&snapshot, &|text| self.hide(text));
        places.extend(
            names
                .iter()
                .map(|name| format!("field `{name}` of {subject} {line}")),
        );
    }

    fn is_in(&self, text: &str) -> bool {
        self.forms.iter().any(|form| text.contains(form.as_str()))
    }

    fn is_in_value(&self, value: &FieldValue) -> bool {
        match value {
            FieldValue::Bytes(bytes) => {
                let mut windows = bytes.windows(self.plain.len());
                windows.any(|window| window == self.plain.as_bytes())
            }
            FieldValue::Error { message, causes } => {
                self.is_in(message) || causes.iter().any(|cause| self.is_in(cause))
            }
            other => self.is_in(&other.to_string()),
        }
    }

    /// Searches the bytes, and also the texts after JSON decoding, because characters can be
    /// escaped in several ways.
    fn is_in_line(&self, line: &[u8]) -> bool {
        self.is_in(&String::from_utf8_lossy(line))
            || serde_json::from_slice(line).is_ok_and(|json| self.is_in_json(&json))
    }

    fn is_in_json(&self, json: &serde_json::Value) -> bool {
        match json {
            serde_json::Value::String(text) => self.is_in(text),
            serde_json::Value::Array(items) => items.iter().any(|item| self.is_in_json(item)),
            serde_json::Value::Object(members) => members
                .iter()
                .any(|(key, value)| self.is_in(key) || self.is_in_json(value)),
            _ => false,
        }
    }

    /// Replaces each form of the secret in `text` by the visible start.
    pub(crate) fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let found = self
            .forms
            .iter()
            .filter(|form| text.contains(form.as_str()));
        found.fold(Cow::Borrowed(text), |text, form| {
            Cow::Owned(text.replace(form.as_str(), &format!("[{}]", self.visible_start())))
        })
    }
}

/// Shows only the visible start and the length.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description())
    }
}

/// Removes the first and the last character: the quotes or brackets.
fn without_delimiters(text: &str) -> String {
    let mut characters = text.chars();
    characters.next();
    characters.next_back();
    characters.as_str().to_owned()
}

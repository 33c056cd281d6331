//! Fields as text that cannot forge other fields or lines.

use std::{borrow::Cow, error::Error, fmt};

use spanwise_core::internal::{
    errors::{self, WithCauses},
    log_record, panic_safe,
};
use tracing_core::{Field, Metadata, field::Visit};

/// The maximum length of the text of a value, in bytes.
const MAX_VALUE_LEN: usize = 16 * 1024;

/// The fields of an event or a span.
#[derive(Debug, Default, Clone)]
pub(crate) struct Fields {
    pub(crate) message: Option<String>,
    pub(crate) others: Vec<(&'static str, Value)>,
}

/// The text of a field.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    text: String,
    /// The backtrace of an error.
    backtrace: Option<String>,
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self {
            text,
            backtrace: None,
        }
    }
}

impl Value {
    /// Returns the text with the backtrace.
    fn whole(&self) -> Cow<'_, str> {
        match &self.backtrace {
            Some(backtrace) => format!("{}\n{backtrace}", self.text).into(),
            None => self.text.as_str().into(),
        }
    }

    /// Appends the value as [`push_value`] does. If lines may be continued, a backtrace is on lines
    /// of its own, and the text of the error looks the same as without one.
    pub(crate) fn push(&self, out: &mut String, continued: Option<&str>) {
        match (&self.backtrace, continued) {
            (Some(backtrace), Some(start)) => {
                push_value(out, &self.text, continued);
                out.push_str(start);
                if backtrace.split_whitespace().any(looks_like_field) {
                    push_quoted(out, backtrace);
                } else {
                    push_escaped(out, backtrace, continued);
                }
            }
            _ => push_value(out, &self.whole(), continued),
        }
    }
}

impl Fields {
    /// Collects the fields of `callsite` that `record` records.
    pub(crate) fn new(callsite: &Metadata<'_>, record: impl FnOnce(&mut dyn Visit)) -> Self {
        let mut reader = Reader {
            callsite,
            fields: Self::default(),
        };
        record(&mut reader);
        reader.fields
    }

    /// Sets a field. The last value of a name counts.
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

struct Reader<'a> {
    callsite: &'a Metadata<'a>,
    fields: Fields,
}

impl Reader<'_> {
    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>, backtrace: Option<String>) {
        let name = field.name().strip_prefix("r#").unwrap_or(field.name());
        if log_record::is_origin_field(self.callsite, name) {
            return;
        }
        let mut text = String::new();
        if panic_safe::format_into(&mut text, value, MAX_VALUE_LEN) {
            text.push('…');
        }
        // In a span, `message` is an ordinary field.
        if name == "message" && self.callsite.is_event() {
            self.fields.message = Some(Value { text, backtrace }.whole().into_owned());
        } else {
            self.fields.set(name, Value { text, backtrace });
        }
    }
}

impl Visit for Reader<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"), None);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"), None);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let backtrace = errors::short_backtrace(value).map(|backtrace| {
            let backtrace = panic_safe::truncate_at(&backtrace, MAX_VALUE_LEN);
            backtrace.trim_end().to_owned()
        });
        self.add(field, format_args!("{}", WithCauses(value)), backtrace);
    }
}

/// Appends `text`, and escapes characters that end the line, control the terminal, change the
/// direction of text, or are invisible. `continued` replaces a line break: it starts a line unlike
/// any line of a log.
pub(crate) fn push_escaped(out: &mut String, text: &str, continued: Option<&str>) {
    for c in text.chars() {
        match continued {
            Some(continued) if c == '\n' => out.push_str(continued),
            _ if must_be_escaped(c) => out.extend(c.escape_default()),
            _ => out.push(c),
        }
    }
}

/// Returns whether a terminal shows `text` unchanged, and none of its lines starts like a line of a
/// log.
pub(crate) fn is_plain(text: &str) -> bool {
    let mut lines = text.split('\n');
    let first = lines.next().unwrap_or_default();
    !first.contains(must_be_escaped)
        && lines.all(|line| {
            !line.contains(must_be_escaped) && (line.is_empty() || line.starts_with(' '))
        })
}

fn must_be_escaped(c: char) -> bool {
    matches!(c,
        // Controls: C0, DEL and C1.
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // The direction of text.
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
        // Line breaks.
        | '\u{2028}' | '\u{2029}'
        // Invisible: spaces and operators without width, byte order marks, annotations, tags.
        | '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Appends a message, in quotes if a part of it looks like a field or the context.
pub(crate) fn push_message(out: &mut String, text: &str, continued: Option<&str>) {
    let ambiguous = text.starts_with('"') || text.split_whitespace().any(looks_like_field);
    if ambiguous {
        push_quoted(out, text);
    } else {
        push_escaped(out, text, continued);
    }
}

/// `order_id=42`, or the bar in front of the context.
fn looks_like_field(word: &str) -> bool {
    word == "|" || word.find('=').is_some_and(|at| at > 0)
}

/// Appends the name of a target, a field, a span or a file, in quotes if its end would be unclear.
pub(crate) fn push_name(out: &mut String, name: &str) {
    let open_ended = name.is_empty() || name.contains(is_separator);
    if open_ended {
        push_quoted(out, name);
    } else {
        push_escaped(out, name, None);
    }
}

/// Returns whether a name or a value with this character needs quotes. Escaped characters need them
/// too, since an escape has braces.
fn is_separator(c: char) -> bool {
    c.is_whitespace() || must_be_escaped(c) || matches!(c, '=' | '"' | '{' | '}' | '|')
}

/// Appends a value, in quotes if its end would be unclear, so that it cannot forge another field.
pub(crate) fn push_value(out: &mut String, text: &str, continued: Option<&str>) {
    let lines = continued.filter(|_| text.contains('\n'));
    let open_ended = text.is_empty() || text.contains(is_separator);
    let closed = if lines.is_some() {
        // A struct on several lines starts with its name.
        let name = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | ' ');
        is_enclosed(text.trim_start_matches(name))
            || !text.starts_with('"') && !text.split_whitespace().any(looks_like_field)
    } else {
        !open_ended || is_enclosed(text)
    };
    match lines {
        // Like a backtrace, on several lines.
        Some(start) if closed && text.starts_with(' ') => {
            out.push_str(start);
            push_escaped(out, text.trim_end_matches('\n'), lines);
        }
        _ if closed => push_escaped(out, text, lines),
        _ => push_quoted(out, text),
    }
}

/// Appends a text on one line, quoted as `Debug` does.
fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            _ if must_be_escaped(c) => out.extend(c.escape_default()),
            _ => out.push(c),
        }
    }
    out.push('"');
}

/// Returns whether the opening quote or bracket of `text` closes at its end, as in the `Debug` text
/// of a string or a list.
fn is_enclosed(text: &str) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '[' | '{' | '(' if !quoted => depth += 1,
            ']' | '}' | ')' if !quoted => match depth.checked_sub(1) {
                Some(outer) => depth = outer,
                None => return false,
            },
            _ => {}
        }
        if depth == 0 && !quoted {
            return index + c.len_utf8() == text.len() && index > 0;
        }
    }
    false
}

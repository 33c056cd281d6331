//! Values as text that cannot pass for something else.

use std::{borrow::Cow, error::Error, fmt};

use spanwise_core::internal::{
    errors::{self, WithCauses},
    log_record, panic_safe,
};
use tracing_core::{Field, Metadata, field::Visit};

/// The text of a value is cut at this many bytes.
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
    /// Of an error.
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
    /// The text and the backtrace as one.
    fn whole(&self) -> Cow<'_, str> {
        match &self.backtrace {
            Some(backtrace) => format!("{}\n{backtrace}", self.text).into(),
            None => self.text.as_str().into(),
        }
    }

    /// Appends it as [`push_value`] does. Where lines may be continued, a backtrace is on lines of
    /// its own, so that the text of the error looks as it does without.
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
    /// What `record` records of the fields of `callsite`.
    pub(crate) fn new(callsite: &Metadata<'_>, record: impl FnOnce(&mut dyn Visit)) -> Self {
        let mut reader = Reader {
            callsite,
            fields: Self::default(),
        };
        record(&mut reader);
        reader.fields
    }

    /// Of two fields with one name the last stands.
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
        // Of a span, `message` is a field as any other.
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

/// Appends `text` with everything escaped that would end the line, drive the terminal, turn the
/// direction of the writing, or not be seen. `continued` stands for a line break: the next line
/// begins in a way that no line of a log does.
pub(crate) fn push_escaped(out: &mut String, text: &str, continued: Option<&str>) {
    for c in text.chars() {
        match continued {
            Some(continued) if c == '\n' => out.push_str(continued),
            _ if must_be_escaped(c) => out.extend(c.escape_default()),
            _ => out.push(c),
        }
    }
}

/// Whether `text` is on a terminal what it is here, and none of its lines begins as a line of a
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
        // The direction of writing.
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
        // Line breaks.
        | '\u{2028}' | '\u{2029}'
        // Not seen: spaces and operators without width, marks of byte order and annotation, tags.
        | '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Appends a message; in quotes if a part of it could pass for a field or the context.
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

/// Appends a name: of a target, a field, a span or a file; in quotes if its end could not be seen
/// otherwise.
pub(crate) fn push_name(out: &mut String, name: &str) {
    let open_ended = name.is_empty() || name.contains(is_separator);
    if open_ended {
        push_quoted(out, name);
    } else {
        push_escaped(out, name, None);
    }
}

/// Whether a name or a value with it has to be in quotes. What is escaped is too, since an escape
/// has braces.
fn is_separator(c: char) -> bool {
    c.is_whitespace() || must_be_escaped(c) || matches!(c, '=' | '"' | '{' | '}' | '|')
}

/// Appends a value; in quotes if its end could not be seen otherwise, so that it cannot pass for a
/// value and another field.
pub(crate) fn push_value(out: &mut String, text: &str, continued: Option<&str>) {
    let lines = continued.filter(|_| text.contains('\n'));
    let open_ended = text.is_empty() || text.contains(is_separator);
    let closed = if lines.is_some() {
        // A struct in several lines begins with its name.
        let name = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | ' ');
        is_enclosed(text.trim_start_matches(name))
            || !text.starts_with('"') && !text.split_whitespace().any(looks_like_field)
    } else {
        !open_ended || is_enclosed(text)
    };
    match lines {
        // As a backtrace is: its lines stand below each other.
        Some(start) if closed && text.starts_with(' ') => {
            out.push_str(start);
            push_escaped(out, text.trim_end_matches('\n'), lines);
        }
        _ if closed => push_escaped(out, text, lines),
        _ => push_quoted(out, text),
    }
}

/// In one line, as `Debug` quotes a text.
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

/// Whether the quote or bracket that `text` begins with ends at its end, as in what `Debug` writes
/// of a text or a list.
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

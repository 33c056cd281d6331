//! Values as text that cannot pass for something else.

use std::{error::Error, fmt};

use spanwise_core::{guarded, log_record};
use tracing_core::{Field, field::Visit};

/// The text of a value is cut at this many bytes.
const LONGEST: usize = 16 * 1024;

/// The fields of an event or a span.
#[derive(Debug, Default, Clone)]
pub(crate) struct Fields {
    pub(crate) message: Option<String>,
    pub(crate) others: Vec<(&'static str, String)>,
}

impl Fields {
    pub(crate) fn of(record: impl FnOnce(&mut dyn Visit)) -> Self {
        let mut fields = Self::default();
        record(&mut fields);
        fields
    }

    /// Of two fields with one name the last stands.
    pub(crate) fn set(&mut self, name: &'static str, text: String) {
        self.others.retain(|(other, _)| *other != name);
        self.others.push((name, text));
    }

    pub(crate) fn rename(&mut self, from: &str, to: &'static str) {
        let named = self.others.iter_mut().find(|(name, _)| *name == from);
        if let Some((name, _)) = named {
            *name = to;
        }
    }

    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let name = field.name().strip_prefix("r#").unwrap_or(field.name());
        if log_record::is_log_field(name) {
            return;
        }
        let mut text = String::new();
        if guarded::append(&mut text, value, LONGEST) {
            text.push('…');
        }
        match name {
            "message" => self.message = Some(text),
            name => self.set(name, text),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.add(field, format_args!("{}", Chain(value)));
    }
}

/// An error with its causes, on one line.
struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0, f)?;
        let mut cause = self.0.source();
        for _ in 0..16 {
            let Some(error) = cause else { break };
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Appends `text` with everything escaped that would end the line, drive the terminal, or turn the direction of the writing.
/// `continued` stands for a line break: the next line begins in a way that no line of a log does.
pub(crate) fn push_escaped(out: &mut String, text: &str, continued: Option<&str>) {
    for c in text.chars() {
        match (c, continued) {
            ('\n', Some(continued)) => out.push_str(continued),
            ('\t', _) => out.push(c),
            ('\0'..='\u{1f}' | '\u{7f}'..='\u{9f}', _)
            | ('\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}', _) => {
                out.extend(c.escape_default());
            }
            _ => out.push(c),
        }
    }
}

/// Appends a value; in quotes if its end could not be seen otherwise, so that it cannot pass for a value and another field.
pub(crate) fn push_value(out: &mut String, text: &str, continued: Option<&str>) {
    let lines = continued.filter(|_| text.contains('\n'));
    let open_ended =
        text.is_empty() || text.contains([' ', '=', '"']) || text.contains(char::is_control);
    if !open_ended || lines.is_some() || is_enclosed(text) {
        return push_escaped(out, text, lines);
    }
    out.push('"');
    for (index, part) in text.split('"').enumerate() {
        out.push_str(if index == 0 { "" } else { "\\\"" });
        push_escaped(out, part, None);
    }
    out.push('"');
}

/// Whether the quote or bracket that `text` begins with ends at its end, as in what `Debug` writes of a text or a list.
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

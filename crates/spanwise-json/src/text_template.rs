//! Lines of text that a template describes: `text:{level} {time} {message} {fields}`.
//!
//! A template is parsed once, into texts and placeholders. To write a line, the values of the
//! placeholders are copied from the JSON of the encoder.

use std::fmt;

use spanwise_core::{
    ParseError, Problem,
    internal::{suggest::closest, sync::Mutex},
};

use crate::{
    EventView, Format, LineBuf, LineFormat,
    custom_format::CustomFormat,
    escape,
    format::logfmt,
    format_table::{ErrorPart, ErrorShape, EventLevel, FormatTable, Style, ThreadKeys, TimeText},
    line_format::{
        self, ENVIRONMENT, FILE, HOST, LINE, MESSAGE, PID, SERVICE, SPAN, SPANS, TARGET, THREAD,
        THREAD_ID, TIME, VERSION, between_quotes,
    },
};

/// The prefix of a template in `LOG_FORMAT`.
pub(crate) const PREFIX: &str = "text:";

#[derive(Debug)]
struct TextTemplate(Vec<TemplatePiece>);

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum TemplatePiece {
    Text(String),
    Level,
    /// The part of the line with this key.
    Part(&'static str),
    /// The field of this name.
    Field(String),
    /// All fields without a placeholder of their own.
    Fields,
}

/// The placeholders, besides the names of fields.
const PLACEHOLDERS: [(&str, TemplatePiece); 16] = [
    ("time", TemplatePiece::Part(TIME)),
    ("level", TemplatePiece::Level),
    ("target", TemplatePiece::Part(TARGET)),
    ("message", TemplatePiece::Part(MESSAGE)),
    ("fields", TemplatePiece::Fields),
    ("span", TemplatePiece::Part(SPAN)),
    ("spans", TemplatePiece::Part(SPANS)),
    ("file", TemplatePiece::Part(FILE)),
    ("line", TemplatePiece::Part(LINE)),
    ("thread", TemplatePiece::Part(THREAD)),
    ("thread_id", TemplatePiece::Part(THREAD_ID)),
    ("pid", TemplatePiece::Part(PID)),
    ("host", TemplatePiece::Part(HOST)),
    ("service", TemplatePiece::Part(SERVICE)),
    ("version", TemplatePiece::Part(VERSION)),
    ("environment", TemplatePiece::Part(ENVIRONMENT)),
];

/// The prefix of a placeholder that always means a field: `{fields.level}` is the field `level`.
const FIELD_PREFIX: &str = "fields.";

/// The table of all templates: [`line_format::TABLE`], with values as in `logfmt`.
const TABLE: FormatTable = FormatTable {
    style: Style::Words,
    time: TimeText::AsSet,
    spelling: logfmt::TABLE.spelling,
    error: ErrorShape::Members(&[
        (ErrorPart::Message, "error"),
        (ErrorPart::Chain, "error.chain"),
    ]),
    ..line_format::TABLE
};

/// All parsed templates, each with its format. Formats are never freed, so a template that is
/// parsed again gets the same format.
static PARSED: Mutex<Vec<(String, CustomFormat)>> = Mutex::new(Vec::new());

/// Returns the format of a template.
pub(crate) fn format(template: &str) -> Result<Format, ParseError> {
    let mut parsed = PARSED.lock();
    if let Some((_, format)) = parsed.iter().find(|(text, _)| text == template) {
        return Ok(Format::Custom(*format));
    }
    let pieces = parse(template)?;
    let shows = |key: &str| {
        pieces
            .iter()
            .any(|piece| matches!(piece, TemplatePiece::Part(part) if *part == key))
    };
    let table = FormatTable {
        thread: ThreadKeys {
            always: shows(THREAD),
            ..TABLE.thread
        },
        ..TABLE
    };
    let name = format!("{PREFIX}{template}");
    let has_thread_id = shows(THREAD_ID);
    let code = Box::new(TextTemplate(pieces));
    let format = CustomFormat::from_code(name, table, code, has_thread_id);
    parsed.push((template.to_owned(), format));
    Ok(Format::Custom(format))
}

/// Returns whether the format is a template that has none of the placeholders `names`.
pub(crate) fn hides(format: &Format, names: &[&str]) -> bool {
    let name = format.to_string();
    let template = name.strip_prefix(PREFIX);
    let pieces = template.and_then(|template| parse(template).ok());
    let mut named = PLACEHOLDERS.iter().filter(|(name, _)| names.contains(name));
    pieces.is_some_and(|pieces| !named.any(|(_, piece)| pieces.contains(piece)))
}

/// Splits a template into texts and placeholders. `{{` and `}}` represent braces in a text.
fn parse(template: &str) -> Result<Vec<TemplatePiece>, ParseError> {
    let mut pieces: Vec<TemplatePiece> = Vec::new();
    let mut problems: Vec<Problem> = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        push_text(&mut pieces, &rest[..at]);
        let (brace, behind) = rest[at..].split_at(1);
        if let Some(behind) = behind.strip_prefix(brace) {
            push_text(&mut pieces, brace);
            rest = behind;
            continue;
        }
        match behind.split_once('}') {
            Some((name, behind)) if brace == "{" => {
                match placeholder(name) {
                    Ok(piece) => pieces.push(piece),
                    Err(problem) => problems.push(problem),
                }
                rest = behind;
            }
            _ => {
                let text = &rest[at..];
                problems.push(Problem::new(format!(
                    "`{text}` has an unmatched brace: write `{brace}{brace}` for the character"
                )));
                rest = "";
            }
        }
    }
    push_text(&mut pieces, rest);
    if problems.is_empty()
        && !pieces
            .iter()
            .any(|piece| !matches!(piece, TemplatePiece::Text(_)))
    {
        problems.push(Problem::new(
            "a template needs a placeholder, such as `text:{level} {time} {message} {fields}`",
        ));
    }
    ParseError::check(problems).map(|()| pieces)
}

/// Appends a text. If the last piece is a text, too, joins the two.
fn push_text(pieces: &mut Vec<TemplatePiece>, text: &str) {
    match pieces.last_mut() {
        _ if text.is_empty() => {}
        Some(TemplatePiece::Text(last)) => last.push_str(text),
        _ => pieces.push(TemplatePiece::Text(text.to_owned())),
    }
}

/// Returns the placeholder with this name, which may be the name of a field. A name that is nearly
/// that of a part is a problem, because it is probably misspelled.
fn placeholder(name: &str) -> Result<TemplatePiece, Problem> {
    if let Some((_, piece)) = PLACEHOLDERS.iter().find(|(other, _)| *other == name) {
        return Ok(piece.clone());
    }
    let prefixed_field = name.strip_prefix(FIELD_PREFIX);
    let is_allowed = |c: char| c.is_alphanumeric() || "_.-@/:$*".contains(c);
    let field_name = prefixed_field.unwrap_or(name);
    if field_name.is_empty() || !field_name.chars().all(is_allowed) {
        return Err(Problem::new(format!(
            "`{{{name}}}` is not a placeholder: write the name of a part or of a field"
        )));
    }
    let names = PLACEHOLDERS.iter().map(|(name, _)| *name);
    let meant = closest(name, names).filter(|_| prefixed_field.is_none());
    match meant {
        Some(meant) => Err(Problem::new(format!(
            "`{{{name}}}` is not a placeholder: did you mean `{{{meant}}}`? write `{{fields.{name}}}` for a field of this name"
        ))),
        None => Ok(TemplatePiece::Field(field_name.to_owned())),
    }
}

impl TextTemplate {
    /// Returns whether the field has a placeholder of its own.
    fn has_placeholder(&self, key: &str) -> bool {
        let mut pieces = self.0.iter();
        pieces.any(|piece| matches!(piece, TemplatePiece::Field(name) if name == key))
    }

    /// Writes the fields that have no placeholder of their own, as `key=value`.
    fn push_fields(&self, event: &EventView<'_>, line: &mut LineBuf<'_>) {
        let fields = event.raw_fields().iter();
        let others = fields.filter(|(key, _)| !self.has_placeholder(key));
        for (index, (key, value)) in others.enumerate() {
            if index > 0 {
                line.encoded(b" ");
            }
            line.encoded(key.as_bytes());
            line.encoded(b"=");
            line.encoded(logfmt::word(value.as_bytes()));
        }
    }
}

impl LineFormat for TextTemplate {
    fn write(&self, event: &EventView<'_>, line: &mut LineBuf<'_>) -> fmt::Result {
        for piece in &self.0 {
            match piece {
                TemplatePiece::Text(text) => line.raw(text),
                TemplatePiece::Level => line.raw(level_name(event.event_level())),
                TemplatePiece::Part(key) => push_value(line, event.part(key)),
                TemplatePiece::Field(name) => {
                    let mut fields = event.raw_fields().iter();
                    if let Some((_, value)) = fields.find(|(key, _)| key == name) {
                        push_value(line, value);
                    }
                }
                TemplatePiece::Fields => self.push_fields(event, line),
            }
        }
        line.trim_end();
        Ok(())
    }
}

const fn level_name(level: EventLevel) -> &'static str {
    match level {
        EventLevel::Trace => "TRACE",
        EventLevel::Debug => "DEBUG",
        EventLevel::Info => "INFO",
        EventLevel::Warn => "WARN",
        EventLevel::Error => "ERROR",
        EventLevel::Critical => "CRITICAL",
    }
}

/// Writes a value. A text is written without quotes around it, and quotes inside it are not
/// escaped. All other escapes of the encoder remain.
fn push_value(line: &mut LineBuf<'_>, json: &str) {
    let Some(text) = between_quotes(json) else {
        return line.encoded(json.as_bytes());
    };
    let mut rest = text.as_bytes();
    if escape::is_plain(rest) {
        return line.encoded(rest);
    }
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let (before, escape) = rest.split_at(at);
        line.encoded(before);
        let (escape, behind) = escape.split_at(2.min(escape.len()));
        line.encoded(escape.strip_suffix(b"\"").map_or(escape, |_| b"\""));
        rest = behind;
    }
    line.encoded(rest);
}

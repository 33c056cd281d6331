//! Formats whose lines your code writes: it reads an [`EventView`] and writes to a [`LineBuf`].
//!
//! The encoder first writes flat JSON, which the view reads. In this JSON, the *parts* of the line,
//! such as level and target, have keys that no field can have. So fields are deduplicated, redacted
//! and cut as in all other formats, and each value is formatted once.

use std::{
    borrow::Cow,
    fmt,
    time::{Duration, SystemTime},
};

use spanwise_core::internal::panic_safe::{self, FORMAT_ERROR, PANICKED};
use tracing_core::Level;

use crate::{
    Format,
    builder::Options,
    conversion::kind_of,
    escape,
    format::{SAMPLE_RATE, json},
    format_table::{
        EventLevel, FormatTable, Kind, MessageKey, PartInputs, ProcessKeys, ThreadKeys, TimeText,
        environment, host, process_id, service_name, service_node, service_version, source_file,
        target,
    },
    json_lexer::members,
    line_buffer::LineBuffer,
    rewrite::Rewrite,
};

/// Code that writes the lines of a format: see [`Format::from_code`].
///
/// A line costs several times as much as with [`Format::custom`], because the encoder first writes
/// JSON, which your code then reads.
///
/// ```
/// use std::fmt;
/// use spanwise_json::{EventView, Format, JsonLayer, LineBuf, LineFormat};
/// use tracing_subscriber::prelude::*;
/// # let lines = spanwise_testing::support::Lines::default();
///
/// struct Brackets;
///
/// impl LineFormat for Brackets {
///     fn write(&self, event: &EventView<'_>, line: &mut LineBuf<'_>) -> fmt::Result {
///         line.raw("[");
///         line.raw(event.level().as_str());
///         line.raw("] ");
///         line.text(&event.message().unwrap_or_default());
///         for (name, value) in event.fields() {
///             line.raw(" {");
///             line.text(&name);
///             line.raw(": ");
///             line.value(&value);
///             line.raw("}");
///         }
///         Ok(())
///     }
/// }
///
/// let layer = JsonLayer::new().format(Format::from_code("brackets", Brackets)?);
/// # let layer = layer.with_writer(lines.clone());
/// let _default = tracing_subscriber::registry().with(layer).set_default();
/// tracing::warn!(order_id = 42, "a second\nline");
/// # assert_eq!(lines.text(), "[WARN] a second\\nline {order_id: 42}\n");
/// # Ok::<(), spanwise_json::FormatError>(())
/// ```
///
/// prints `[WARN] a second\nline {order_id: 42}`, on one line.
pub trait LineFormat: Send + Sync + 'static {
    /// Writes the line of an event. If this panics, the line is `<panicked while formatting>`
    /// instead.
    ///
    /// # Errors
    /// If this returns an error, the line is `<format error>` instead.
    fn write(&self, event: &EventView<'_>, line: &mut LineBuf<'_>) -> fmt::Result;
}

/// The value of a field, after redaction.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum LineValue<'a> {
    /// A text. Also a number that is shown as text: NaN, an infinity, or one of more than 64 bits.
    Text(Cow<'a, str>),
    /// A whole number of 64 bits.
    Unsigned(u64),
    /// A negative whole number of 64 bits.
    Signed(i64),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// An array, an object or `null`, as JSON. An error is `{"message":…,"chain":[…]}`.
    Json(&'a str),
}

/// An event, as a [`LineFormat`] sees it.
pub struct EventView<'a> {
    /// The JSON of each part. Empty if the line does not have the part.
    parts: [&'a str; PART_COUNT],
    /// The key of each field, without quotes, and the JSON of its value.
    fields: Vec<(&'a str, &'a str)>,
}

/// A line that is being written. It stays one line: line breaks and all other characters that end a
/// line or control a terminal are escaped as in JSON.
pub struct LineBuf<'l> {
    line: &'l mut LineBuffer,
}

/// The keys of the parts: `#`, then a letter for the index in [`EventView::parts`], `A` for 0.
pub(crate) const TIME: &str = "#A";
const LEVEL: &str = "#B";
pub(crate) const TARGET: &str = "#C";
pub(crate) const MESSAGE: &str = "#D";
pub(crate) const SPAN: &str = "#E";
pub(crate) const SPANS: &str = "#F";
pub(crate) const FILE: &str = "#G";
pub(crate) const LINE: &str = "#H";
pub(crate) const THREAD: &str = "#I";
pub(crate) const THREAD_ID: &str = "#J";
pub(crate) const SERVICE: &str = "#K";
pub(crate) const VERSION: &str = "#L";
pub(crate) const ENVIRONMENT: &str = "#M";
pub(crate) const HOST: &str = "#N";
pub(crate) const PID: &str = "#O";
pub(crate) const NODE: &str = "#P";
/// The number of parts.
const PART_COUNT: usize = 16;
/// The first byte of the key of a part.
const PART_PREFIX: u8 = b'#';

/// The table of formats with lines that code writes.
pub(crate) const TABLE: FormatTable = FormatTable {
    timestamp: TIME,
    time: TimeText::EpochNanos,
    head: &[(LEVEL, level), (TARGET, target)],
    message: MessageKey {
        key: MESSAGE,
        is_text: true,
        missing: None,
        blank: None,
    },
    span: SPAN,
    spans: SPANS,
    origin: &[(FILE, source_file), (LINE, line_number)],
    thread: ThreadKeys {
        name: THREAD,
        id: THREAD_ID,
        always: false,
    },
    tail: &[
        (SERVICE, service_name),
        (VERSION, service_version),
        (ENVIRONMENT, environment),
        (HOST, host),
        (PID, process_id),
        (NODE, service_node),
    ],
    reserved_prefixes: &["#"],
    listed_names: &[(MESSAGE, "message"), (SPANS, "spans")],
    // Your code decides which parts a line shows, and under which names. So options cannot.
    required: &[
        TIME,
        LEVEL,
        TARGET,
        MESSAGE,
        SPAN,
        SPANS,
        FILE,
        LINE,
        THREAD,
        THREAD_ID,
        SERVICE,
        VERSION,
        ENVIRONMENT,
        HOST,
        PID,
        NODE,
    ],
    process: ProcessKeys {
        host: HOST,
        pid: PID,
    },
    rewrite: Some(Rewrite {
        start: |_| Vec::new(),
        line: write_line,
        by_parts: None,
    }),
    ..json::TABLE
};

fn level(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    Some(inputs.by_level(["0", "1", "2", "3", "4", "5"]).into())
}

fn line_number(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    Some(inputs.line?.to_string().into_bytes())
}

/// Calls the code of the format, which writes the line to `to`. `json` is the event as flat JSON.
fn write_line(options: &Options, json: &[u8], to: &mut LineBuffer) {
    let Format::Custom(custom) = &options.format else {
        return;
    };
    let Some(code) = custom.code() else { return };
    let start = to.len();
    // UTF-8 is checked once for the line, not for each value.
    let Ok(json) = std::str::from_utf8(json) else {
        return;
    };
    let event = EventView::new(json);
    let mut buffer = LineBuf { line: to };
    let written = panic_safe::catch_panic(|| code.write(&event, &mut buffer));
    let replacement = match written {
        Some(Ok(())) => None,
        Some(Err(fmt::Error)) => Some(FORMAT_ERROR),
        None => Some(PANICKED),
    };
    if let Some(replacement) = replacement {
        to.truncate(start);
        to.push(replacement.as_bytes());
    }
    to.push_byte(b'\n');
}

impl<'a> EventView<'a> {
    fn new(json: &'a str) -> Self {
        let mut view = Self {
            parts: [""; PART_COUNT],
            fields: Vec::with_capacity(16),
        };
        let mut next_start = 0;
        for member in members(json.as_bytes()) {
            let (start, end) = (next_start, next_start + member.bytes.len());
            next_start = end;
            let value_start = start + member.opening().len();
            // Without the comma and the quote before the key, and the quote and the colon after it.
            let key = json.get(start + 2..value_start - 2);
            let texts = (key, json.get(value_start..end));
            let (Some(key), Some(value)) = texts else {
                continue;
            };
            let index = match key.as_bytes() {
                [PART_PREFIX, letter] => usize::from(letter.wrapping_sub(b'A')),
                _ => PART_COUNT,
            };
            match view.parts.get_mut(index) {
                Some(part) => *part = value,
                None => view.fields.push((key, value)),
            }
        }
        view
    }

    /// Returns the JSON of the part with this key. Empty if the line does not have the part.
    pub(crate) fn part(&self, key: &str) -> &'a str {
        let index = usize::from(key.as_bytes()[1] - b'A');
        self.parts[index]
    }

    fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        between_quotes(self.part(key)).map(unescaped)
    }

    fn number(&self, key: &str) -> Option<u64> {
        let part = self.part(key);
        between_quotes(part).unwrap_or(part).parse().ok()
    }

    /// Returns the time of the event. `None` if the layer omits timestamps.
    #[must_use]
    pub fn time(&self) -> Option<SystemTime> {
        let nanos = self.number(TIME)?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(nanos))
    }

    pub(crate) fn event_level(&self) -> EventLevel {
        match self.part(LEVEL) {
            "0" => EventLevel::Trace,
            "1" => EventLevel::Debug,
            "2" => EventLevel::Info,
            "3" => EventLevel::Warn,
            "5" => EventLevel::Critical,
            _ => EventLevel::Error,
        }
    }

    /// Returns the level. It is ERROR for a critical event.
    #[must_use]
    pub fn level(&self) -> Level {
        match self.event_level() {
            EventLevel::Trace => Level::TRACE,
            EventLevel::Debug => Level::DEBUG,
            EventLevel::Info => Level::INFO,
            EventLevel::Warn => Level::WARN,
            EventLevel::Error | EventLevel::Critical => Level::ERROR,
        }
    }

    /// Returns whether the event is more severe than ERROR: see `spanwise::critical!`.
    #[must_use]
    pub fn is_critical(&self) -> bool {
        self.event_level() == EventLevel::Critical
    }

    /// Returns the target. Empty if the layer omits it.
    #[must_use]
    pub fn target(&self) -> Cow<'a, str> {
        self.text(TARGET).unwrap_or_default()
    }

    /// Returns the message. `None` if the event has none.
    #[must_use]
    pub fn message(&self) -> Option<Cow<'a, str>> {
        self.text(MESSAGE)
    }

    /// Returns the fields: those of the event, then those of the spans from the innermost outwards.
    /// Each name occurs once, with the nearest value. Static fields are included, and so are
    /// members about the line, such as `truncated`, `redacted` and `sample_rate`.
    pub fn fields(&self) -> impl Iterator<Item = (Cow<'a, str>, LineValue<'a>)> {
        let fields = self.fields.iter();
        fields.map(|(key, value)| (unescaped(key), LineValue::new(value)))
    }

    /// Returns the value of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<LineValue<'a>> {
        let mut fields = self.fields.iter();
        let (_, value) = fields.find(|(key, _)| unescaped(key) == name)?;
        Some(LineValue::new(value))
    }

    /// Returns the key of each field, which may have escapes, and the JSON of its value.
    pub(crate) fn raw_fields(&self) -> &[(&'a str, &'a str)] {
        &self.fields
    }

    /// Returns the name of the innermost span. `None` outside of spans.
    #[must_use]
    pub fn span(&self) -> Option<Cow<'a, str>> {
        self.text(SPAN)
    }

    /// Returns the names of the spans around the event, outermost first.
    #[must_use]
    pub fn spans(&self) -> Vec<String> {
        serde_json::from_str(self.part(SPANS)).unwrap_or_default()
    }

    /// Returns the source file.
    #[must_use]
    pub fn file(&self) -> Option<Cow<'a, str>> {
        self.text(FILE)
    }

    /// Returns the line in the source file.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        self.number(LINE)
    }

    /// Returns the name of the thread, if the layer [shows it](crate::JsonLayer::with_thread_name).
    #[must_use]
    pub fn thread(&self) -> Option<Cow<'a, str>> {
        self.text(THREAD)
    }

    /// Returns the name of the service.
    #[must_use]
    pub fn service_name(&self) -> Option<Cow<'a, str>> {
        self.text(SERVICE)
    }

    /// Returns the version of the service.
    #[must_use]
    pub fn service_version(&self) -> Option<Cow<'a, str>> {
        self.text(VERSION)
    }

    /// Returns the environment of the service.
    #[must_use]
    pub fn service_environment(&self) -> Option<Cow<'a, str>> {
        self.text(ENVIRONMENT)
    }

    /// Returns the name of this instance of the service.
    #[must_use]
    pub fn service_node(&self) -> Option<Cow<'a, str>> {
        self.text(NODE)
    }

    /// Returns the ratio of events like this one that a sampler kept. `None` if it dropped none.
    #[must_use]
    pub fn sample_rate(&self) -> Option<f64> {
        match self.field(SAMPLE_RATE)? {
            LineValue::Float(rate) => Some(rate),
            LineValue::Unsigned(rate) => Some(rate as f64),
            _ => None,
        }
    }
}

impl fmt::Debug for EventView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventView")
            .field("level", &self.level())
            .field("target", &self.target())
            .field("message", &self.message())
            .field("fields", &self.fields().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl<'a> LineValue<'a> {
    fn new(json: &'a str) -> Self {
        let parsed = match kind_of(json.as_bytes()) {
            Kind::Text => between_quotes(json).map(|text| Self::Text(unescaped(text))),
            Kind::Bool => Some(Self::Bool(json == "true")),
            Kind::Integer if json.starts_with('-') => json.parse().ok().map(Self::Signed),
            Kind::Integer => json.parse().ok().map(Self::Unsigned),
            Kind::Number => json.parse().ok().map(Self::Float),
            Kind::Nested => None,
        };
        parsed.unwrap_or(Self::Json(json))
    }
}

/// Writes the value as text, without escapes.
impl fmt::Display for LineValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Unsigned(number) => number.fmt(f),
            Self::Signed(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Bool(value) => value.fmt(f),
            Self::Json(json) => f.write_str(json),
        }
    }
}

impl LineBuf<'_> {
    /// Writes text that belongs to the format, such as brackets. Escapes the characters that would
    /// end the line or control a terminal, but neither quotes nor backslashes.
    pub fn raw(&mut self, text: &str) {
        if escape::push_clean_text(self.line, text) {
            return;
        }
        for piece in text.split_inclusive(['"', '\\']) {
            let (piece, syntax) = piece.split_at(piece.trim_end_matches(['"', '\\']).len());
            self.text(piece);
            self.line.push(syntax.as_bytes());
        }
    }

    /// Writes a text like a JSON string, without the quotes around it. Quotes and backslashes in
    /// the text are escaped, so that it does not look like syntax of the format.
    pub fn text(&mut self, text: &str) {
        escape::push_text(self.line, text);
    }

    /// Writes a JSON string, with its quotes.
    pub fn json_str(&mut self, text: &str) {
        self.line.push_byte(b'"');
        self.text(text);
        self.line.push_byte(b'"');
    }

    /// Writes the value of a field: a text as [`text`](Self::text) does, and all other values as
    /// JSON.
    pub fn value(&mut self, value: &LineValue<'_>) {
        match value {
            LineValue::Text(text) => self.text(text),
            LineValue::Json(json) => self.raw(json),
            LineValue::Unsigned(number) => self.number(*number),
            LineValue::Signed(number) => self.number(*number),
            LineValue::Float(number) => {
                let mut digits = zmij::Buffer::new();
                self.encoded(digits.format(*number).as_bytes());
            }
            LineValue::Bool(true) => self.encoded(b"true"),
            LineValue::Bool(false) => self.encoded(b"false"),
        }
    }

    fn number(&mut self, number: impl itoa::Integer) {
        let mut digits = itoa::Buffer::new();
        self.encoded(digits.format(number).as_bytes());
    }

    /// Writes bytes that the encoder has escaped.
    pub(crate) fn encoded(&mut self, bytes: &[u8]) {
        self.line.push_short(bytes);
    }

    /// Removes white space at the end of the line, for a line whose last value is missing.
    pub(crate) fn trim_end(&mut self) {
        let trimmed_len = self.line.as_bytes().trim_ascii_end().len();
        self.line.truncate(trimmed_len);
    }
}

/// Writes like [`raw`](LineBuf::raw), so that `write!` can be used.
impl fmt::Write for LineBuf<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.raw(text);
        Ok(())
    }
}

impl fmt::Debug for LineBuf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(self.line.as_bytes());
        f.debug_tuple("LineBuf").field(&text).finish()
    }
}

/// Returns a JSON string without its quotes. `None` for any other JSON.
pub(crate) fn between_quotes(json: &str) -> Option<&str> {
    json.strip_prefix('"')?.strip_suffix('"')
}

/// Returns the text that `text`, a JSON string without its quotes, represents.
fn unescaped(text: &str) -> Cow<'_, str> {
    if escape::is_plain(text.as_bytes()) || !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(serde_json::from_str(&format!("\"{text}\"")).unwrap_or_default())
}

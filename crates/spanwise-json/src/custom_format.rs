//! Formats that your program defines: tables for the encoder that are built at run time.
//!
//! The encoder reads tables with keys of the type `&'static str`, because the built-in formats are
//! constants. So a custom format is never freed. A program has few, and uses them until it ends.

mod key_checks;

use std::{borrow::Cow, error::Error, fmt, ptr};

use serde_core::Serialize;

use self::key_checks::name_problem;
use crate::{
    Format, LineFormat, Timestamp,
    builder::encoded,
    format::json,
    format_table::{
        ErrorPart, ErrorShape, FormatTable, Known, MessageKey, Part, PartInputs, PartValue,
        ThreadKeys, TimeText, critical, environment, file, level, line, service_name, service_node,
        service_version, target, text,
    },
    line_format,
    spelling::{Spell, Spelling},
};

/// A format that a program has built with [`Format::custom`] or [`Format::from_code`], or a
/// template.
#[derive(Clone, Copy)]
pub struct CustomFormat(&'static CustomTable);

pub(crate) struct CustomTable {
    name: &'static str,
    /// The texts of the levels from TRACE to ERROR, then of critical events.
    levels: [&'static str; 6],
    table: FormatTable,
    /// The code that writes the lines, if there is any.
    code: Option<Box<dyn LineFormat>>,
    has_thread_id: bool,
}

impl CustomFormat {
    pub(crate) fn code(&self) -> Option<&'static dyn LineFormat> {
        self.0.code.as_deref()
    }

    /// Returns whether lines have the id of the thread.
    pub(crate) fn has_thread_id(&self) -> bool {
        self.0.has_thread_id
    }

    /// Creates a format from code that writes its lines. It is never freed.
    pub(crate) fn from_code(
        name: String,
        table: FormatTable,
        code: Box<dyn LineFormat>,
        has_thread_id: bool,
    ) -> Self {
        Self(Box::leak(Box::new(CustomTable {
            name: leak(name),
            levels: Default::default(),
            table,
            code: Some(code),
            has_thread_id,
        })))
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.0.name
    }

    pub(crate) const fn table(&self) -> &'static FormatTable {
        &self.0.table
    }
}

/// Two formats are equal if they come from one call of [`FormatBuilder::build`] or
/// [`Format::from_code`], or from the same template.
impl PartialEq for CustomFormat {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self.0, other.0)
    }
}

impl Eq for CustomFormat {}

impl fmt::Debug for CustomFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CustomFormat").field(&self.name()).finish()
    }
}

/// Builds a format of flat JSON lines from names and values. Start with [`Format::custom`].
///
/// The defaults are those of [`Format::Json`]. The rules for all formats apply: no key is repeated,
/// no field changes a key of the line, and no field is lost. The format is as fast as a built-in
/// one.
///
/// ```
/// use spanwise_json::{ErrorLayout, Format, JsonLayer, OtherFields, Timestamp};
/// use tracing_subscriber::prelude::*;
/// # let lines = spanwise_testing::support::Lines::default();
///
/// let acme = Format::custom("acme")
///     .timestamp("ts", Timestamp::millis())
///     .level("sev", ["trace", "debug", "info", "warn", "error", "fatal"])
///     .message("text")
///     .target("logger")
///     .field("request_id", "rid")
///     .other_fields(OtherFields::Prefix("x_".to_owned()))
///     .error(ErrorLayout::Text)
///     .constant("schema", 3)
///     .build()?;
/// let layer = JsonLayer::new().format(acme);
/// # let layer = layer.clock(spanwise_testing::support::fixed_clock()).with_writer(lines.clone());
/// let _default = tracing_subscriber::registry().with(layer).set_default();
///
/// tracing::info!(target: "shop", request_id = "r-1", order_id = 42, "order created");
/// # assert_eq!(
/// #     lines.text(),
/// #     concat!(
/// #         r#"{"ts":"2026-11-20T09:08:07.123Z","sev":"info","logger":"shop","text":"order created","#,
/// #         r#""rid":"r-1","x_order_id":42,"schema":3}"#,
/// #         "\n"
/// #     )
/// # );
/// # Ok::<(), spanwise_json::FormatError>(())
/// ```
///
/// prints, on one line:
///
/// ```json
/// {"ts":"2026-11-20T09:08:07.123Z","sev":"info","logger":"shop","text":"order created",
///  "rid":"r-1","x_order_id":42,"schema":3}
/// ```
#[derive(Debug, Clone)]
#[must_use = "there is no format until `build` is called"]
pub struct FormatBuilder {
    name: String,
    timestamp: String,
    time: Option<Timestamp>,
    level: String,
    levels: Option<[String; 6]>,
    target: String,
    message: String,
    span: String,
    /// The keys of the file and of the line.
    location: [String; 2],
    thread: String,
    /// The keys of the name, the version, the environment and the node.
    service: [Option<String>; 4],
    fields: Vec<(String, String)>,
    other_fields: OtherFields,
    error: ErrorLayout,
    constants: Vec<(String, Vec<u8>)>,
}

/// The names of the fields for which a format has no key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtherFields {
    /// The names as they were logged.
    #[default]
    AsLogged,
    /// The names as they were logged, after this prefix.
    Prefix(String),
}

/// How a format shows the error of an event. The error is the field `error`, `err`, `e` or
/// `exception`. If an event has several of them, it is the first with an error as its value, or
/// else the first with a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorLayout {
    /// An object with `message` and `chain`, and with `type` and `backtrace` if known, under the
    /// name of the field.
    #[default]
    Object,
    /// Text: the message is `error`, and the causes are `error.chain`, joined by `: `.
    Text,
    /// A text for each part, with these keys.
    Parts {
        /// The key of the message.
        message: String,
        /// The key of the type's short name.
        kind: String,
        /// The key of a text with the message, the causes and the backtrace, each on its own line.
        stack: String,
    },
}

/// The mistakes in a format.
#[derive(Clone, PartialEq, Eq)]
pub struct FormatError {
    problems: Vec<String>,
}

impl FormatError {
    /// Returns each mistake.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("; "))
    }
}

/// Writes the same text as `Display`, so that the error is readable if `main` returns it.
impl fmt::Debug for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for FormatError {}

impl Format {
    /// Starts a format of your own. The name has letters, digits, `-` and `_`, and is not that of a
    /// built-in format.
    pub fn custom(name: impl Into<String>) -> FormatBuilder {
        let table = &json::TABLE;
        FormatBuilder {
            name: name.into(),
            timestamp: table.timestamp.to_owned(),
            time: None,
            level: "level".to_owned(),
            levels: None,
            target: "target".to_owned(),
            message: table.message.key.to_owned(),
            span: table.span.to_owned(),
            location: ["file", "line"].map(str::to_owned),
            thread: table.thread.name.to_owned(),
            service: Default::default(),
            fields: Vec::new(),
            other_fields: OtherFields::default(),
            error: ErrorLayout::default(),
            constants: Vec::new(),
        }
    }
}

impl Format {
    /// Creates a format from code that writes its lines. The name has letters, digits, `-` and `_`.
    /// The format is never freed, so create each of your formats once.
    ///
    /// # Errors
    /// A name that is not valid, or that of a built-in format.
    pub fn from_code(
        name: impl Into<String>,
        format: impl LineFormat,
    ) -> Result<Self, FormatError> {
        let name = name.into();
        if let Some(problem) = name_problem(&name) {
            return Err(FormatError {
                problems: vec![problem],
            });
        }
        let custom = CustomFormat::from_code(name, line_format::TABLE, Box::new(format), false);
        Ok(Self::Custom(custom))
    }
}

impl FormatBuilder {
    /// Sets the key and the text of the timestamp. Defaults to the key `timestamp`, and to the text
    /// that the layer or `LOG_TIME` sets.
    pub fn timestamp(mut self, key: impl Into<String>, timestamp: Timestamp) -> Self {
        (self.timestamp, self.time) = (key.into(), Some(timestamp));
        self
    }

    /// Sets the key of the level, and the texts of TRACE, DEBUG, INFO, WARN, ERROR and of a
    /// critical event. Defaults to `level` with the names of `tracing`. By default, a critical
    /// event is at ERROR, with the additional member `"critical":true`.
    pub fn level(mut self, key: impl Into<String>, texts: [&str; 6]) -> Self {
        (self.level, self.levels) = (key.into(), Some(texts.map(str::to_owned)));
        self
    }

    /// Sets the key of the target. Defaults to `target`.
    pub fn target(mut self, key: impl Into<String>) -> Self {
        self.target = key.into();
        self
    }

    /// Sets the key of the message. Defaults to `message`.
    pub fn message(mut self, key: impl Into<String>) -> Self {
        self.message = key.into();
        self
    }

    /// Sets the key of the name of the innermost span. Defaults to `span`.
    pub fn span(mut self, key: impl Into<String>) -> Self {
        self.span = key.into();
        self
    }

    /// Sets the keys of the source file and line, which lines have on request. Defaults to `file`
    /// and `line`.
    pub fn location(mut self, file: impl Into<String>, line: impl Into<String>) -> Self {
        self.location = [file.into(), line.into()];
        self
    }

    /// Sets the key of the name of the thread, which lines have on request. Defaults to
    /// `thread_name`.
    pub fn thread(mut self, key: impl Into<String>) -> Self {
        self.thread = key.into();
        self
    }

    /// Sets the key of the name of the service. Without keys for name, version, environment and
    /// node, lines have an object with all four under the key `service`.
    pub fn service_name(mut self, key: impl Into<String>) -> Self {
        self.service[0] = Some(key.into());
        self
    }

    /// Sets the key of the version of the service.
    pub fn service_version(mut self, key: impl Into<String>) -> Self {
        self.service[1] = Some(key.into());
        self
    }

    /// Sets the key of the environment of the service.
    pub fn service_environment(mut self, key: impl Into<String>) -> Self {
        self.service[2] = Some(key.into());
        self
    }

    /// Sets the key of the name of this instance of the service.
    pub fn service_node(mut self, key: impl Into<String>) -> Self {
        self.service[3] = Some(key.into());
        self
    }

    /// Shows the field `name` under `key`.
    pub fn field(mut self, name: impl Into<String>, key: impl Into<String>) -> Self {
        self.fields.push((name.into(), key.into()));
        self
    }

    /// Sets the names of all fields for which [`field`](Self::field) sets no key. Defaults to
    /// [`OtherFields::AsLogged`].
    pub fn other_fields(mut self, names: OtherFields) -> Self {
        self.other_fields = names;
        self
    }

    /// Sets how the error of an event is shown. Defaults to [`ErrorLayout::Object`].
    pub fn error(mut self, layout: ErrorLayout) -> Self {
        self.error = layout;
        self
    }

    /// Adds a member with the same value to each line. A value that fails to serialize becomes a
    /// string with the error.
    pub fn constant(mut self, key: impl Into<String>, value: impl Serialize) -> Self {
        self.constants.push((key.into(), encoded(&value)));
        self
    }

    /// Builds the format. It is never freed, so build each of your formats once.
    ///
    /// # Errors
    /// - A name that has other characters than letters, digits, `-` and `_`, that is empty, or that
    ///   is the name of a built-in format.
    /// - A key, or an [`OtherFields::Prefix`], that is empty, is longer than 64 bytes, has control
    ///   characters, or begins with `fields.` or `added.`.
    /// - Two parts with one key, or a field with two keys.
    pub fn build(self) -> Result<Format, FormatError> {
        let problems = self.problems();
        if !problems.is_empty() {
            return Err(FormatError { problems });
        }
        let levels = self.levels.clone().map(|levels| levels.map(leak));
        let table = CustomTable {
            name: leak(self.name.clone()),
            levels: levels.unwrap_or_default(),
            table: self.table(),
            code: None,
            has_thread_id: false,
        };
        Ok(Format::Custom(CustomFormat(Box::leak(Box::new(table)))))
    }

    /// Returns the parts of an error, each with its key.
    fn error_parts(&self) -> Vec<(ErrorPart, String)> {
        match &self.error {
            ErrorLayout::Object => Vec::new(),
            ErrorLayout::Text => vec![
                (ErrorPart::Message, "error".to_owned()),
                (ErrorPart::Chain, "error.chain".to_owned()),
            ],
            ErrorLayout::Parts {
                message,
                kind,
                stack,
            } => vec![
                (ErrorPart::Message, message.clone()),
                (ErrorPart::Type, kind.clone()),
                (ErrorPart::Stack, stack.clone()),
            ],
        }
    }

    /// Returns a name as [`OtherFields`] changes it.
    fn spelled(&self, name: &str) -> String {
        match &self.other_fields {
            OtherFields::AsLogged => name.to_owned(),
            OtherFields::Prefix(prefix) => format!("{prefix}{name}"),
        }
    }

    fn table(&self) -> FormatTable {
        let base = &json::TABLE;
        let key = |key: &String| leak(key.clone());
        let mut head: Vec<Part> = match self.levels {
            Some(_) => vec![(key(&self.level), custom_level)],
            None => vec![(key(&self.level), level), ("critical", critical)],
        };
        head.push((key(&self.target), target));
        let [file_key, line_key] = &self.location;
        let origin: Vec<Part> = vec![(key(file_key), file), (key(line_key), line)];
        let service: [PartValue; 4] = [service_name, service_version, environment, service_node];
        let named = self.service.iter().zip(service);
        let named = named.filter_map(|(name, value)| Some((key(name.as_ref()?), value)));
        let mut tail: Vec<Part> = named.collect();
        if tail.is_empty() {
            tail.extend(base.tail);
        }
        let known = self.fields.iter();
        let known: Vec<_> = known
            .map(|(name, to)| (key(name), Known::Named(key(to))))
            .collect();
        let constants = self.constants.iter();
        let constants: Vec<(&'static str, &'static [u8])> = constants
            .map(|(name, json)| (key(name), &*json.clone().leak()))
            .collect();
        let error = self.error_parts().into_iter();
        let error: Vec<_> = error.map(|(part, key)| (part, leak(key))).collect();
        FormatTable {
            timestamp: key(&self.timestamp),
            time: self.time.map_or(base.time, TimeText::Own),
            head: head.leak(),
            message: MessageKey {
                key: key(&self.message),
                ..base.message
            },
            span: key(&self.span),
            origin: origin.leak(),
            thread: ThreadKeys {
                name: key(&self.thread),
                ..base.thread
            },
            tail: tail.leak(),
            known: known.leak(),
            spelling: match &self.other_fields {
                OtherFields::AsLogged => base.spelling,
                OtherFields::Prefix(prefix) => with_prefix(prefix.clone()),
            },
            constants: constants.leak(),
            error: match error.is_empty() {
                true => ErrorShape::AsField,
                false => ErrorShape::Members(error.leak()),
            },
            ..*base
        }
    }
}

/// Returns the level, as a text from [`CustomTable::levels`].
fn custom_level(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    match &inputs.options.format {
        Format::Custom(CustomFormat(custom)) => text(inputs.by_level(custom.levels)),
        _ => None,
    }
}

fn with_prefix(prefix: String) -> Spelling {
    let spell = leak_spell(move |name| Cow::Owned(format!("{prefix}{name}")));
    Spelling {
        text: spell,
        number: spell,
        number_as_text: spell,
    }
}

fn leak_spell(spell: impl Fn(&str) -> Cow<'_, str> + Sync + 'static) -> Spell {
    Box::leak(Box::new(spell))
}

fn leak(text: String) -> &'static str {
    text.leak()
}

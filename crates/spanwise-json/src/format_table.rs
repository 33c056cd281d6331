//! The table of a format: everything that distinguishes its lines from those of other formats.
//!
//! A *part* of a line is a member that is not a field, such as the level. A *place* is a key that a
//! format has for one field, such as `trace_id`, or for a part of the error.

use spanwise_core::internal::{host_name, is_critical, log_record::LogRecord};
use tracing_core::{Level, Metadata};

use crate::{
    Timestamp,
    addition::Addition,
    builder::Options,
    escape,
    format::{BUFFERED, REDACTED, SAMPLE_RATE, SPANS_OMITTED, TRUNCATED},
    name_limits::{limit_name, limit_path},
    rewrite::Rewrite,
    spelling::Spelling,
};

/// A format, in the form that the encoder reads.
#[derive(Debug)]
pub(crate) struct FormatTable {
    pub(crate) layout: Layout,
    pub(crate) style: Style,
    /// The maximum length of a line that the receiver accepts, in bytes of the flat JSON. A format
    /// that rewrites lines must subtract a margin.
    pub(crate) max_line: usize,
    /// The members in front of the timestamp.
    pub(crate) open: &'static [Part],
    /// The key of the timestamp.
    pub(crate) timestamp: &'static str,
    pub(crate) time: TimeText,
    /// Whether the timestamp cannot be omitted, because the receiver requires it.
    pub(crate) requires_time: bool,
    /// The members between the timestamp and the fields.
    pub(crate) head: &'static [Part],
    pub(crate) message: MessageKey,
    /// The key of the name of the innermost span.
    pub(crate) span: &'static str,
    /// The key of the list of the names of all spans.
    pub(crate) spans: &'static str,
    /// The members with the origin of the event, mostly file and line, after the event's fields.
    pub(crate) origin: &'static [Part],
    pub(crate) thread: ThreadKeys,
    /// The members at the end, the same in each line of a layer.
    pub(crate) tail: &'static [Part],
    /// The fields with a place, by name.
    pub(crate) known: &'static [(&'static str, Known)],
    /// The names of all other fields.
    pub(crate) spelling: Spelling,
    /// The keys that options neither rename nor omit, because the receiver requires them.
    pub(crate) required: &'static [&'static str],
    pub(crate) process: ProcessKeys,
    /// The key of the name of the service, if the format has metrics with this dimension. `None` if
    /// options omit the name.
    pub(crate) dimension: Option<&'static str>,
    /// Members with the same value in each line of any layer: a key and its JSON.
    pub(crate) constants: &'static [(&'static str, &'static [u8])],
    /// Reserved keys that no part has, as lines spell them. A field gets such a key only if an
    /// option renames the field to the key.
    pub(crate) reserved: &'static [&'static str],
    /// The keys of flat JSON that the rewritten line does not show. Each has a name for the lists
    /// of truncated and redacted fields.
    pub(crate) listed_names: &'static [(&'static str, &'static str)],
    /// The prefixes of further reserved keys.
    pub(crate) reserved_prefixes: &'static [&'static str],
    pub(crate) error: ErrorShape,
    /// Members that only some lines have in addition.
    pub(crate) addition: Option<Addition>,
    /// The conversion from flat JSON, for a format whose lines are not flat JSON.
    pub(crate) rewrite: Option<Rewrite>,
}

/// Where a line has the fields of an event and of its spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// At the top level.
    Flat,
    /// In an object for the event, and one for each span.
    Nested,
}

/// The kinds of values that a format accepts. All other values become text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Any JSON.
    Json,
    /// Text, numbers and lists of text. Numbers have other keys than texts.
    Labels,
    /// Text and numbers.
    Scalar,
    /// Text, numbers and booleans.
    Words,
}

/// The text of the timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeText {
    /// As the option [`timestamp`](crate::JsonLayer::timestamp) of the layer sets it.
    AsSet,
    /// As the custom format sets it.
    Own(Timestamp),
    /// RFC 3339 in UTC, with this many digits after the second.
    Utc(usize),
    /// A number: seconds since 1970, with this many digits after the point.
    EpochSeconds(usize),
    /// A text: nanoseconds since 1970.
    EpochNanos,
}

/// The key of the message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageKey {
    pub(crate) key: &'static str,
    /// Whether a message that is a number, a boolean or nested JSON becomes text.
    pub(crate) is_text: bool,
    /// The message of an event that has none. `None` if the line of such an event has no message.
    pub(crate) missing: Option<&'static str>,
    /// The text that replaces a message that is empty or only white space. `None` if the format
    /// accepts such messages.
    pub(crate) blank: Option<&'static str>,
}

/// The keys of the thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ThreadKeys {
    pub(crate) name: &'static str,
    pub(crate) id: &'static str,
    /// Whether each line has the name. If so, the name of an unnamed thread is its id.
    pub(crate) always: bool,
}

/// The keys of the machine and of the process, which lines have on request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProcessKeys {
    pub(crate) host: &'static str,
    pub(crate) pid: &'static str,
}

/// A member of the line that is not a field: its key and its value.
pub(crate) type Part = (&'static str, PartValue);

/// Returns the JSON of the value. `None` if the line does not have the part.
pub(crate) type PartValue = fn(&PartInputs<'_>) -> Option<Vec<u8>>;

/// The level of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    /// An event of `spanwise::critical!`, which is at ERROR for `tracing`.
    Critical,
}

/// The inputs that the value of a [`Part`] can depend on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PartInputs<'a> {
    pub(crate) options: &'a Options,
    pub(crate) level: EventLevel,
    pub(crate) target: &'a str,
    pub(crate) file: Option<&'a str>,
    pub(crate) line: Option<u64>,
}

/// The place of a field, with the values that fit there. A field with another value is shown like a
/// field without a place.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Known {
    /// Any value, under this name.
    Named(&'static str),
    /// A value of this kind, under this name.
    Leaf(&'static str, Kind),
    /// A number of milliseconds, which is shown as a whole number of nanoseconds.
    Nanos(&'static str),
    /// A text of this many lower-case hexadecimal digits, which is shown behind a prefix.
    Hex {
        key: &'static str,
        digits: usize,
        /// Returns the prefix, or `None` if these options give the field no place.
        prefix: fn(&Options) -> Option<String>,
    },
}

impl Known {
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Named(key) | Self::Leaf(key, _) | Self::Nanos(key) | Self::Hex { key, .. } => key,
        }
    }
}

/// A kind of JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// A whole number.
    Integer,
    /// A number with a fraction or an exponent. As an accepted kind: any number.
    Number,
    Bool,
    /// An array, an object or `null`.
    Nested,
}

/// How an error is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ErrorShape {
    /// `{"type":…,"message":…,"chain":[…],"backtrace":…}` under the key of the field.
    AsField,
    /// A member for each part.
    Members(&'static [(ErrorPart, &'static str)]),
    /// A member with this key: an object with a member for each part.
    Object(&'static str, &'static [(ErrorPart, &'static str)]),
}

/// A part of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorPart {
    Message,
    /// The short name of the type, if it is known.
    Type,
    /// The message, the causes and the backtrace, each on its own line.
    Stack,
    /// The causes, if there are any, joined by `: `.
    Chain,
}

/// The names of fields that can be shown as the error of their event or span.
pub(crate) const ERROR_NAMES: [&str; 4] = ["error", "err", "e", "exception"];

impl FormatTable {
    /// Returns the members in front of the fields.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &'static Part> {
        [self.open, self.head].into_iter().flatten()
    }

    /// Returns whether a field with this key becomes `fields.<key>`, whether or not lines show the
    /// part with the key.
    pub(crate) fn reserves(&self, key: &str) -> bool {
        let part_keys = [
            self.timestamp,
            self.message.key,
            self.span,
            self.spans,
            self.thread.name,
            self.thread.id,
        ];
        part_keys.contains(&key)
            || self.information().any(|name| name == key)
            || self.is_reserved_name(key)
    }

    /// Returns whether the receiver gives the key a meaning.
    pub(crate) fn is_reserved_name(&self, key: &str) -> bool {
        let mut prefixes = self.reserved_prefixes.iter();
        self.reserved.contains(&key) || prefixes.any(|prefix| key.starts_with(prefix))
    }

    /// Returns the keys of the members that describe the line itself, such as `truncated`.
    pub(crate) fn information(&self) -> impl Iterator<Item = String> {
        let names = [TRUNCATED, REDACTED, SAMPLE_RATE, BUFFERED, SPANS_OMITTED];
        names.into_iter().map(|name| self.spell(name))
    }

    /// Returns whether a member of `origin` has the key.
    pub(crate) fn is_location_key(&self, key: &str) -> bool {
        self.origin.iter().any(|(location, _)| *location == key)
    }

    /// Returns whether the key is a place: that of a known field, of the error, or of a part of the
    /// error.
    pub(crate) fn is_place(&self, key: &str) -> bool {
        self.is_error_key(key) || self.known.iter().any(|(_, place)| place.key() == key)
    }

    /// Returns whether the key is the place of the error, or of a part of the error.
    pub(crate) fn is_error_key(&self, key: &str) -> bool {
        match self.error {
            ErrorShape::AsField => false,
            ErrorShape::Object(object, _) => object == key,
            ErrorShape::Members(parts) => parts.iter().any(|(_, part)| *part == key),
        }
    }

    /// Returns the keys of the parts of an error, if each part is a member of the line. The message
    /// comes first.
    pub(crate) fn error_keys(&self) -> impl Iterator<Item = &'static str> {
        let parts = match self.error {
            ErrorShape::Members(parts) => parts,
            ErrorShape::AsField | ErrorShape::Object(..) => &[],
        };
        let is_message = |(part, _): &&(ErrorPart, &str)| *part == ErrorPart::Message;
        let others = parts.iter().filter(move |part| !is_message(part));
        parts
            .iter()
            .filter(is_message)
            .chain(others)
            .map(|(_, key)| *key)
    }

    /// Returns the place of a field, if it has one.
    pub(crate) fn known(&self, name: &str) -> Option<Known> {
        let found = self.known.iter().find(|(known, _)| *known == name);
        found.map(|(_, place)| *place)
    }

    /// Returns a name as this format writes it.
    pub(crate) fn spell(&self, name: &str) -> String {
        (self.spelling.text)(name).into_owned()
    }
}

impl TimeText {
    /// Returns whether the digits after the second can be set.
    pub(crate) const fn has_precision(self) -> bool {
        !matches!(self, Self::EpochNanos)
    }

    /// Returns the quote around the timestamp. Empty if the timestamp is a number.
    pub(crate) const fn quote(self) -> &'static [u8] {
        match self {
            Self::AsSet | Self::Own(_) | Self::Utc(_) | Self::EpochNanos => b"\"",
            Self::EpochSeconds(_) => b"",
        }
    }
}

impl EventLevel {
    fn from_callsite(callsite: &Metadata<'_>) -> Self {
        match *callsite.level() {
            Level::ERROR if is_critical(callsite) => Self::Critical,
            Level::ERROR => Self::Error,
            Level::WARN => Self::Warn,
            Level::INFO => Self::Info,
            Level::DEBUG => Self::Debug,
            Level::TRACE => Self::Trace,
        }
    }
}

impl<'a> PartInputs<'a> {
    /// Returns the inputs for a callsite, or for a record of the `log` crate, which replaces the
    /// target and the location of the callsite.
    pub(crate) fn new(
        options: &'a Options,
        callsite: &'a Metadata<'a>,
        log: Option<&'a LogRecord>,
    ) -> Self {
        let inputs = Self {
            options,
            level: EventLevel::from_callsite(callsite),
            target: callsite.target(),
            file: callsite.file(),
            line: callsite.line().map(u64::from),
        };
        match log {
            None => inputs,
            Some(log) => Self {
                target: log.target.as_deref().unwrap_or(callsite.target()),
                file: log.file.as_deref(),
                line: log.line,
                ..inputs
            },
        }
    }

    /// Returns inputs for the parts that are the same in all lines of a layer. These parts depend
    /// on the options only.
    pub(crate) fn for_layer(options: &'a Options) -> Self {
        Self {
            options,
            level: EventLevel::Critical,
            target: "",
            file: None,
            line: None,
        }
    }

    /// Returns the element of `values` for the level. `values` is in the order of the levels from
    /// TRACE to ERROR, and then critical.
    pub(crate) fn by_level<T: Copy>(&self, values: [T; 6]) -> T {
        values[self.level as usize]
    }
}

/// Returns a text as a JSON string.
pub(crate) fn text(value: &str) -> Option<Vec<u8>> {
    Some(escape::quoted(value))
}

pub(crate) fn target(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    let is_shown = inputs.options.target;
    is_shown.then(|| module(inputs)).flatten()
}

/// Returns the target, whether or not lines show it. Source locations show it as a function.
pub(crate) fn module(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    text(&limit_name(inputs.target))
}

pub(crate) fn file(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    let is_shown = inputs.options.source_location;
    is_shown.then(|| source_file(inputs)).flatten()
}

/// Returns the source file, whether or not lines show it.
pub(crate) fn source_file(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    text(&limit_path(inputs.file?))
}

pub(crate) fn line(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    let line = inputs.line.filter(|_| inputs.options.source_location)?;
    Some(line.to_string().into_bytes())
}

/// Returns the level as `tracing` names it. A critical event is at ERROR.
pub(crate) fn level(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    text(inputs.by_level(["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "ERROR"]))
}

/// Returns the mark of a critical event.
pub(crate) fn critical(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    (inputs.level == EventLevel::Critical).then(|| b"true".to_vec())
}

pub(crate) fn service_name(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    text(inputs.options.service.name.as_deref()?)
}

pub(crate) fn service_version(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    text(inputs.options.service.version.as_deref()?)
}

pub(crate) fn environment(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    text(inputs.options.service.environment.as_deref()?)
}

/// Returns the name of this instance of the service.
pub(crate) fn service_node(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    text(inputs.options.service.node.as_deref()?)
}

/// Returns the name of the machine.
pub(crate) fn host(_: &PartInputs<'_>) -> Option<Vec<u8>> {
    text(host_name().as_deref().unwrap_or("localhost"))
}

pub(crate) fn process_id(_: &PartInputs<'_>) -> Option<Vec<u8>> {
    Some(std::process::id().to_string().into_bytes())
}

/// Returns an object with the members that have values, or `None` if no member has a value.
pub(crate) fn object(members: &[(&str, Option<Vec<u8>>)]) -> Option<Vec<u8>> {
    let mut json = Vec::new();
    for (key, value) in members {
        let Some(value) = value else { continue };
        json.push(if json.is_empty() { b'{' } else { b',' });
        json.extend(escape::quoted(key));
        json.push(b':');
        json.extend(value);
    }
    json.push(b'}');
    (json.len() > 1).then_some(json)
}

//! The options of [`JsonLayer`], and their setters.

use std::{
    io,
    ops::RangeInclusive,
    sync::{Arc, OnceLock},
};

use serde_core::Serialize;
use spanwise_core::{
    Clock, NoRedaction, Redact, SelfReport,
    internal::{CallsitePlans, FilterInterop, LayerId, SpanTable},
};

use crate::{
    FieldList, Format, JsonLayer, SpanEvents, Timestamp,
    as_json::{self, JsonText, TRUNCATION_MARK},
    escape,
    format_table::FormatTable,
    line_buffer::LineBuffer,
    line_parts,
    line_template::LineTemplate,
};

/// The options of a layer: everything that a setter sets, apart from the writer and the report.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) format: Format,
    /// The table of the format, as changed by other options such as `rename`.
    pub(crate) table: &'static FormatTable,
    pub(crate) timestamp: Option<Timestamp>,
    /// The number of digits after the second. Overrides `timestamp` and the format.
    pub(crate) precision: Option<usize>,
    /// Whether lines show the message. Each option down to `pid` decides about another part.
    pub(crate) message: bool,
    pub(crate) target: bool,
    pub(crate) source_location: bool,
    pub(crate) thread_name: bool,
    pub(crate) thread_id: bool,
    pub(crate) span_name: bool,
    pub(crate) span_list: bool,
    pub(crate) host: bool,
    pub(crate) pid: bool,
    pub(crate) span_events: SpanEvents,
    pub(crate) max_field: usize,
    pub(crate) max_line: usize,
    pub(crate) context_keys: Vec<String>,
    pub(crate) include: Option<Vec<String>>,
    pub(crate) exclude: Vec<String>,
    pub(crate) rename: Vec<(String, String)>,
    pub(crate) service: ServiceNames,
    pub(crate) google_cloud_project: Option<String>,
    /// The static fields: the key and the encoded value of each.
    pub(crate) add: Vec<(String, Vec<u8>)>,
    pub(crate) clock: Clock,
    pub(crate) redact: Arc<dyn Redact>,
    pub(crate) lists_redacted_fields: bool,
}

/// The name, version, environment and instance of the service that logs. `None` if not set.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServiceNames {
    pub(crate) name: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) environment: Option<String>,
    pub(crate) node: Option<String>,
}

/// The minimum of `max_field` and of `max_line`, in bytes: room for a timestamp, a level and a
/// word.
const MIN_LIMIT: usize = 256;

/// The maximum of `max_field`, in bytes. It limits the 64 texts of a span to 1 GiB before they are
/// escaped, because a fragment counts its bytes in a `u32`.
const MAX_FIELD_LIMIT: usize = 16 * 1024 * 1024;

/// The maximum of `max_line`, in bytes.
const MAX_LINE_LIMIT: usize = 1024 * 1024 * 1024;

impl Default for Options {
    fn default() -> Self {
        Self {
            format: Format::Json,
            table: Format::Json.table(),
            timestamp: Some(Timestamp::micros()),
            precision: None,
            message: true,
            target: true,
            source_location: false,
            thread_name: false,
            thread_id: false,
            span_name: true,
            span_list: false,
            host: false,
            pid: false,
            span_events: SpanEvents::NONE,
            max_field: 16 * 1024,
            max_line: 256 * 1024,
            context_keys: Vec::new(),
            include: None,
            exclude: Vec::new(),
            rename: Vec::new(),
            service: ServiceNames::default(),
            google_cloud_project: None,
            add: Vec::new(),
            clock: Clock::system(),
            redact: Arc::new(NoRedaction),
            lists_redacted_fields: true,
        }
    }
}

impl Options {
    /// Adds a static field.
    pub(crate) fn add(&mut self, key: &str, value: impl Serialize) {
        let encoded = encoded(&value);
        self.add.retain(|(other, _)| *other != key);
        self.add.push((key.to_owned(), encoded));
    }
}

/// Returns the JSON of a value, with all escapes that a line needs. A value that fails to serialize
/// becomes a string with the error.
pub(crate) fn encoded(value: &impl Serialize) -> Vec<u8> {
    match as_json::to_text(value) {
        Ok(JsonText::Complete(json)) => {
            let mut line = LineBuffer::default();
            escape::push_json(&mut line, &json);
            line.as_bytes().to_vec()
        }
        Ok(JsonText::Deep(text)) => escape::quoted(&text),
        Ok(JsonText::Truncated(text)) => escape::quoted(&(text + TRUNCATION_MARK)),
        Err(error) => escape::quoted(&format!("<not serializable as JSON: {error}>")),
    }
}

impl JsonLayer {
    /// The limits of [`max_field`](Self::max_field).
    #[doc(hidden)]
    pub const FIELD_LIMITS: RangeInclusive<usize> = MIN_LIMIT..=MAX_FIELD_LIMIT;

    /// The limits of [`max_line`](Self::max_line).
    #[doc(hidden)]
    pub const LINE_LIMITS: RangeInclusive<usize> = MIN_LIMIT..=MAX_LINE_LIMIT;

    /// Creates a layer that writes [`Format::Json`] to stdout, with [`std::io::stdout`].
    ///
    /// If another program has set the pipe of stdout to `O_NONBLOCK`, std does not wait for its
    /// reader. If the pipe has no room for a line, all or part of the line is lost. The line is
    /// counted as failed and reported on stderr. The outputs of `spanwise` wait instead. In a stack
    /// of your own, use a `Background` of `spanwise-appender` as the [writer](Self::with_writer);
    /// with `direct()` it needs no thread.
    #[must_use]
    pub fn new() -> Self {
        Self {
            make_writer: io::stdout,
            template: LineTemplate::new(&Options::default()),
            options: Options::default(),
            requested: Options::default(),
            id: LayerId::unique(),
            plans: CallsitePlans::default(),
            spans: SpanTable::default(),
            filter_interop: FilterInterop::default(),
            counters: SelfReport::default().sink("json"),
            report: SelfReport::default(),
            is_late: false,
            has_redacted_context: false,
            recorded_sink: OnceLock::new(),
        }
    }
}

impl Default for JsonLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<W> JsonLayer<W> {
    /// Sets the writer, which gets one `write_all` per line. Defaults to stdout.
    pub fn with_writer<W2>(self, make_writer: W2) -> JsonLayer<W2> {
        JsonLayer {
            make_writer,
            options: self.options,
            requested: self.requested,
            template: self.template,
            id: self.id,
            plans: self.plans,
            spans: self.spans,
            filter_interop: self.filter_interop,
            counters: self.counters,
            report: self.report,
            is_late: self.is_late,
            has_redacted_context: self.has_redacted_context,
            recorded_sink: OnceLock::new(),
        }
    }

    /// Declares that spans may be older than the layer. Lines then show the context of these spans,
    /// from the [`ContextLayer`](spanwise_core::ContextLayer) in front of the layer. Costs a
    /// look-up for each event outside of the spans that the layer has seen.
    #[doc(hidden)]
    #[must_use]
    pub fn late(mut self) -> Self {
        self.is_late = true;
        self
    }

    /// Declares that a [late](Self::late) layer has the same policy as its
    /// [`ContextLayer`](spanwise_core::ContextLayer). The layer then does not replace values of the
    /// context a second time.
    #[doc(hidden)]
    #[must_use]
    pub fn has_redacted_context(mut self) -> Self {
        self.has_redacted_context = true;
        self
    }

    /// Sets the format of a line. Defaults to [`Format::Json`].
    ///
    /// This layer writes lines that programs read. Given a [human-readable
    /// format](Format::is_human_readable), it reports a fault and writes [`Format::Json`]; the
    /// outputs of `spanwise` write those formats.
    #[must_use]
    pub fn format(self, format: Format) -> Self {
        self.set(|options| options.format = format)
    }

    /// Sets precision and time zone of the timestamp. Defaults to [`Timestamp::micros()`] in UTC.
    /// Has no effect on a format that [defines its own timestamp](Format::has_time_zone), such as
    /// [`Format::Ecs`].
    #[must_use]
    pub fn timestamp(self, timestamp: Timestamp) -> Self {
        self.set(|options| options.timestamp = Some(timestamp))
    }

    /// Omits the timestamp, for a collector that adds one. [`Format::Ecs`] and [`Format::Bunyan`]
    /// keep the timestamp: their receivers refuse a line without it.
    #[must_use]
    pub fn without_timestamp(self) -> Self {
        self.set(|options| options.timestamp = None)
    }

    /// Omits the target.
    #[must_use]
    pub fn without_target(self) -> Self {
        self.set(|options| options.target = false)
    }

    /// Adds the source file and line of each event.
    #[must_use]
    pub fn with_source_location(self) -> Self {
        self.set(|options| options.source_location = true)
    }

    /// Adds the name of the thread, if it has one.
    #[must_use]
    pub fn with_thread_name(self) -> Self {
        self.set(|options| options.thread_name = true)
    }

    /// Adds the id of the thread, as `std` prints it.
    #[must_use]
    pub fn with_thread_id(self) -> Self {
        self.set(|options| options.thread_id = true)
    }

    /// Adds `spans`, the names of at most 64 spans around the event, outermost first. A line of
    /// [`Format::JsonNested`] always has `spans`, with the fields of each span.
    #[must_use]
    pub fn with_span_list(self) -> Self {
        self.set(|options| options.span_list = true)
    }

    /// Sets which changes of a span are logged: when it is opened, entered, exited or closed.
    /// Defaults to [`SpanEvents::NONE`].
    #[must_use]
    pub fn span_events(self, events: SpanEvents) -> Self {
        self.set(|options| options.span_events = events)
    }

    /// Sets the maximum length of a value's text, in bytes before escaping. A longer text is cut
    /// between two characters. Defaults to 16 KiB; at least 256 bytes, at most 16 MiB.
    #[must_use]
    pub fn max_field(self, bytes: usize) -> Self {
        self.set(|options| options.max_field = bytes.clamp(MIN_LIMIT, MAX_FIELD_LIMIT))
    }

    /// Sets the maximum length of a line, in bytes. A longer line loses fields: first each field
    /// that is longer than the limit, then those of the spans from the outermost. After that, it
    /// loses the list of spans, then fields of the event from the last. A line of
    /// [`Format::JsonNested`] loses `spans` as a whole, then `span`, then fields of the event. The
    /// message stays, at any length up to [`max_field`](Self::max_field), and so do the static
    /// fields. Defaults to 256 KiB; at least 256 bytes, at most 1 GiB. If the receiver of the
    /// format accepts only shorter lines, its limit applies.
    #[must_use]
    pub fn max_line(self, bytes: usize) -> Self {
        self.set(|options| options.max_line = bytes.clamp(MIN_LIMIT, MAX_LINE_LIMIT))
    }

    /// Declares one more context key, like [`ContextLayer::key`](spanwise_core::ContextLayer::key).
    /// A span's field with this name is on every line of a unit of work, so its text is cut at 1
    /// KiB. The [`CONTEXT_KEYS`](spanwise_core::CONTEXT_KEYS) are already declared.
    #[must_use]
    pub fn context_key(self, key: impl Into<String>) -> Self {
        let key = key.into();
        self.set(|options| options.context_keys.push(key))
    }

    /// Shows only these fields of events and spans. The parts of the line stay. A second call
    /// replaces the fields of the first.
    #[must_use]
    pub fn include<K: Into<String>>(self, fields: impl IntoIterator<Item = K>) -> Self {
        self.set(|options| options.include = Some(fields.into_iter().map(Into::into).collect()))
    }

    /// Omits these fields of events and spans, and parts of the line: `target` omits the target and
    /// a field of this name. [`FieldList`] defines the names of parts. Parts that the format
    /// requires stay, which is reported as a fault.
    #[must_use]
    pub fn exclude<K: Into<String>>(self, fields: impl IntoIterator<Item = K>) -> Self {
        self.set(|options| options.exclude.extend(fields.into_iter().map(Into::into)))
    }

    /// Shows `from` as `to`, where `from` is a part of the line, such as `level`, or else a field
    /// of events and spans. If there are fields with both names, the nearer one is shown, as if
    /// both were named `to`. A field does not take the key of a part that the line shows: it
    /// becomes `fields.<to>`. Parts that the format requires keep their names, which is reported as
    /// a fault.
    #[must_use]
    pub fn rename(self, from: impl Into<String>, to: impl Into<String>) -> Self {
        let names = (from.into(), to.into());
        self.set(|options| options.rename.push(names))
    }

    /// Changes the fields and the parts of lines by a list, as `LOG_FIELDS` does. Each word has the
    /// effect of a setter: `-NAME` is [`exclude`](Self::exclude). [`FieldList::check`] finds words
    /// that do not fit the format. If such a word omits or renames a part, this setter ignores it,
    /// and the layer reports a fault.
    ///
    /// ```
    /// # fn main() -> Result<(), spanwise_core::ParseError> {
    /// let layer = spanwise_json::JsonLayer::new().fields(&"+location,level>severity".parse()?);
    /// # drop(layer);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn fields(self, list: &FieldList) -> Self {
        self.set(|options| list.apply(options))
    }

    /// Sets the name of the service. Each line shows it under the keys that the format has for it.
    /// Defaults to none. [`Format::JsonNested`] has no place for it.
    #[must_use]
    pub fn service_name(self, name: impl Into<String>) -> Self {
        self.set(|options| options.service.name = Some(name.into()))
    }

    /// Sets the version of the service. Defaults to none.
    #[must_use]
    pub fn service_version(self, version: impl Into<String>) -> Self {
        self.set(|options| options.service.version = Some(version.into()))
    }

    /// Sets the environment in which the service runs, such as `prod`. Defaults to none.
    #[must_use]
    pub fn service_environment(self, environment: impl Into<String>) -> Self {
        self.set(|options| options.service.environment = Some(environment.into()))
    }

    /// Sets the name of this instance of the service, such as that of the machine or the pod.
    /// Defaults to none.
    #[must_use]
    pub fn service_node(self, node: impl Into<String>) -> Self {
        self.set(|options| options.service.node = Some(node.into()))
    }

    /// Sets the Google Cloud project that stores the traces. [`Format::Gcp`] needs it to name the
    /// trace of a line. Without it, `trace_id` stays a field. Defaults to none.
    #[must_use]
    pub fn google_cloud_project(self, id: impl Into<String>) -> Self {
        self.set(|options| options.google_cloud_project = Some(id.into()))
    }

    /// Adds a static field to the end of each line. A second value for a key replaces the first. A
    /// key of the line itself becomes `added.<key>`. So does a key under which the format writes a
    /// field or a part of an error, such as `error` in [`Format::Logfmt`]. A value that fails to
    /// serialize becomes a string with the error.
    #[must_use]
    pub fn add(self, key: impl Into<String>, value: impl Serialize) -> Self {
        let key = key.into();
        self.set(|options| options.add(&key, value))
    }

    /// Sets the clock for timestamps. Defaults to [`Clock::system`].
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        self.set(|options| options.clock = clock)
    }

    /// Sets the redaction policy. Each line lists the fields whose values are not what was logged:
    /// `"redacted":["password"]`. Defaults to [`NoRedaction`].
    #[must_use]
    pub fn redact(self, policy: Arc<dyn Redact>) -> Self {
        self.set(|options| options.redact = policy)
    }

    /// Omits the list of redacted fields.
    #[must_use]
    pub fn without_redacted_list(self) -> Self {
        self.set(|options| options.lists_redacted_fields = false)
    }

    /// Sets the report that counts the lines of this layer, as the sink `json`, and receives its
    /// faults. Defaults to the report of the process.
    #[must_use]
    pub fn report(mut self, report: &SelfReport) -> Self {
        self.counters = report.sink("json");
        self.report = report.clone();
        self
    }

    fn set(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.requested);
        self.options = line_parts::resolve(&self.requested).options;
        self.template = LineTemplate::new(&self.options);
        self
    }
}

//! What can be chosen about a [`JsonLayer`].

use std::{io, sync::Arc};

use serde_core::Serialize;
use spanwise_core::{
    Clock, NoRedaction, Redact, SelfReport,
    internal::{CallsitePlans, FilterInterop, LayerId, SpanTable},
};

use crate::{
    Format, JsonLayer, SpanEvents, Timestamp,
    as_json::{self, JsonText, TRUNCATION_MARK},
    escape,
    line_buffer::LineBuffer,
    line_template::LineTemplate,
};

/// The plain choices, apart from what the layer needs to work.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) format: Format,
    pub(crate) timestamp: Option<Timestamp>,
    pub(crate) target: bool,
    pub(crate) source_location: bool,
    pub(crate) thread_name: bool,
    pub(crate) thread_id: bool,
    pub(crate) span_list: bool,
    pub(crate) span_events: SpanEvents,
    pub(crate) max_field: usize,
    pub(crate) max_line: usize,
    pub(crate) context_keys: Vec<String>,
    pub(crate) include: Option<Vec<String>>,
    pub(crate) exclude: Vec<String>,
    pub(crate) rename: Vec<(String, String)>,
    /// Key and encoded value.
    pub(crate) add: Vec<(String, Vec<u8>)>,
    pub(crate) clock: Clock,
    pub(crate) redact: Arc<dyn Redact>,
    pub(crate) redacted_list: bool,
}

/// The least either limit can be: room for a timestamp, a level and a word.
const MIN_LIMIT: usize = 256;

/// The fields of a span are at most 64 of these: less than 4 GiB.
const MAX_FIELD_LIMIT: usize = 16 * 1024 * 1024;

const MAX_LINE_LIMIT: usize = 1024 * 1024 * 1024;

impl Default for Options {
    fn default() -> Self {
        Self {
            format: Format::Json,
            timestamp: Some(Timestamp::micros()),
            target: true,
            source_location: false,
            thread_name: false,
            thread_id: false,
            span_list: false,
            span_events: SpanEvents::NONE,
            max_field: 16 * 1024,
            max_line: 256 * 1024,
            context_keys: Vec::new(),
            include: None,
            exclude: Vec::new(),
            rename: Vec::new(),
            add: Vec::new(),
            clock: Clock::system(),
            redact: Arc::new(NoRedaction),
            redacted_list: true,
        }
    }
}

impl JsonLayer {
    /// Creates a layer that writes [`Format::Json`] to stdout, as std does.
    ///
    /// std does not wait for the reader of a pipe that another program set to `O_NONBLOCK`. If the
    /// pipe has no room, a line is torn or lost: it is counted as failed, and reported on stderr.
    /// The outputs of `spanwise` wait there. In a stack of your own, so does a `Background` of
    /// `spanwise-appender` as the [writer](Self::with_writer); with `direct()` it needs no thread.
    #[must_use]
    pub fn new() -> Self {
        Self {
            make_writer: io::stdout,
            template: LineTemplate::new(&Options::default()),
            options: Options::default(),
            id: LayerId::unique(),
            plans: CallsitePlans::default(),
            spans: SpanTable::default(),
            filter_interop: FilterInterop::default(),
            counters: SelfReport::default().sink("json"),
            report: SelfReport::default(),
        }
    }
}

impl Default for JsonLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<W> JsonLayer<W> {
    /// Writes to what `make_writer` makes, one `write_all` a line. Default: stdout.
    pub fn with_writer<W2>(self, make_writer: W2) -> JsonLayer<W2> {
        JsonLayer {
            make_writer,
            options: self.options,
            template: self.template,
            id: self.id,
            plans: self.plans,
            spans: self.spans,
            filter_interop: self.filter_interop,
            counters: self.counters,
            report: self.report,
        }
    }

    /// Sets what a line looks like. Defaults to [`Format::Json`].
    ///
    /// This layer writes lines that programs read. The outputs of `spanwise` write those for people:
    /// given such a [format](Format::is_human_readable), it reports a fault, and its lines are JSON.
    #[must_use]
    pub fn format(self, format: Format) -> Self {
        self.set(|options| options.format = format)
    }

    /// Sets how a line says when it happened. Default: [`Timestamp::micros()`] in UTC.
    #[must_use]
    pub fn timestamp(self, timestamp: Timestamp) -> Self {
        self.set(|options| options.timestamp = Some(timestamp))
    }

    /// Leaves the timestamp out, for a collector that adds one.
    #[must_use]
    pub fn without_timestamp(self) -> Self {
        self.set(|options| options.timestamp = None)
    }

    /// Leaves the target out.
    #[must_use]
    pub fn without_target(self) -> Self {
        self.set(|options| options.target = false)
    }

    /// Adds the source file and the line of each event.
    #[must_use]
    pub fn with_source_location(self) -> Self {
        self.set(|options| options.source_location = true)
    }

    /// Adds the name of the thread, where it has one.
    #[must_use]
    pub fn with_thread_name(self) -> Self {
        self.set(|options| options.thread_name = true)
    }

    /// Adds the id of the thread, as `std` shows it.
    #[must_use]
    pub fn with_thread_id(self) -> Self {
        self.set(|options| options.thread_id = true)
    }

    /// Adds `spans`, the names of all spans around the event, outermost first, at most 64. [`Format::JsonNested`] always has it.
    #[must_use]
    pub fn with_span_list(self) -> Self {
        self.set(|options| options.span_list = true)
    }

    /// Writes a line also when a span is opened, entered, left or closed. Default: [`SpanEvents::NONE`].
    #[must_use]
    pub fn span_events(self, events: SpanEvents) -> Self {
        self.set(|options| options.span_events = events)
    }

    /// Sets where the text of a value is cut, in bytes before escaping, at a character. Defaults to
    /// 16 KiB; at least 256 bytes, at most 16 MiB.
    #[must_use]
    pub fn max_field(self, bytes: usize) -> Self {
        self.set(|options| options.max_field = bytes.clamp(MIN_LIMIT, MAX_FIELD_LIMIT))
    }

    /// Sets how long a line may be, in bytes. Of a longer one it leaves fields out: first those of
    /// the spans from the outermost, then the list of spans, then fields of the event from the last.
    /// The message stays, whatever its length up to [`max_field`](Self::max_field), and so do the
    /// static fields. Defaults to 256 KiB; at least 256 bytes, at most 1 GiB.
    #[must_use]
    pub fn max_line(self, bytes: usize) -> Self {
        self.set(|options| options.max_line = bytes.clamp(MIN_LIMIT, MAX_LINE_LIMIT))
    }

    /// Declares one more context key, as
    /// [`ContextLayer::key`](spanwise_core::ContextLayer::key) does. A span's field of such a name is
    /// on every line of a unit of work: its text is cut at 1 KiB. [`CONTEXT_KEYS`](spanwise_core::CONTEXT_KEYS) need not be
    /// declared.
    #[must_use]
    pub fn context_key(self, key: impl Into<String>) -> Self {
        let key = key.into();
        self.set(|options| options.context_keys.push(key))
    }

    /// Shows only these fields of events and spans. The keys of the line itself stay.
    #[must_use]
    pub fn include<K: Into<String>>(self, fields: impl IntoIterator<Item = K>) -> Self {
        self.set(|options| options.include = Some(fields.into_iter().map(Into::into).collect()))
    }

    /// Leaves these fields of events and spans out. The message and the keys of the line itself stay.
    #[must_use]
    pub fn exclude<K: Into<String>>(self, fields: impl IntoIterator<Item = K>) -> Self {
        self.set(|options| options.exclude.extend(fields.into_iter().map(Into::into)))
    }

    /// Shows the field `from` of events and spans under the name `to`. If both are there, the nearest wins, as with two equal names.
    /// The message and the keys of the line itself keep their names in [`Format::Json`].
    #[must_use]
    pub fn rename(self, from: impl Into<String>, to: impl Into<String>) -> Self {
        let names = (from.into(), to.into());
        self.set(|options| options.rename.push(names))
    }

    /// Adds a static field to the end of each line. Adding a key again replaces it; a key of the line itself gets the name
    /// `added.<key>`. A value that fails to serialise becomes a string that says so.
    #[must_use]
    pub fn add(self, key: impl Into<String>, value: impl Serialize) -> Self {
        let key = key.into();
        let encoded = match as_json::to_text(&value) {
            Ok(JsonText::Complete(json)) => {
                let mut line = LineBuffer::default();
                escape::push_json(&mut line, &json);
                line.as_bytes().to_vec()
            }
            Ok(JsonText::Truncated(text)) => escape::quoted(&(text + TRUNCATION_MARK)),
            Err(error) => escape::quoted(&format!("<not serialisable as JSON: {error}>")),
        };
        self.set(|options| {
            options.add.retain(|(other, _)| *other != key);
            options.add.push((key, encoded));
        })
    }

    /// Takes the time from `clock`. Default: [`Clock::system`].
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        self.set(|options| options.clock = clock)
    }

    /// Hides what `policy` says, and lists the fields whose values are not what was logged: `"redacted":["password"]`. Default:
    /// [`NoRedaction`].
    #[must_use]
    pub fn redact(self, policy: Arc<dyn Redact>) -> Self {
        self.set(|options| options.redact = policy)
    }

    /// Leaves out the list of the fields that are redacted.
    #[must_use]
    pub fn without_redacted_list(self) -> Self {
        self.set(|options| options.redacted_list = false)
    }

    /// Reports to `report`, as the sink `json`. Default: the report of the process.
    #[must_use]
    pub fn report(mut self, report: &SelfReport) -> Self {
        self.counters = report.sink("json");
        self.report = report.clone();
        self
    }

    fn set(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self.template = LineTemplate::new(&self.options);
        self
    }
}

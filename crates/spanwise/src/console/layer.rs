//! The layer that writes human-readable lines.

use std::{fmt, io::Write as _, iter, sync::Arc};

use spanwise_core::{
    CONTEXT_KEYS, Clock, Context, EventContext, Fault, LevelHandle, SelfReport,
    internal::{
        FilterInterop, LayerId, SinkCounters,
        log_record::{self, LogRecord},
        reentrancy,
    },
};
use spanwise_json::{FieldList, Timestamp};
use tracing::{Dispatch, Event, Subscriber, level_filters::LevelFilter};
use tracing_core::{
    Interest, Level, Metadata,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    fmt::{MakeWriter as _, writer::BoxMakeWriter},
    layer::Context as LayerContext,
    registry::LookupSpan,
};

use super::{
    access_summary::{self, AccessSummary},
    color::{AnsiColor, TextStyle},
    event_text::{EventStyle, EventText, EventUnit, Style, UnitId},
    fields::Fields,
    pending_spans::{ConsoleSpan, REQUEST_ID, ShownIds, SpanFields, SpanUpdate},
    shown_parts::ShownParts,
};
use crate::Output;

/// A layer that writes events as human-readable lines.
pub(crate) struct ConsoleLayer {
    style: EventStyle,
    /// The output, if it is a terminal.
    terminal: Option<Output>,
    /// The context keys that the application declares, besides [`CONTEXT_KEYS`].
    context_keys: Vec<String>,
    make_writer: BoxMakeWriter,
    clock: Clock,
    show_time: ShowTime,
    shown_parts: ShownParts,
    timestamp: Timestamp,
    id: LayerId,
    filter_interop: FilterInterop,
    counters: Arc<SinkCounters>,
    report: SelfReport,
}

/// Which lines begin with the time.
#[derive(Debug, Clone)]
pub(crate) enum ShowTime {
    Always,
    /// All lines, while the levels of the handle and the level of the output both enable events at
    /// DEBUG. Otherwise, no line.
    FromDebug(LevelHandle, LevelFilter),
}

impl ShowTime {
    fn is_shown(&self) -> bool {
        match self {
            Self::Always => true,
            Self::FromDebug(levels, output_level) => {
                levels.max_event_level().min(*output_level) >= LevelFilter::DEBUG
            }
        }
    }
}

/// The maximum length of an id that is shown whole, in bytes.
const MAX_ID_LEN: usize = 12;

/// The length of the end of a longer id that is shown, in bytes. Eight bytes distinguish two UUIDs.
const SHORT_ID_LEN: usize = 8;

impl ConsoleLayer {
    pub(crate) fn new(
        style: Style,
        context_keys: Vec<String>,
        make_writer: BoxMakeWriter,
        report: &SelfReport,
    ) -> Self {
        Self {
            style: EventStyle {
                style,
                color: AnsiColor(false),
                own_targets: None,
                shows_target: true,
                full_backtrace_setting: None,
            },
            terminal: None,
            context_keys,
            make_writer,
            clock: Clock::system(),
            show_time: ShowTime::Always,
            shown_parts: ShownParts::default(),
            timestamp: Timestamp::micros(),
            id: LayerId::unique(),
            filter_interop: FilterInterop::default(),
            counters: report.sink("console"),
            report: report.clone(),
        }
    }

    pub(crate) fn show_time(mut self, time: ShowTime) -> Self {
        self.show_time = time;
        self
    }

    /// Sets the parts and fields that lines add or omit.
    pub(crate) fn fields(mut self, list: FieldList) -> Self {
        self.shown_parts = ShownParts::new(list);
        self.style.shows_target = !self.shown_parts.omits("target");
        self
    }

    /// Sets the time zone of the time on lines to the zone of `timestamp`. The format of
    /// `timestamp` is not used.
    pub(crate) fn timestamp(mut self, timestamp: Timestamp) -> Self {
        self.timestamp = timestamp;
        self
    }

    pub(crate) fn color(mut self, is_on: bool) -> Self {
        self.style.color = AnsiColor(is_on);
        self
    }

    /// Sets the terminal whose width limits lines. Defaults to none, without a limit.
    pub(crate) fn terminal(mut self, terminal: Option<Output>) -> Self {
        self.terminal = terminal;
        self
    }

    /// Sets the crates and modules whose frames a backtrace shows. Defaults to all frames.
    pub(crate) fn own_targets(mut self, own: Option<Vec<String>>) -> Self {
        self.style.own_targets = own;
        self
    }

    /// Sets the name of the setting that shows all frames of a panic, for a hint. Defaults to no
    /// hint.
    pub(crate) fn full_backtrace_setting(mut self, setting: Option<String>) -> Self {
        self.style.full_backtrace_setting = setting;
        self
    }

    /// Sets the clock. Defaults to the system clock.
    pub(crate) fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    fn is_context_key(&self, name: &str) -> bool {
        CONTEXT_KEYS.contains(&name) || self.context_keys.iter().any(|key| key == name)
    }

    /// Separates the fields of a span into those that are context and all others.
    fn span_fields(&self, mut fields: Fields) -> SpanFields {
        self.shown_parts.remove_omitted(&mut fields);
        let names = fields.others.iter().map(|(name, _)| *name);
        let context_keys = names.filter(|name| self.is_context_key(name)).collect();
        fields.others.retain(|(name, _)| !self.is_context_key(name));
        SpanFields {
            non_context: fields,
            context_keys,
        }
    }

    /// Returns the id that the context of lines shows: the request id, or else the value of the
    /// first declared context key that is set. Ignores keys that lines omit.
    fn unit_id<'a>(&'a self, context: &'a Context) -> Option<UnitId<'a>> {
        let keys = self.context_keys.iter().map(String::as_str);
        let mut keys = iter::once(REQUEST_ID)
            .chain(keys)
            .filter(|key| !self.shown_parts.omits(key));
        keys.find_map(|key| {
            let id = context.get(key)?;
            let text = shorten_id(id);
            Some(UnitId {
                key,
                is_whole: text == id,
                text,
            })
        })
    }

    /// Formats the lines of an event. `unit` is the event's span, with its name.
    fn lines(
        &self,
        event: &Event<'_>,
        fields: &mut Fields,
        unit: Option<(&ConsoleSpan, &'static str)>,
        id: Option<&UnitId<'_>>,
        span_updates: &mut [SpanUpdate],
        span_names: Option<String>,
    ) -> String {
        let callsite = event.metadata();
        let log = log_record::is_log_record(callsite).then(|| LogRecord::from_event(event));
        let target = log.as_ref().and_then(|log| log.target.as_deref());
        let unit = unit.map(|(span, span_name)| {
            let (label, span_depth) = span.unit_label();
            EventUnit {
                label,
                span_depth,
                span_name,
            }
        });
        let access = AccessSummary::take(callsite, fields, unit.map(|unit| unit.label));
        self.shown_parts
            .add_to(fields, callsite, log.as_ref(), span_names);
        if let Some(access) = &access {
            access_summary::remove_shown_status(span_updates, access);
        }
        self.style.lines(&EventText {
            time: (self.show_time.is_shown() && !self.shown_parts.omits("timestamp")).then(|| {
                let now = self.clock.now();
                (now, self.timestamp.offset_minutes(now))
            }),
            level: level_name(callsite, self.style.style),
            target: target.unwrap_or(callsite.target()),
            access,
            fields,
            spans: span_updates,
            unit,
            id,
            width: self.terminal.and_then(Output::columns),
        })
    }

    fn write(&self, line: &str, metadata: &Metadata<'_>) {
        let written = reentrancy::guarded_write(self.id, || {
            self.make_writer
                .make_writer_for(metadata)
                .write_all(line.as_bytes())
        });
        let Err(error) = written else {
            return self.counters.add_delivered(1);
        };
        self.counters.add_write_failed(1);
        self.report.fault(
            Fault::WriteFailed,
            &format_args!("a line for the console is lost: {error}"),
        );
    }
}

impl<S> Layer<S> for ConsoleLayer
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.filter_interop.detect(dispatch);
    }

    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        self.filter_interop.always_or_sometimes()
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: LayerContext<'_, S>) {
        // Format values before locking the span.
        let fields = Fields::new(attrs.metadata(), |visitor| attrs.record(visitor));
        let fields = self.span_fields(fields);
        if let Some(span) = ctx.span(id) {
            ConsoleSpan::open(self.id, &span, fields, self.clock.now());
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: LayerContext<'_, S>) {
        let Some(callsite) = ctx.metadata(id) else {
            return;
        };
        let recorded = Fields::new(callsite, |visitor| values.record(visitor));
        let recorded = self.span_fields(recorded);
        let span = ctx.span(id);
        if let Some(span) = span.and_then(|span| ConsoleSpan::find(self.id, &span)) {
            span.record(recorded);
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: LayerContext<'_, S>) {
        let event_context = EventContext::take();
        let mut fields = Fields::new(event.metadata(), |visitor| event.record(visitor));
        self.shown_parts.remove_omitted(&mut fields);
        // A field of the application with the same name as an added field is renamed.
        if let Some(rate) = event_context.sample_rate {
            fields.rename("sample_rate", "fields.sample_rate");
            fields.set("sample_rate", rate.to_string());
        }
        if event_context.buffered {
            fields.rename("buffered", "fields.buffered");
            fields.set("buffered", "true".to_owned());
        }
        let span = ctx.event_span(event);
        let context = span.as_ref().map(Context::from_span).unwrap_or_default();
        let id = self.unit_id(&context);
        let whole_id_key = id.as_ref().filter(|id| id.is_whole).map(|id| id.key);
        let unit = span.as_ref().and_then(|span| {
            let console_span = ConsoleSpan::find(self.id, span)?;
            let shown = ShownIds {
                trace_keys: self.shown_parts.trace_keys(),
                key_at_end: whole_id_key,
            };
            let updates = console_span.take_updates(self.id, span, &shown, event_context.buffered);
            Some((console_span, span.name(), updates))
        });
        let names = span
            .as_ref()
            .and_then(|span| self.shown_parts.span_names(span));
        drop(span);
        let (unit, mut span_updates) = match unit {
            Some((span, name, updates)) => (Some((span, name)), updates),
            None => (None, Vec::new()),
        };
        let unit = unit.as_ref().map(|(span, name)| (span, *name));
        let lines = self.lines(
            event,
            &mut fields,
            unit,
            id.as_ref(),
            &mut span_updates,
            names,
        );
        self.write(&lines, event.metadata());
    }
}

impl fmt::Debug for ConsoleLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleLayer")
            .field("style", &self.style)
            .finish_non_exhaustive()
    }
}

/// Returns the name of the level of an event, padded to five columns, and its style. A critical
/// event, which is at ERROR for `tracing`, is `CRIT`.
fn level_name(callsite: &Metadata<'_>, style: Style) -> (&'static str, TextStyle) {
    let (right_aligned, left_aligned, color) = match *callsite.level() {
        Level::ERROR if callsite.name() == "critical" => (" CRIT", "CRIT ", TextStyle::ALARM),
        Level::ERROR => ("ERROR", "ERROR", TextStyle::BOLD_RED),
        Level::WARN => (" WARN", "WARN ", TextStyle::YELLOW),
        Level::INFO => (" INFO", "INFO ", TextStyle::GREEN),
        Level::DEBUG => ("DEBUG", "DEBUG", TextStyle::CYAN),
        Level::TRACE => ("TRACE", "TRACE", TextStyle::MAGENTA),
    };
    match style {
        Style::Pretty | Style::Compact => (right_aligned, color),
        // The level may begin the line. There, blanks would look like a continuation line.
        Style::Short => (left_aligned, color),
    }
}

/// Shortens a long id to its end.
fn shorten_id(id: &str) -> String {
    if id.len() <= MAX_ID_LEN {
        return id.to_owned();
    }
    format!("…{}", suffix(id, SHORT_ID_LEN))
}

/// Returns the longest suffix of `text` that has at most `max_len` bytes and starts at a character
/// boundary.
fn suffix(text: &str, max_len: usize) -> &str {
    let mut start = text.len().saturating_sub(max_len);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

//! The layer that writes lines for people.

use std::{fmt, io::Write as _, sync::Arc, time::SystemTime};

use spanwise_core::{
    CONTEXT_KEYS, Clock, Context, EventContext, Fault, LevelHandle, SelfReport,
    internal::{
        FilterInterop, Inherit, LayerId, SinkCounters, SpanData,
        log_record::{self, LogRecord},
        reentrancy, rfc3339,
    },
};
use spanwise_json::Timestamp;
use tracing::{Dispatch, Event, Subscriber, level_filters::LevelFilter};
use tracing_core::{
    Interest, Metadata,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    fmt::{MakeWriter as _, writer::BoxMakeWriter},
    layer::Context as LayerContext,
    registry::LookupSpan,
};

use super::{
    color::AnsiColor,
    fields::{Fields, push_message, push_name, push_value},
};

/// The layout of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// The event on one line; its location and spans on the next.
    Pretty,
    Compact,
    /// One line without the target.
    Short,
}

pub(crate) struct ConsoleLayer {
    style: Style,
    color: AnsiColor,
    /// Keys besides [`CONTEXT_KEYS`].
    context_keys: Vec<String>,
    make_writer: BoxMakeWriter,
    clock: Clock,
    time: ShowTime,
    timestamp: Timestamp,
    id: LayerId,
    filter_interop: FilterInterop,
    counters: Arc<SinkCounters>,
    report: SelfReport,
}

/// The lines that begin with the time.
#[derive(Debug, Clone)]
pub(crate) enum ShowTime {
    Always,
    /// All lines while events at DEBUG are shown, according to these levels and the level of the
    /// output.
    FromDebug(LevelHandle, LevelFilter),
}

impl ShowTime {
    fn is_shown(&self) -> bool {
        match self {
            Self::Always => true,
            Self::FromDebug(levels, of_output) => {
                levels.max_event_level().min(*of_output) >= LevelFilter::DEBUG
            }
        }
    }
}

/// The spans around an event as text: `checkout{order_id=42}:pay`.
#[derive(Debug, Default)]
struct SpanPath {
    name: &'static str,
    own: Fields,
    path: String,
}

/// A longer path is cut at its outer end.
const MAX_PATH_LEN: usize = 2048;

/// A longer context value is cut to its last characters, which distinguish two UUIDs.
const MAX_ID_LEN: usize = 12;

/// The start of a line that continues a value.
const CONTINUED: &str = "\n             | ";

/// The same in [`Style::Short`].
const CONTINUED_SHORT: &str = "\n      | ";

impl ConsoleLayer {
    pub(crate) fn new(
        style: Style,
        color: bool,
        context_keys: Vec<String>,
        make_writer: BoxMakeWriter,
        report: &SelfReport,
    ) -> Self {
        Self {
            style,
            color: AnsiColor(color),
            context_keys,
            make_writer,
            clock: Clock::system(),
            time: ShowTime::Always,
            timestamp: Timestamp::micros(),
            id: LayerId::unique(),
            filter_interop: FilterInterop::default(),
            counters: report.sink("console"),
            report: report.clone(),
        }
    }

    pub(crate) fn show_time(mut self, time: ShowTime) -> Self {
        self.time = time;
        self
    }

    /// Sets the time zone of lines: only the zone of `timestamp` is used.
    pub(crate) fn timestamp(mut self, timestamp: Timestamp) -> Self {
        self.timestamp = timestamp;
        self
    }

    fn is_context(&self, name: &str) -> bool {
        CONTEXT_KEYS.contains(&name) || self.context_keys.iter().any(|key| key == name)
    }

    /// Removes fields that the line shows as context.
    fn without_context(&self, mut fields: Fields) -> Fields {
        fields.others.retain(|(name, _)| !self.is_context(name));
        fields
    }

    fn line(&self, event: &Event<'_>, fields: &Fields, path: &str, context: &Context) -> String {
        let callsite = event.metadata();
        let log = log_record::is_log_record(callsite).then(|| LogRecord::from_event(event));
        let target = log
            .as_ref()
            .and_then(|log| log.target.as_deref())
            .unwrap_or(callsite.target());
        let (file, line) = match &log {
            Some(log) => (log.file.as_deref(), log.line),
            None => (callsite.file(), callsite.line().map(u64::from)),
        };
        let color = self.color;
        let continued = match self.style {
            Style::Pretty => Some(CONTINUED),
            Style::Short => Some(CONTINUED_SHORT),
            Style::Compact => None,
        };
        let mut out = String::with_capacity(256);
        if self.time.is_shown() {
            let now = self.clock.now();
            let offset = self.timestamp.offset_minutes(now);
            color.dim(&mut out, |out| push_time(out, now, offset));
            out.push(' ');
        }
        let level = *callsite.level();
        let name = match self.style {
            Style::Pretty | Style::Compact => format!("{level:>5}"),
            // It may be at the start of the line.
            Style::Short => format!("{level:<5}"),
        };
        color.level(&mut out, level, &name);
        out.push(' ');
        if self.style == Style::Compact {
            color.dim(&mut out, |out| {
                push_name(out, target);
                out.push(':');
            });
            out.push(' ');
        }
        if let Some(message) = &fields.message {
            color.bold(&mut out, |out| push_message(out, message, continued));
        }
        for (name, value) in &fields.others {
            if !out.ends_with(' ') {
                out.push(' ');
            }
            color.dim(&mut out, |out| {
                push_name(out, name);
                out.push('=');
            });
            value.push(&mut out, continued);
        }
        color.dim(&mut out, |out| {
            match self.style {
                Style::Pretty => {
                    out.push_str("\n             ");
                    push_name(out, target);
                    if let Some(file) = file {
                        out.push_str(" at ");
                        push_name(out, file);
                        line.inspect(|line| out.push_str(&format!(":{line}")));
                    }
                }
                Style::Compact | Style::Short if path.is_empty() && context.is_empty() => {}
                Style::Compact | Style::Short => out.push_str(" |"),
            }
            if !path.is_empty() {
                out.push_str(if self.style == Style::Pretty {
                    " in "
                } else {
                    " "
                });
                out.push_str(path);
            }
            for (key, value) in context.iter() {
                out.push(' ');
                push_name(out, key);
                out.push('=');
                push_value(out, &short(value), None);
            }
        });
        out.push('\n');
        out
    }

    fn write(&self, line: &str, metadata: &Metadata<'_>) {
        let written = reentrancy::guarded_write(self.id, || {
            self.make_writer
                .make_writer_for(metadata)
                .write_all(line.as_bytes())
        });
        let Err(why) = written else {
            return self.counters.add_delivered(1);
        };
        self.counters.add_write_failed(1);
        self.report.fault(
            Fault::WriteFailed,
            &format_args!("a line for the console is lost: {why}"),
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
        self.filter_interop.interest_in_all()
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: LayerContext<'_, S>) {
        // Format values before locking the span.
        let own = self.without_context(Fields::new(attrs.metadata(), |visitor| {
            attrs.record(visitor)
        }));
        let Some(span) = ctx.span(id) else { return };
        let parent = span
            .parent()
            .and_then(|parent| SpanData::<SpanPath>::find(Some(self.id), &parent));
        let node = SpanData::new(parent.as_ref(), |parent| {
            SpanPath::new(span.name(), own, parent)
        });
        node.attach(self.id, &span);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: LayerContext<'_, S>) {
        let Some(callsite) = ctx.metadata(id) else {
            return;
        };
        let recorded = Fields::new(callsite, |visitor| values.record(visitor));
        let recorded = self.without_context(recorded);
        let node = ctx
            .span(id)
            .and_then(|span| SpanData::<SpanPath>::find(Some(self.id), &span));
        if let Some(node) = node {
            node.update(|path, parent| {
                let mut own = path.own.clone();
                recorded
                    .others
                    .iter()
                    .for_each(|(name, value)| own.set(name, value.clone()));
                SpanPath::new(path.name, own, parent)
            });
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: LayerContext<'_, S>) {
        let annotations = EventContext::take();
        let mut fields = Fields::new(event.metadata(), |visitor| event.record(visitor));
        if let Some(rate) = annotations.sample_rate {
            fields.rename("sample_rate", "fields.sample_rate");
            fields.set("sample_rate", rate.to_string());
        }
        if annotations.buffered {
            fields.rename("buffered", "fields.buffered");
            fields.set("buffered", "true".to_owned());
        }
        let span = ctx.event_span(event);
        let node = span
            .as_ref()
            .and_then(|span| SpanData::<SpanPath>::find(Some(self.id), span));
        let path = node
            .map(|node| node.read(|path| path.path.clone()))
            .unwrap_or_default();
        let context = span.as_ref().map(Context::from_span).unwrap_or_default();
        drop(span);
        self.write(
            &self.line(event, &fields, &path, &context),
            event.metadata(),
        );
    }
}

impl SpanPath {
    fn new(name: &'static str, own: Fields, parent: Option<&Self>) -> Self {
        let mut path = String::new();
        if let Some(parent) = parent {
            path.push_str(&parent.path);
            path.push(':');
        }
        push_name(&mut path, name);
        if !own.others.is_empty() {
            path.push('{');
            for (index, (name, value)) in own.others.iter().enumerate() {
                path.push_str(if index == 0 { "" } else { " " });
                push_name(&mut path, name);
                path.push('=');
                value.push(&mut path, None);
            }
            path.push('}');
        }
        if path.len() > MAX_PATH_LEN {
            path = format!("…{}", last(&path, MAX_PATH_LEN));
        }
        Self { name, own, path }
    }
}

impl Inherit for SpanPath {
    fn rebuild(&self, parent: Option<&Self>) -> Self {
        Self::new(self.name, self.own.clone(), parent)
    }
}

impl fmt::Debug for ConsoleLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleLayer")
            .field("style", &self.style)
            .finish_non_exhaustive()
    }
}

/// Appends the time of day to the millisecond, at `offset_minutes` east of Greenwich.
fn push_time(out: &mut String, now: SystemTime, offset_minutes: i16) {
    let (second, nanos) = rfc3339::since_epoch(now);
    let date_time = rfc3339::date_time(second.saturating_add(i64::from(offset_minutes) * 60));
    let mut text = *b"00:00:00.000";
    text[..8].copy_from_slice(&date_time[11..]);
    rfc3339::write_fraction(&mut text[9..], nanos);
    out.extend(text.map(char::from));
}

/// Shortens an id to the part that people compare.
fn short(id: &str) -> String {
    if id.len() <= MAX_ID_LEN {
        return id.to_owned();
    }
    format!("…{}", last(id, MAX_ID_LEN - 4))
}

/// Returns the longest suffix of `text` that has at most `limit` bytes and starts at a character.
fn last(text: &str, limit: usize) -> &str {
    let mut start = text.len().saturating_sub(limit);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

//! All user code logs, opens spans, reads the context and panics, in each of its methods, under a
//! global subscriber. No thread hangs, no line is torn, and each line is counted.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where something is wrong"
)]

use std::{
    borrow::Cow,
    cell::Cell,
    error::Error,
    fmt, io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use serde_core::{Serialize, Serializer};
use spanwise_core::{
    Context, ContextLayer, KeyVerdict, LayerExt, Layers, LevelLayer, Redact, SelfReport,
    internal::{Inherit, LayerId, SpanData, SpanTable},
};
use spanwise_json::{Format, JsonLayer, SpanEvents};
use spanwise_testing::support::parse_json;
use tracing::{Event, Subscriber, field::Empty, info, info_span, span::Id, warn};
use tracing_core::{
    Interest, Metadata,
    span::{Attributes, Record},
};
use tracing_subscriber::{
    Layer, Registry, fmt::MakeWriter, layer::Context as LayerContext, prelude::*,
};

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

static CALLS: AtomicU64 = AtomicU64::new(0);

/// Does what user code may do anywhere: everything that `tracing` offers, and then panic.
fn misbehave(place: &str) {
    let depth = DEPTH.get();
    if depth >= 1 {
        return;
    }
    DEPTH.set(depth + 1);
    struct Leave(u32);
    impl Drop for Leave {
        fn drop(&mut self) {
            DEPTH.set(self.0);
        }
    }
    let _leave = Leave(depth);
    let number = CALLS.fetch_add(1, Ordering::Relaxed);
    warn!(number, place, "logged by a user's code");
    let _ = Context::current();
    let span = info_span!("inner", request_id = number, late = Empty);
    span.in_scope(|| info!("in a span of a user's code"));
    span.record("late", number).record("request_id", 7);
    let current = tracing::Span::current();
    current.record("late", number);
    drop((span, current));
    // Only one place panics at a time, since a panic skips the places after it.
    assert!(!number.is_multiple_of(3), "a user's code panics in {place}");
}

/// [`misbehave`] where a panic would abort: in a destructor during another panic, or in a layer,
/// whose caller gets the panic.
fn misbehave_quietly(place: &str) {
    let _ = std::panic::catch_unwind(|| misbehave(place));
}

struct Value;

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half a ")?;
        misbehave("Debug");
        f.write_str("value")
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        misbehave("Display");
        f.write_str("value")
    }
}

impl Error for Value {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        misbehave("source");
        Some(self)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        misbehave("Serialize");
        serializer.collect_map([("a", 1), ("b", 2), ("a", 3)])
    }
}

#[derive(Debug)]
struct Policy;

impl Redact for Policy {
    fn key(&self, key: &str) -> KeyVerdict {
        misbehave("key");
        match key {
            "password" => KeyVerdict::Redact,
            "user_id" => KeyVerdict::Replace,
            _ => KeyVerdict::Pass,
        }
    }

    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        misbehave("text");
        text.into()
    }

    fn value<'t>(&self, _: &str, text: &'t str) -> Cow<'t, str> {
        misbehave("value");
        text.into()
    }

    fn replace(&self, _: &str, _: &str) -> String {
        misbehave("replace");
        "replaced".to_owned()
    }

    fn reads_text(&self) -> bool {
        true
    }
}

/// An output of which every method misbehaves.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<String>>>);

struct Writer(Output);

impl MakeWriter<'_> for Output {
    type Writer = Writer;

    fn make_writer(&self) -> Writer {
        misbehave("make_writer");
        Writer(self.clone())
    }
}

#[derive(Debug)]
struct WriteError;

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        misbehave("Display of an error");
        f.write_str("refused")
    }
}

impl Error for WriteError {}

impl Drop for WriteError {
    fn drop(&mut self) {
        misbehave_quietly("Drop of an error");
    }
}

impl io::Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        misbehave("write");
        if CALLS.load(Ordering::Relaxed).is_multiple_of(5) {
            return Err(io::Error::other(WriteError));
        }
        let text = String::from_utf8(line.to_vec()).unwrap();
        self.0.0.lock().unwrap().push(text);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        misbehave("flush");
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        misbehave_quietly("Drop of a writer");
    }
}

/// Another layer, which stores its own data in the span tree.
struct Beside {
    id: LayerId,
    spans: SpanTable<Arc<Data>>,
}

struct Data;

impl Inherit for Data {
    fn rebuild(&self, _: Option<&Self>) -> Self {
        misbehave_quietly("rebase");
        Self
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        misbehave_quietly("Drop of a span's data");
    }
}

impl<S: Subscriber + for<'s> tracing_subscriber::registry::LookupSpan<'s>> Layer<S> for Beside {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }
    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: LayerContext<'_, S>) {
        attrs.record(&mut |_: &tracing::field::Field, value: &dyn fmt::Debug| {
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| format!("{value:?}")));
        });
        misbehave_quietly("on_new_span");
        self.spans.insert(id, Arc::new(Data));
        // The second insert drops the first value.
        self.spans.insert(id, Arc::new(Data));
        if let Some(span) = ctx.span(id) {
            let parent = span
                .parent()
                .and_then(|parent| SpanData::find(Some(self.id), &parent));
            let node = SpanData::new(parent.as_ref(), |_| Data);
            node.attach(self.id, &span);
        }
    }
    fn on_record(&self, id: &Id, _: &Record<'_>, ctx: LayerContext<'_, S>) {
        misbehave_quietly("on_record");
        let node = ctx
            .span(id)
            .and_then(|span| SpanData::<Data>::find(Some(self.id), &span));
        if let Some(node) = node {
            node.update(|_, _| {
                misbehave_quietly("update");
                Data
            });
        }
    }
    fn on_event(&self, event: &Event<'_>, ctx: LayerContext<'_, S>) {
        misbehave_quietly("on_event");
        let node = ctx
            .event_span(event)
            .and_then(|span| SpanData::<Data>::find(Some(self.id), &span));
        if let Some(node) = node {
            node.read(|_| misbehave_quietly("read"));
        }
    }
    fn on_enter(&self, _: &Id, _: LayerContext<'_, S>) {
        misbehave_quietly("on_enter");
    }
    fn on_exit(&self, _: &Id, _: LayerContext<'_, S>) {
        misbehave_quietly("on_exit");
    }
    fn on_close(&self, id: Id, _: LayerContext<'_, S>) {
        drop(self.spans.remove(&id));
        misbehave_quietly("on_close");
    }
}

/// The sink catches panics of writers and errors. Callers of a policy catch its panics.
fn work() {
    for round in 0..2 {
        let request = info_span!(
            "request",
            request_id = ?Value,
            user_id = %Value,
            password = ?Value,
            round,
            late = Empty,
        );
        let _request = request.enter();
        info!(debug = ?Value, display = %Value, error = &Value as &dyn Error, "first");
        request.record("late", tracing::field::debug(Value));
        info!(nested = %spanwise_json::as_json(&Value), password = %Value, "message {Value}");
        info_span!("step", late = ?Value).in_scope(|| {
            request.record("round", round + 1);
            info!(parent: &request, user_id = ?Value, "elsewhere");
            info!("inside");
        });
    }
}

#[test]
fn hostile_code_neither_hangs_nor_tears_lines() {
    // No logging panic hook: a panic inside a hook aborts.
    std::panic::set_hook(Box::new(|_| ()));
    let outputs: [Output; 3] = Default::default();
    let report = SelfReport::silent();
    let policy: Arc<dyn Redact> = Arc::new(Policy);
    let json = |format: Format, output: &Output| {
        JsonLayer::new()
            .format(format)
            .report(&report)
            .with_span_list()
            .span_events(SpanEvents::ALL)
            .with_writer(output.clone())
    };
    let mut layers = Layers::<Registry>::default();
    layers.push(ContextLayer::default().redact(Arc::clone(&policy)));
    layers.push(json(Format::Json, &outputs[0]).redact(Arc::clone(&policy)));
    layers.push(json(Format::JsonNested, &outputs[1]));
    layers.push(json(Format::Json, &outputs[2]).redacted(policy));
    layers.push(Beside {
        id: LayerId::unique(),
        spans: SpanTable::default(),
    });
    tracing_subscriber::registry()
        .with(layers)
        .with(LevelLayer::new("trace".parse().unwrap()))
        .init();

    let (done, finished) = mpsc::channel();
    for _ in 0..3 {
        let done = done.clone();
        thread::spawn(move || {
            work();
            done.send(()).unwrap();
        });
    }
    for _ in 0..3 {
        finished
            .recv_timeout(Duration::from_secs(60))
            .expect("no thread hangs");
    }
    let sinks = report.stats().sinks;
    for output in &outputs {
        let lines = output.0.lock().unwrap();
        assert!(lines.len() > 500, "{}", lines.len());
        for line in lines.iter() {
            let line = line.strip_suffix('\n').expect("a whole line");
            assert!(parse_json(line).is_object());
        }
    }
    let written: usize = outputs
        .iter()
        .map(|output| output.0.lock().unwrap().len())
        .sum();
    let delivered: u64 = sinks.iter().map(|sink| sink.delivered).sum();
    // A writer whose destructor panics has written its line.
    assert!(delivered <= written as u64, "{delivered} of {written}");
    assert!(sinks.iter().any(|sink| sink.write_failed > 0));
}

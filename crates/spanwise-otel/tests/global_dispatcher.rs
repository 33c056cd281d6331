//! Code of callers runs inside of the layer, under a global dispatcher: its events and spans come
//! back to the layer. A process of its own, because the dispatcher is global.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test may panic")]

use std::{collections::HashMap, fmt, sync::mpsc, thread, time::Duration};

use opentelemetry::{Context, global, trace::Tracer as _};
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};
use spanwise_core::{
    Context as SpanwiseContext, ContextLayer,
    internal::{SpanIdentity, panic_safe::PANICKED},
};
use spanwise_otel::{EventsInSpans, Otel, SpanExt as _};
use tracing::{Instrument as _, Span as TracingSpan, field::Empty};
use tracing_subscriber::prelude::*;

#[path = "it/support/receiver.rs"]
mod receiver;

use receiver::{Receiver, text};

/// A value that uses everything while it is formatted.
struct Busy;

impl fmt::Debug for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = TracingSpan::current();
        tracing::error!("logged by a value");
        current.record("late", "recorded by a value");
        current.set_attribute("set", "by a value");
        tracing::info_span!("of a value", busy = ?1).in_scope(|| tracing::warn!("inside"));
        let _context = Context::current().attach();
        drop(global::tracer("client").start("api span of a value"));
        drop(current.context());
        f.write_str("busy")
    }
}

struct Panics;

impl fmt::Debug for Panics {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::panic::resume_unwind(Box::new("a value"))
    }
}

fn use_everything() {
    let span =
        tracing::info_span!("work", busy = ?Busy, panics = ?Panics, neighbour = 1, late = Empty);
    let _entered = span.enter();
    span.record("late", tracing::field::debug(Busy));
    tracing::info!(busy = ?Busy, panics = ?Panics, neighbour = 2, "an event");
    tracing::error!(busy = ?Busy, "failed");
    Context::map_current(|context| {
        // The stack of contexts is borrowed.
        let span = global::tracer("client").start_with_context("borrowed", context);
        drop(tracing::info_span!("inside of a borrow"));
        tracing::warn!("inside of a borrow");
        drop(span);
    });
    // It logs inside of the stack of contexts.
    tracing::error!(target: "opentelemetry", "about OpenTelemetry");
}

/// A span that a thread-local leaves while the thread ends.
struct LeftAtTheEnd(Option<tracing::span::EnteredSpan>);

impl Drop for LeftAtTheEnd {
    fn drop(&mut self) {
        drop(self.0.take());
        tracing::info_span!("at the end").in_scope(|| tracing::error!("at the end"));
    }
}

thread_local! {
    static LEFT: std::cell::RefCell<LeftAtTheEnd> = const { std::cell::RefCell::new(LeftAtTheEnd(None)) };
}

async fn request(number: usize) -> (String, String) {
    tokio::task::yield_now().await;
    let step = async {
        tokio::task::yield_now().await;
        let context = SpanwiseContext::current();
        ["trace_id", "span_id"].map(|key| context.get(key).unwrap_or_default().to_owned())
    };
    let [trace_id, span_id] = step.instrument(tracing::info_span!("step", number)).await;
    let identity = SpanIdentity::current().expect("the span of the request");
    assert_eq!(identity.trace_id_digits().as_str(), trace_id);
    (trace_id, span_id)
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn callers_may_use_everything_inside_of_the_layer() {
    let receiver = Receiver::start();
    let (otel, guard) = Otel::builder(receiver.endpoint())
        .metrics(|metrics| metrics.off())
        .all_signals(|signal| signal.max_queue_len(100_000))
        .span_options(|options| options.events(EventsInSpans::All))
        .build()
        .unwrap();
    global::set_tracer_provider(otel.tracer_provider().unwrap());
    let subscriber = tracing_subscriber::registry()
        .with(otel.spans())
        .with(ContextLayer::default())
        .with(otel.logs());
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let (done, is_done) = mpsc::channel();
    let worker = thread::spawn(move || {
        for _ in 0..4 {
            thread::spawn(use_everything).join().expect("no panic");
        }
        thread::spawn(|| {
            let entered = tracing::info_span!("left at the end").entered();
            LEFT.with(|left| left.borrow_mut().0 = Some(entered));
        })
        .join()
        .expect("no panic");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(4)
            .build()
            .unwrap();
        let seen = runtime.block_on(async {
            let mut tasks = Vec::new();
            for number in 0..256 {
                let span = tracing::info_span!("request", number);
                tasks.push(tokio::spawn(request(number).instrument(span)));
            }
            let mut seen = Vec::new();
            for task in tasks {
                seen.push(task.await.expect("no panic"));
            }
            seen
        });
        done.send(seen).unwrap();
    });
    let seen = is_done
        .recv_timeout(Duration::from_secs(60))
        .expect("no deadlock");
    worker.join().unwrap();
    let stats = guard.shutdown(Duration::from_secs(60));
    assert_eq!(stats.open_spans, 0);

    let received = receiver.spans();
    let spans: Vec<&Span> = received.iter().map(|received| &received.item).collect();
    let named = |name: &str| -> Vec<&Span> {
        spans
            .iter()
            .copied()
            .filter(|span| span.name == name)
            .collect()
    };
    let work = named("work");
    assert_eq!(work.len(), 4);
    for span in work {
        assert_eq!(text(&span.attributes, "busy"), Some("busy"));
        assert_eq!(text(&span.attributes, "panics"), Some(PANICKED));
        assert_eq!(text(&span.attributes, "late"), Some("recorded by a value"));
        assert_eq!(text(&span.attributes, "set"), Some("by a value"));
        assert!(receiver::attribute(&span.attributes, "neighbour").is_some());
        let status = span.status.as_ref().expect("a status");
        assert_eq!(status.code(), StatusCode::Error);
        let about_itself = span
            .events
            .iter()
            .any(|event| event.name == "about OpenTelemetry");
        assert!(!about_itself);
        let event = span
            .events
            .iter()
            .find(|event| event.name == "an event")
            .unwrap();
        assert_eq!(text(&event.attributes, "panics"), Some(PANICKED));
    }
    // One for each time that a value is formatted: as a field of the span, late, and in two events.
    assert!(named("of a value").len() >= 16);
    assert_eq!(named("borrowed").len(), 4);
    assert_eq!(named("inside of a borrow").len(), 4);
    assert_eq!(
        (named("left at the end").len(), named("at the end").len()),
        (1, 1)
    );

    // The ids in the context are those of one exported span each, and its parent is the request.
    let by_ids: HashMap<(String, String), &Span> = spans
        .iter()
        .map(|span| ((digits(&span.trace_id), digits(&span.span_id)), *span))
        .collect();
    assert_eq!(by_ids.len(), spans.len());
    assert_eq!(seen.len(), 256);
    for ids in &seen {
        let step = by_ids[ids];
        assert_eq!(step.name, "step");
        let request = by_ids[&(ids.0.clone(), digits(&step.parent_span_id))];
        assert_eq!(request.name, "request");
        let number = |span: &Span| receiver::attribute(&span.attributes, "number").cloned();
        assert_eq!(number(step), number(request));
    }
    // Log records have the ids of exported spans. A field of a root logs outside of any span.
    let mut records = receiver.logs();
    records.retain(|record| !record.item.trace_id.is_empty());
    assert!(records.len() >= 16, "{records:#?}");
    for record in records {
        let ids = (digits(&record.item.trace_id), digits(&record.item.span_id));
        assert!(by_ids.contains_key(&ids), "{record:#?}");
    }
}

//! Spans that are open when the exporter ends, and spans that stay open for long.

use opentelemetry::trace::{Tracer as _, TracerProvider as _};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use spanwise_core::ContextLayer;
use spanwise_otel::{EventsInSpans, SpanOptions, TraceSampler};
use tracing_subscriber::prelude::*;

use crate::support::traces::{Traces, named};

#[test]
fn open_spans_are_sent_marked_at_the_end() {
    let traces = Traces::start(SpanOptions::default());
    let open = tracing::info_span!("open", order.id = 42);
    let entered = tracing::info_span!("entered").entered();
    let of_api = traces
        .otel
        .tracer_provider()
        .unwrap()
        .tracer("client")
        .start("of api");
    drop(tracing::info_span!("closed"));
    assert_eq!(traces.otel.stats().open_spans, 3);
    let otel = traces.otel.clone();
    let (spans, stats) = traces.finish_with_stats();
    assert_eq!((spans.len(), stats.traces.accepted), (4, 4));
    assert_eq!(named(&spans, "closed").value("spanwise.unfinished"), None);
    for name in ["open", "entered", "of api"] {
        let mark = named(&spans, name).value("spanwise.unfinished");
        assert_eq!(mark, Some(&Value::BoolValue(true)), "{name}");
    }
    // Their later end is not counted again.
    drop((open, entered, of_api));
    assert_eq!(otel.stats().traces.accepted, 4);
    assert_eq!(
        (otel.stats().open_spans, otel.stats().unsampled_spans),
        (0, 0)
    );
}

#[test]
fn long_span_stays_within_its_limits() {
    let events = SpanOptions::default()
        .events(EventsInSpans::All)
        .max_events(usize::MAX);
    let traces = Traces::start(events);
    let span = tracing::info_span!("long", first = 1, late = tracing::field::Empty);
    let long = "x".repeat(20_000);
    span.in_scope(|| {
        for count in 0..20_000 {
            tracing::info!(count, "event");
        }
    });
    span.record("late", &*long);
    let link = tracing::info_span!("followed");
    span.follows_from(&link);
    drop((span, link));
    let spans = traces.finish();
    let span = named(&spans, "long");
    let len = prost::Message::encoded_len(&span.span);
    assert!(len < 65 * 1024, "{len}");
    assert_eq!(
        span.events.len() + span.dropped_events_count as usize,
        20_000
    );
    assert_eq!(span.keys(), ["first"]);
    assert_eq!(span.dropped_attributes_count, 1);
    assert_eq!(span.dropped_links_count, 1);
}

#[test]
fn unfinished_unsampled_span_counts_once() {
    let sampler = TraceSampler::always_off();
    let traces = Traces::start(SpanOptions::default().sampler(sampler));
    let open = tracing::info_span!("open").entered();
    let otel = traces.otel.clone();
    let (spans, _) = traces.finish_with_stats();
    drop(open);
    assert_eq!((spans.len(), otel.stats().unsampled_spans), (0, 1));
}

#[test]
fn full_span_has_the_marks_of_the_exporter() {
    let options = SpanOptions::default().max_attributes(1).busy_times();
    let traces = Traces::start(options);
    let open = tracing::info_span!("open", first = 1, second = 2);
    open.in_scope(|| {
        let error = std::io::Error::other("declined");
        let error: &(dyn std::error::Error + 'static) = &error;
        tracing::error!(error, "failed");
    });
    let spans = traces.finish();
    let span = named(&spans, "open");
    let own = [
        "first",
        "spanwise.unfinished",
        "busy_ns",
        "idle_ns",
        "error.type",
    ];
    assert_eq!(span.keys(), own);
    assert_eq!(span.dropped_attributes_count, 1);
    drop(open);
}

#[test]
fn context_keys_stay_within_the_limits_of_a_span() {
    let options = SpanOptions::default()
        .events(EventsInSpans::All)
        .max_events(usize::MAX)
        .context_keys();
    let traces = Traces::start(options);
    let subscriber = tracing_subscriber::registry()
        .with(traces.otel.spans())
        .with(ContextLayer::default());
    tracing::subscriber::with_default(subscriber, || {
        let long = "x".repeat(20_000);
        let (request_id, tenant_id, user_id) = (&*long, &*long, &*long);
        let _request = tracing::info_span!("request", request_id, tenant_id, user_id).entered();
        tracing::info_span!("long").in_scope(|| {
            for count in 0..20_000 {
                tracing::info!(count, "event");
            }
        });
    });
    let spans = traces.finish();
    let span = named(&spans, "long");
    let len = prost::Message::encoded_len(&span.span);
    assert!(len < 65 * 1024, "{len}");
    assert!(span.dropped_attributes_count > 0, "{:?}", span.keys());
}

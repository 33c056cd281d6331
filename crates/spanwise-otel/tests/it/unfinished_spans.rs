//! Spans that are open when the exporter ends, and spans that stay open for long.

use opentelemetry::trace::{Tracer as _, TracerProvider as _};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use spanwise_otel::{EventsInSpans, SpanOptions};

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

//! What becomes of the fields, the name, the kind, the times and the status of a span.

use std::{
    error::Error,
    fmt,
    time::{Duration, SystemTime},
};

use opentelemetry::{
    KeyValue,
    trace::{
        Link, Span as _, SpanContext, SpanId, TraceFlags, TraceId, TraceState, Tracer as _,
        TracerProvider as _,
    },
};
use opentelemetry_proto::tonic::{
    common::v1::any_value::Value,
    trace::v1::{span::SpanKind, status::StatusCode},
};
use spanwise_core::Clock;
use spanwise_otel::{EventsInSpans, SpanExt as _, SpanOptions};
use tracing::{Level, field::Empty};

use crate::support::traces::{Traces, event_text, named};

#[derive(Debug)]
struct Declined {
    cause: fmt::Error,
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("card declined")
    }
}

impl Error for Declined {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

fn declined() -> Declined {
    Declined { cause: fmt::Error }
}

#[test]
fn fields_keep_their_types() {
    let traces = Traces::start(SpanOptions::default());
    let span = tracing::info_span!(
        "typed",
        bool = true,
        u16 = 404_u16,
        i64 = -7_i64,
        u64 = u64::MAX,
        i128 = i128::MIN,
        small = 5_u128,
        f64 = 0.5,
        nan = f64::NAN,
        infinite = f64::INFINITY,
        text = "text",
        bytes = &b"\x00\xff"[..],
        debug = ?Some(1),
        display = %"shown",
        otel.unknown = 1,
        spanwise.unit = Empty,
        trace_id = "no id",
        span_id = "no id",
    );
    drop(span);
    let spans = traces.finish();
    let span = named(&spans, "typed");
    let int = |key| match span.value(key) {
        Some(Value::IntValue(int)) => *int,
        other => panic!("{key}: {other:?}"),
    };
    let double = |key| match span.value(key) {
        Some(Value::DoubleValue(double)) => *double,
        other => panic!("{key}: {other:?}"),
    };
    assert_eq!(span.value("bool"), Some(&Value::BoolValue(true)));
    assert_eq!((int("u16"), int("i64"), int("small")), (404, -7, 5));
    assert_eq!(span.text("u64"), Some("18446744073709551615"));
    assert_eq!(span.text("i128"), Some(&*i128::MIN.to_string()));
    assert_eq!(double("f64"), 0.5);
    assert!(double("nan").is_nan() && double("infinite") == f64::INFINITY);
    assert_eq!(span.text("text"), Some("text"));
    let bytes = Value::BytesValue(vec![0, 0xFF]);
    assert_eq!(span.value("bytes"), Some(&bytes));
    assert_eq!(span.text("debug"), Some("Some(1)"));
    assert_eq!(span.text("display"), Some("shown"));
    let typed = [
        "bool", "u16", "i64", "u64", "i128", "small", "f64", "nan", "infinite", "text", "bytes",
        "debug", "display",
    ];
    assert_eq!(span.keys(), typed);
}

#[test]
fn late_record_replaces_in_place() {
    let traces = Traces::start(SpanOptions::default());
    let span = tracing::info_span!(
        "request",
        http.response.status_code = 200,
        last = 1,
        added = Empty
    );
    span.record("http.response.status_code", 404);
    span.record("added", "text");
    span.record("added", "longer text");
    span.record("last", 2);
    drop(span);
    let spans = traces.finish();
    let span = named(&spans, "request");
    assert_eq!(span.keys(), ["http.response.status_code", "last", "added"]);
    assert_eq!(
        span.value("http.response.status_code"),
        Some(&Value::IntValue(404))
    );
    assert_eq!(span.value("last"), Some(&Value::IntValue(2)));
    assert_eq!(span.text("added"), Some("longer text"));
}

#[test]
fn error_field_becomes_an_exception() {
    let traces = Traces::start(SpanOptions::default());
    let error = declined();
    let error: &(dyn Error + 'static) = &error;
    drop(tracing::info_span!("charge", error));
    let spans = traces.finish();
    let span = named(&spans, "charge");
    assert_eq!(span.text("error"), Some("card declined"));
    assert_eq!(span.text("exception.message"), Some("card declined"));
    assert_eq!(span.text("exception.type"), Some("Declined"));
    let chain = span.text("exception.stacktrace").unwrap();
    assert_eq!(chain.lines().count(), 2, "{chain}");
    assert!(chain.ends_with(&fmt::Error.to_string()));
    assert_eq!(span.outcome().0, StatusCode::Unset);
}

#[test]
fn name_and_kind_may_come_late() {
    let traces = Traces::start(SpanOptions::default());
    drop(tracing::info_span!("plain"));
    drop(tracing::info_span!(
        "callsite",
        otel.name = "early",
        otel.kind = "consumer"
    ));
    let span = tracing::info_span!("callsite", otel.name = Empty, otel.kind = Empty);
    span.record("otel.name", "late");
    span.record("otel.kind", "PRODUCER");
    drop(span);
    let spans = traces.finish();
    assert_eq!(named(&spans, "plain").kind(), SpanKind::Internal);
    assert_eq!(named(&spans, "early").kind(), SpanKind::Consumer);
    assert_eq!(named(&spans, "late").kind(), SpanKind::Producer);
    assert_eq!(named(&spans, "late").scope.name, module_path!());
    assert!(spans.iter().all(|span| span.attributes.is_empty()));
}

#[test]
fn http_method_and_route_name_a_request() {
    let traces = Traces::start(SpanOptions::default());
    for (method, route) in [
        ("GET", Some("/orders/{id}")),
        ("PUT", None),
        ("_OTHER", None),
    ] {
        drop(tracing::info_span!(
            "http.request",
            http.request.method = method,
            http.route = route,
            url.path = "/orders/42",
        ));
    }
    let names: Vec<String> = traces
        .finish()
        .iter()
        .map(|span| span.name.clone())
        .collect();
    assert_eq!(names, ["GET /orders/{id}", "PUT", "HTTP"]);
}

#[test]
fn ok_beats_an_error_in_any_order() {
    let traces = Traces::start(SpanOptions::default());
    for codes in [["OK", "ERROR"], ["error", "ok"]] {
        let span = tracing::info_span!(
            "set",
            otel.status_code = codes[0],
            otel.status_description = "ignored",
        );
        span.record("otel.status_code", codes[1]);
        span.in_scope(|| tracing::error!("failed"));
    }
    drop(tracing::info_span!(
        "failed",
        otel.status_code = "ERROR",
        otel.status_description = "why"
    ));
    let spans = traces.finish();
    let set: Vec<_> = spans.iter().filter(|span| span.name == "set").collect();
    assert_eq!(set.len(), 2);
    assert!(
        set.iter()
            .all(|span| span.outcome() == (StatusCode::Ok, ""))
    );
    assert_eq!(
        named(&spans, "failed").outcome(),
        (StatusCode::Error, "why")
    );
}

#[test]
fn error_event_marks_its_own_span_only() {
    let traces = Traces::start(SpanOptions::default());
    let error = declined();
    tracing::info_span!("outer").in_scope(|| {
        tracing::info_span!("inner").in_scope(|| {
            tracing::warn!("no error");
            tracing::error!(error = &error as &dyn Error, "charge failed");
        });
    });
    let spans = traces.finish();
    assert_eq!(named(&spans, "outer").outcome(), (StatusCode::Unset, ""));
    let inner = named(&spans, "inner");
    assert_eq!(inner.outcome(), (StatusCode::Error, "charge failed"));
    assert_eq!(inner.text("error.type"), Some("Declined"));
}

#[test]
fn http_status_decides_by_kind() {
    let traces = Traces::start(SpanOptions::default());
    for (kind, status, expected) in [
        ("server", 404, StatusCode::Unset),
        ("server", 500, StatusCode::Error),
        ("client", 404, StatusCode::Error),
        ("client", 302, StatusCode::Unset),
    ] {
        let span = tracing::info_span!(
            "request",
            otel.name = format!("{kind} {status} {expected:?}"),
            otel.kind = kind,
            http.response.status_code = status,
        );
        span.in_scope(|| tracing::error!("handled"));
    }
    let spans = traces.finish();
    assert_eq!(spans.len(), 4);
    for span in &spans {
        let (code, description) = span.outcome();
        assert!(span.name.ends_with(&format!("{code:?}")), "{}", span.name);
        assert_eq!(description, "");
        let status = (code == StatusCode::Error).then(|| span.name.split(' ').nth(1).unwrap());
        assert_eq!(span.text("error.type"), status);
    }
}

#[test]
fn span_lasts_from_its_creation_to_its_last_exit() {
    let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000));
    let traces = Traces::build(|builder| {
        builder
            .clock(clock.clone())
            .span_options(|options| options.busy_times())
    });
    let entered = tracing::info_span!("entered");
    let never = tracing::info_span!("never");
    clock.advance(Duration::from_secs(1));
    for _ in 0..2 {
        entered.in_scope(|| clock.advance(Duration::from_secs(2)));
    }
    // The clock of the system jumps.
    clock.set(SystemTime::UNIX_EPOCH);
    clock.advance(Duration::from_secs(10));
    drop((entered, never));
    let spans = traces.finish();
    let entered = named(&spans, "entered");
    assert_eq!(
        entered.started(),
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000)
    );
    assert_eq!(entered.duration(), Duration::from_secs(5));
    assert_eq!(
        entered.value("busy_ns"),
        Some(&Value::IntValue(4_000_000_000))
    );
    assert_eq!(
        entered.value("idle_ns"),
        Some(&Value::IntValue(1_000_000_000))
    );
    assert_eq!(named(&spans, "never").duration(), Duration::from_secs(15));
}

#[test]
fn events_of_spans_are_chosen() {
    let run = |options: SpanOptions| {
        let traces = Traces::start(options);
        let error = declined();
        tracing::info_span!("charge").in_scope(|| {
            tracing::info!(amount = 42, "charging");
            tracing::error!(error = &error as &dyn Error, "charge failed");
            tracing::error!(name: "named", code = 7);
        });
        let spans = traces.finish();
        named(&spans, "charge").span.events.clone()
    };
    assert_eq!(run(SpanOptions::default().events(EventsInSpans::None)), []);
    let errors = run(SpanOptions::default());
    let names: Vec<&str> = errors.iter().map(|event| &*event.name).collect();
    assert_eq!(names, ["exception", "named"]);
    assert_eq!(event_text(&errors[0], "exception.type"), Some("Declined"));
    assert_eq!(
        event_text(&errors[0], "exception.message"),
        Some("card declined")
    );
    let all = run(SpanOptions::default().events(EventsInSpans::All));
    let names: Vec<&str> = all.iter().map(|event| &*event.name).collect();
    assert_eq!(names, ["charging", "exception", "named"]);
    assert!(all.iter().all(|event| event.time_unix_nano > 0));
}

#[test]
fn extra_attributes_are_off_by_default() {
    let traces = Traces::start(SpanOptions::default().source_location().threads());
    drop(tracing::info_span!("all"));
    let spans = traces.finish();
    let span = named(&spans, "all");
    assert!(
        span.text("code.file.path")
            .unwrap()
            .ends_with("span_mapping.rs")
    );
    assert!(matches!(
        span.value("code.line.number"),
        Some(Value::IntValue(1..))
    ));
    assert!(matches!(
        span.value("thread.id"),
        Some(Value::IntValue(1..))
    ));
    assert_eq!(span.text("thread.name"), std::thread::current().name());

    let traces = Traces::start(SpanOptions::default());
    drop(tracing::info_span!("none"));
    assert!(named(&traces.finish(), "none").attributes.is_empty());
}

#[test]
fn levels_choose_spans_and_children_find_their_parent() {
    let levels = "warn,span_levels::on=debug".parse().unwrap();
    let traces = Traces::start(SpanOptions::default().levels(levels));
    let outer = tracing::span!(target: "span_levels::on", Level::DEBUG, "outer").entered();
    let hidden = tracing::info_span!("hidden").entered();
    tracing::error!("marks the span around the hidden one");
    drop(tracing::warn_span!("inner"));
    drop((hidden, outer));
    let spans = traces.finish();
    assert_eq!(spans.len(), 2);
    let outer = named(&spans, "outer");
    assert!(named(&spans, "inner").is_child_of(outer));
    assert_eq!(outer.outcome().0, StatusCode::Error);

    let traces = Traces::start(SpanOptions::default());
    drop(tracing::debug_span!("debug"));
    drop(tracing::info_span!(target: "opentelemetry_sdk", "own"));
    assert!(traces.finish().is_empty());
}

#[test]
fn limits_cut_and_count() {
    let options = SpanOptions::default()
        .max_attributes(2)
        .max_value_chars(3)
        .max_events(1)
        .max_event_attributes(1)
        .max_links(1)
        .events(EventsInSpans::All);
    let traces = Traces::start(options);
    let followed = tracing::info_span!("followed");
    let span = tracing::info_span!("limited", a = "äöüß", b = 1, c = Empty, d = 1);
    span.record("c", 1);
    span.record("a", "12345");
    span.follows_from(&followed);
    span.follows_from(&followed);
    span.in_scope(|| {
        tracing::info!(x = "abcd", y = 1, "first");
        tracing::info!("second");
    });
    drop((span, followed));
    let spans = traces.finish();
    let (span, followed) = (named(&spans, "limited"), named(&spans, "followed"));
    assert_eq!(span.keys(), ["a", "b"]);
    assert_eq!(span.text("a"), Some("123"));
    assert_eq!(span.dropped_attributes_count, 2);
    assert_eq!((span.events.len(), span.dropped_events_count), (1, 1));
    assert_eq!(event_text(&span.events[0], "x"), Some("abc"));
    assert_eq!(span.events[0].dropped_attributes_count, 1);
    assert_eq!((span.links.len(), span.dropped_links_count), (1, 1));
    assert_eq!(span.links[0].span_id, followed.span_id);
    assert_eq!(span.links[0].trace_id, followed.trace_id);
}

#[test]
fn attributes_that_a_link_lost_are_counted() {
    let traces = Traces::start(SpanOptions::default().max_link_attributes(1));
    let tracer = traces.otel.tracer_provider().unwrap().tracer("client");
    let (trace_id, span_id) = (TraceId::from_bytes([1; 16]), SpanId::from_bytes([2; 8]));
    let flags = TraceFlags::SAMPLED;
    let linked = SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE);
    let attributes = vec![KeyValue::new("a", 1), KeyValue::new("b", 2)];
    let builder = tracer.span_builder("charge");
    let links = vec![Link::new(linked, attributes, 3)];
    drop(builder.with_links(links).start(&tracer));
    let spans = traces.finish();
    // One exceeds the limit, and three were dropped before.
    assert_eq!(spans[0].links[0].dropped_attributes_count, 4);
}

/// As from a message without headers. By the specification, a link with content is exported, such
/// as the attributes of that message.
#[test]
fn links_to_no_span_need_content() {
    let traces = Traces::start(SpanOptions::default());
    let tracer = traces.otel.tracer_provider().unwrap().tracer("client");
    let no_span = SpanContext::empty_context;
    let message = |id| vec![KeyValue::new("message.id", id)];
    let with_state = SpanContext::new(
        TraceId::INVALID,
        SpanId::INVALID,
        TraceFlags::NOT_SAMPLED,
        true,
        TraceState::from_key_value([("a", "1")]).unwrap(),
    );

    let mut span = tracer.start("of the API");
    span.add_link(no_span(), Vec::new());
    span.add_link(no_span(), message(1));
    span.add_link(with_state.clone(), Vec::new());
    drop(span);
    let span = tracing::info_span!("of tracing");
    span.add_link(no_span());
    span.add_link_with_attributes(no_span(), message(1));
    span.add_link(with_state.clone());
    drop(span);
    let mut built = tracer.span_builder("built");
    built.links = Some(vec![
        Link::with_context(no_span()),
        Link::new(no_span(), message(1), 0),
        Link::with_context(with_state),
    ]);
    drop(built.start(&tracer));

    let spans = traces.finish();
    assert_eq!(spans.len(), 3);
    for span in spans {
        let [of_message, with_state] = &span.links[..] else {
            panic!("{span:?}");
        };
        assert_eq!(of_message.trace_id, [0; 16]);
        assert_eq!(of_message.attributes.len(), 1);
        assert_eq!(with_state.trace_state, "a=1");
        assert_eq!(span.dropped_links_count, 0);
    }
}

#[test]
fn context_keys_are_added_on_request() {
    use tracing_subscriber::prelude::*;
    let run = |options: SpanOptions| {
        let traces = Traces::start(options);
        let subscriber = tracing_subscriber::registry()
            .with(traces.otel.spans())
            .with(spanwise_core::ContextLayer::default());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info_span!("request", request_id = "r-1", tenant_id = "acme").in_scope(|| {
                drop(tracing::info_span!("charge", tenant_id = "own"));
            });
        });
        traces.finish()
    };
    let spans = run(SpanOptions::default().context_keys());
    let charge = named(&spans, "charge");
    assert_eq!(charge.text("request_id"), Some("r-1"));
    assert_eq!(charge.text("tenant_id"), Some("own"));
    assert_eq!(charge.keys().len(), 2);
    assert_eq!(named(&spans, "request").keys(), ["request_id", "tenant_id"]);
    let spans = run(SpanOptions::default());
    assert_eq!(named(&spans, "charge").keys(), ["tenant_id"]);
}

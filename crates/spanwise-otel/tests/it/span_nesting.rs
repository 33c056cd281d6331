//! Spans of `tracing` and spans of the OpenTelemetry API inside each other.

use std::panic::{AssertUnwindSafe, catch_unwind};

use opentelemetry::{
    Context, KeyValue, StringValue,
    baggage::BaggageExt as _,
    trace::{
        Event, Link, Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _,
        TraceFlags, TraceId, TraceState, Tracer as _, TracerProvider as _,
    },
};
use opentelemetry_proto::tonic::{common::v1::any_value::Value, trace::v1::status::StatusCode};
use prost::Message as _;
use spanwise_core::{Fault, SelfReport, TraceParent};
use spanwise_otel::{SetParentError, SpanExt as _, SpanOptions, TraceSampler};
use tracing_subscriber::prelude::*;

use crate::support::{
    output_alone,
    receiver::text,
    traces::{Traces, named},
};

fn active() -> SpanContext {
    Context::current().span().span_context().clone()
}

fn remote(flags: TraceFlags) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes([1; 16]),
        SpanId::from_bytes([2; 8]),
        flags,
        true,
        TraceState::from_key_value([("congo", "t61")]).unwrap(),
    )
}

#[test]
fn both_kinds_nest_as_one_chain() {
    let traces = Traces::start(SpanOptions::default());
    let tracer = traces.otel.tracer_provider().unwrap().tracer("client");
    tracer.in_span("1 api", |_| {
        tracing::info_span!("2 tracing").in_scope(|| {
            tracer.in_span("3 api", |_| {
                let inner = tracing::info_span!("4 tracing");
                inner.in_scope(|| {
                    tracing::info_span!("5 tracing").in_scope(|| {
                        drop(tracer.start("6 api"));
                    });
                });
            });
        });
    });
    let mut spans = traces.finish();
    spans.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(spans.len(), 6);
    assert!(spans[0].is_root());
    for pair in spans.windows(2) {
        assert!(pair[1].is_child_of(&pair[0]), "{:?}", pair[1]);
    }
}

#[test]
fn older_api_span_does_not_become_the_parent() {
    let traces = Traces::start(SpanOptions::default());
    let tracer = traces.otel.tracer_provider().unwrap().tracer("client");
    let outer = tracer.start("outer api");
    let outer = Context::current_with_span(outer);
    let attached = outer.clone().attach();
    let span = tracing::info_span!("inside").entered();
    {
        // A future that carries its context is polled inside of the newer span.
        let _older = outer.clone().attach();
        drop(tracing::info_span!("child"));
    }
    drop(span);
    drop((attached, outer));
    let spans = traces.finish();
    let inside = named(&spans, "inside");
    assert!(inside.is_child_of(named(&spans, "outer api")));
    assert!(named(&spans, "child").is_child_of(inside));
}

#[test]
fn context_is_current_inside_and_restored_outside() {
    let traces = Traces::start(SpanOptions::default());
    assert!(!active().is_valid());
    let outer = tracing::info_span!("outer");
    let inner = tracing::info_span!(parent: &outer, "inner");
    let id = |span: &tracing::Span| span.context().span().span_context().span_id();
    let (of_outer, of_inner) = (id(&outer), id(&inner));

    outer.in_scope(|| {
        assert_eq!(active().span_id(), of_outer);
        inner.in_scope(|| assert_eq!(active().span_id(), of_inner));
        assert_eq!(active().span_id(), of_outer);
        // Again.
        outer.in_scope(|| assert_eq!(active().span_id(), of_outer));
        assert_eq!(active().span_id(), of_outer);
    });
    assert!(!active().is_valid());

    let panicked = catch_unwind(AssertUnwindSafe(|| {
        outer.in_scope(|| inner.in_scope(|| std::panic::resume_unwind(Box::new(()))))
    }));
    assert!(panicked.is_err());
    assert!(!active().is_valid());

    let (first, second) = (outer.enter(), inner.enter());
    drop(first);
    assert_eq!(active().span_id(), of_inner);
    drop(second);
    assert!(!active().is_valid());

    for _ in 0..100_000 {
        let _entered = outer.enter();
    }
    assert!(!active().is_valid());
    // The stack of contexts has at most 65,535 entries.
    drop((outer, inner));
    assert_eq!(traces.finish().len(), 2);
}

#[test]
fn spans_move_between_threads() {
    let traces = Traces::start(SpanOptions::default());
    let dispatch = tracing::dispatcher::get_default(Clone::clone);
    let span = tracing::info_span!("moved");
    let inside = span.clone().entered();
    let id = active().span_id();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _default = tracing::dispatcher::set_default(&dispatch);
            assert!(!active().is_valid());
            span.in_scope(|| assert_eq!(active().span_id(), id));
            // Never left: the thread ends.
            #[expect(
                clippy::mem_forget,
                reason = "the test is about a guard that is not dropped"
            )]
            std::mem::forget(span.clone().entered());
            assert_eq!(active().span_id(), id);
        });
    });
    drop(inside);
    assert!(!active().is_valid());
    drop(span);
    let (spans, stats) = traces.finish_with_stats();
    // It is unfinished, because one thread never left it.
    assert_eq!(
        named(&spans, "moved").value("spanwise.unfinished"),
        Some(&Value::BoolValue(true))
    );
    assert_eq!(stats.traces.accepted, 1);
}

#[test]
fn context_can_be_turned_off() {
    let traces = Traces::start(SpanOptions::default().without_context());
    let tracer = traces.otel.tracer_provider().unwrap().tracer("client");
    tracer.in_span("api", |_| {
        tracing::info_span!("root").in_scope(|| {
            tracer.in_span("api child", |_| drop(tracing::info_span!("child")));
        });
    });
    let spans = traces.finish();
    assert!(named(&spans, "root").is_root());
    assert!(named(&spans, "child").is_child_of(named(&spans, "root")));
    assert!(named(&spans, "api child").is_child_of(named(&spans, "api")));
}

#[test]
fn api_span_has_everything_that_it_was_given() {
    let traces = Traces::start(SpanOptions::default());
    let provider = traces.otel.tracer_provider().unwrap();
    let scope = opentelemetry::InstrumentationScope::builder("client")
        .with_version("1.2")
        .with_attributes([KeyValue::new("of", "scope")])
        .build();
    let tracer = provider.tracer_with_scope(scope);
    let at = |secs| std::time::UNIX_EPOCH + std::time::Duration::from_secs(secs);
    let mut span = tracer
        .span_builder("started")
        .with_kind(SpanKind::Client)
        .with_start_time(at(10))
        .with_attributes([KeyValue::new("a", 1), KeyValue::new("a", 2)])
        .with_events(vec![Event::new(
            "first",
            at(11),
            vec![KeyValue::new("x", true)],
            0,
        )])
        .with_links(vec![Link::new(
            remote(TraceFlags::SAMPLED),
            vec![KeyValue::new("y", 0.5)],
            0,
        )])
        .start(&tracer);
    assert!(span.is_recording());
    span.update_name("named");
    span.set_attribute(KeyValue::new(
        "list",
        opentelemetry::Value::Array(vec![1_i64, 2].into()),
    ));
    span.set_status(Status::error("failed"));
    span.set_status(Status::Unset);
    span.add_event_with_timestamp("second", at(12), Vec::new());
    span.record_error(&std::fmt::Error);
    span.end_with_timestamp(at(13));
    assert!(!span.is_recording());
    span.set_attribute(KeyValue::new("too", "late"));
    span.end();
    drop(span);
    let spans = traces.finish();
    assert_eq!(spans.len(), 1);
    let span = named(&spans, "named");
    assert_eq!((&*span.scope.name, &*span.scope.version), ("client", "1.2"));
    assert_eq!(text(&span.scope.attributes, "of"), Some("scope"));
    assert_eq!(
        span.kind(),
        opentelemetry_proto::tonic::trace::v1::span::SpanKind::Client
    );
    assert_eq!(
        (span.started(), span.duration()),
        (at(10), std::time::Duration::from_secs(3))
    );
    assert_eq!(span.keys(), ["a", "list"]);
    assert_eq!(span.value("a"), Some(&Value::IntValue(2)));
    let Some(Value::ArrayValue(list)) = span.value("list") else {
        panic!("{span:?}");
    };
    let ints: Vec<_> = list
        .values
        .iter()
        .map(|value| value.value.clone().unwrap())
        .collect();
    assert_eq!(ints, [Value::IntValue(1), Value::IntValue(2)]);
    assert_eq!(span.outcome(), (StatusCode::Error, "failed"));
    let events: Vec<&str> = span.events.iter().map(|event| &*event.name).collect();
    assert_eq!(events, ["first", "second", "exception"]);
    assert_eq!(span.links.len(), 1);
    assert_eq!(span.links[0].trace_state, "congo=t61");
    assert_eq!(span.links[0].flags, 0x301);
}

#[test]
fn array_keeps_to_the_limit_of_a_value() {
    const MAX_LEN: usize = 16 * 1024;
    let traces = Traces::start(SpanOptions::default());
    let tracer = traces.otel.tracer_provider().unwrap().tracer("arrays");
    let mut span = tracer.start("arrays");
    let long = || StringValue::from("x".repeat(MAX_LEN));
    let array = |texts: Vec<StringValue>| opentelemetry::Value::Array(texts.into());
    span.set_attribute(KeyValue::new("one", array(vec![long()])));
    span.set_attribute(KeyValue::new("two", array(vec!["short".into(), long()])));
    span.set_attribute(KeyValue::new("three", array(vec![long(), "short".into()])));
    drop(span);
    let spans = traces.finish();
    for (key, count) in [("one", 1), ("two", 2), ("three", 1)] {
        let Some(Value::ArrayValue(list)) = spans[0].value(key) else {
            panic!("{spans:?}");
        };
        assert_eq!(list.values.len(), count, "{key}");
        assert!(list.encoded_len() <= MAX_LEN, "{key}");
        assert!(list.encoded_len() > MAX_LEN - 32, "{key} is cut too early");
    }
}

#[test]
fn api_changes_reach_the_tracing_span() {
    let traces = Traces::start(SpanOptions::default());
    let span = tracing::info_span!("charge", amount = 1);
    span.set_attribute("order.id", 42);
    span.add_event("declined", vec![KeyValue::new("code", "51")]);
    span.add_link(remote(TraceFlags::default()));
    span.in_scope(|| {
        let context = Context::current();
        let active = context.span();
        assert!(active.is_recording());
        active.set_attribute(KeyValue::new("amount", 2));
        active.update_name("renamed");
        active.set_status(Status::error("declined"));
        // `tracing` closes the span.
        active.end();
        assert!(active.is_recording());
    });
    let kept = span.context();
    drop(span);
    assert!(!kept.span().is_recording());
    kept.span().set_attribute(KeyValue::new("too", "late"));
    let spans = traces.finish();
    let span = named(&spans, "renamed");
    assert_eq!(span.keys(), ["amount", "order.id"]);
    assert_eq!(span.value("amount"), Some(&Value::IntValue(2)));
    assert_eq!(span.outcome(), (StatusCode::Error, "declined"));
    assert_eq!(span.events[0].name, "declined");
    assert_eq!(span.links[0].trace_id, [1; 16]);
}

#[test]
fn root_moves_to_the_trace_of_a_message() {
    #[derive(Debug, PartialEq)]
    struct Baggage(&'static str);

    let traces =
        Traces::start(SpanOptions::default().sampler(TraceSampler::always_off().parent_based()));
    let message = Context::new()
        .with_value(Baggage("gold"))
        .with_remote_span_context(remote(TraceFlags::SAMPLED));
    let consume = tracing::info_span!("consume", order.id = 42);
    consume.set_parent(message.clone()).unwrap();
    consume.in_scope(|| {
        assert_eq!(active().trace_id(), TraceId::from_bytes([1; 16]));
        assert_eq!(Context::current().get::<Baggage>(), Some(&Baggage("gold")));
        drop(tracing::info_span!("child"));
    });
    assert_eq!(
        consume.set_parent(message.clone()),
        Err(SetParentError::AlreadyStarted)
    );
    drop(consume);

    // The caller does not sample.
    let unsampled = tracing::info_span!("unsampled");
    let not_sampled = Context::new().with_remote_span_context(remote(TraceFlags::default()));
    unsampled.set_parent(not_sampled).unwrap();
    unsampled.in_scope(|| assert!(!active().is_sampled()));
    drop(unsampled);
    let (spans, stats) = traces.finish_with_stats();
    assert_eq!((spans.len(), stats.unsampled_spans), (2, 1));
    let consume = named(&spans, "consume");
    assert_eq!(
        (&*consume.trace_id, &*consume.parent_span_id),
        (&[1; 16][..], &[2; 8][..])
    );
    // The fields from before the move are not lost, although the trace was not sampled then.
    assert_eq!(consume.value("order.id"), Some(&Value::IntValue(42)));
    assert_eq!((consume.flags, &*consume.trace_state), (0x301, "congo=t61"));
    assert!(named(&spans, "child").is_child_of(consume));
}

#[test]
fn parent_is_set_before_anything_is_visible() {
    let report = SelfReport::silent();
    let traces = Traces::build(|builder| builder.report(report.clone()));
    let message = || Context::new().with_remote_span_context(remote(TraceFlags::SAMPLED));
    let started = SetParentError::AlreadyStarted;

    let entered = tracing::info_span!("entered");
    entered.in_scope(|| ());
    assert_eq!(entered.set_parent(message()), Err(started));
    let with_child = tracing::info_span!("with child");
    let child = tracing::info_span!(parent: &with_child, "child");
    assert_eq!(with_child.set_parent(message()), Err(started));
    assert_eq!(child.set_parent(message()), Err(SetParentError::NoRoot));
    let read = tracing::info_span!("read");
    assert!(read.context().span().span_context().is_valid());
    assert_eq!(read.set_parent(message()), Err(started));
    let empty = tracing::info_span!("empty");
    assert_eq!(
        empty.set_parent(Context::new()),
        Err(SetParentError::NoSpanInContext)
    );
    let disabled = tracing::Span::none();
    assert_eq!(
        disabled.set_parent(message()),
        Err(SetParentError::SpanDisabled)
    );
    drop((entered, with_child, child, read, empty));
    // Once, however often it fails.
    let faults = report.stats().faults;
    assert_eq!(faults.iter().map(|(_, count)| count).sum::<u64>(), 1);
    let spans = traces.finish();
    assert_eq!(spans.len(), 5);
    assert!(spans.iter().all(|span| span.trace_id != [1; 16]));
}

/// Only the first failure is reported, so its report may not be lost.
#[test]
fn failed_set_parent_is_reported_after_a_fault() {
    let test = "span_nesting::failed_set_parent_is_reported_after_a_fault";
    if let Some(output) = output_alone(test) {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let report = "set_parent did not move the span `entered` to the trace";
        assert_eq!(stderr.matches(report).count(), 1, "{stderr}");
        return;
    }
    let report = SelfReport::new();
    report.fault(Fault::Setup, &"planted");
    let traces = Traces::build(|builder| builder.report(report));
    let span = tracing::info_span!("entered");
    span.in_scope(|| {});
    for _ in 0..2 {
        let message = Context::new().with_remote_span_context(remote(TraceFlags::SAMPLED));
        span.set_parent(message).unwrap_err();
    }
    drop(span);
    traces.finish();
}

#[test]
fn remote_context_is_the_parent_of_a_root() {
    let traces = Traces::start(SpanOptions::default());
    let tracer = traces.otel.tracer_provider().unwrap().tracer("client");
    let guard = Context::new()
        .with_remote_span_context(remote(TraceFlags::SAMPLED))
        .attach();
    drop(tracing::info_span!("of tracing"));
    drop(tracer.start("of api"));
    drop(tracing::info_span!(parent: None, "root"));
    drop(guard);
    let unsampled = Context::new().with_remote_span_context(remote(TraceFlags::default()));
    drop(tracer.start_with_context("unsampled", &unsampled));
    let suppressed = Context::new().with_telemetry_suppressed();
    drop(tracer.start_with_context("suppressed", &suppressed));
    let (spans, stats) = traces.finish_with_stats();
    assert_eq!((spans.len(), stats.unsampled_spans), (3, 1));
    for name in ["of tracing", "of api"] {
        let span = named(&spans, name);
        assert_eq!(
            (&*span.trace_id, span.flags),
            (&[1; 16][..], 0x301),
            "{name}"
        );
        assert_eq!(span.trace_state, "congo=t61");
    }
    assert!(named(&spans, "root").is_root());
}

#[test]
fn levels_switch_off_the_spans_of_a_tracer() {
    let levels = "info,quiet=off".parse().unwrap();
    let traces = Traces::start(SpanOptions::default().levels(levels));
    let provider = traces.otel.tracer_provider().unwrap();
    provider.tracer("loud").in_span("loud", |_| {
        provider.tracer("quiet").in_span("quiet", |_| {
            drop(tracing::info_span!("inside"));
        });
    });
    let spans = traces.finish();
    assert_eq!(spans.len(), 2);
    assert!(named(&spans, "inside").is_child_of(named(&spans, "loud")));
}

#[test]
fn unsampled_trace_is_not_left_for_a_sampled_one() {
    let traces = Traces::start(SpanOptions::default());
    let unsampled: TraceParent = format!("00-{:032x}-{:016x}-00", 7, 8).parse().unwrap();
    let span = unsampled.unit(|| tracing::info_span!("job", order.id = 42));
    let message = |flags| Context::new().with_remote_span_context(remote(flags));
    assert_eq!(
        span.set_parent(message(TraceFlags::SAMPLED)),
        Err(SetParentError::NotSampled)
    );
    span.set_parent(message(TraceFlags::default())).unwrap();
    drop(span);
    let (spans, stats) = traces.finish_with_stats();
    assert_eq!((spans.len(), stats.unsampled_spans), (0, 1));
}

/// Enters each span when ids are recorded into it.
struct EnterOnRecord;

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for EnterOnRecord {
    fn on_record(
        &self,
        id: &tracing::span::Id,
        _: &tracing::span::Record<'_>,
        _: tracing_subscriber::layer::Context<'_, S>,
    ) {
        tracing::dispatcher::get_default(|dispatch| {
            dispatch.enter(id);
            dispatch.exit(id);
        });
    }
}

#[test]
fn span_that_is_entered_while_it_moves_is_kept() {
    let sampler = TraceSampler::always_off().parent_based();
    let traces = Traces::start(SpanOptions::default().sampler(sampler));
    let subscriber = tracing_subscriber::registry()
        .with(traces.otel.spans())
        .with(EnterOnRecord);
    tracing::subscriber::with_default(subscriber, || {
        let span = tracing::info_span!("job", order.id = 42);
        let message = Context::new().with_remote_span_context(remote(TraceFlags::SAMPLED));
        span.set_parent(message).unwrap();
    });
    let (spans, stats) = traces.finish_with_stats();
    assert_eq!(stats.unsampled_spans, 0);
    let job = named(&spans, "job");
    assert_eq!(
        (&*job.trace_id, job.keys()),
        (&[1; 16][..], vec!["order.id"])
    );
}

#[test]
fn each_enter_has_the_current_baggage() {
    let traces = Traces::start(SpanOptions::default());
    let worker = tracing::info_span!("worker");
    let tenant = || {
        let current = Context::current();
        let tenant = current.baggage().get("tenant").map(ToString::to_string);
        (tenant, current.is_telemetry_suppressed())
    };
    let step = tracing::info_span!(parent: &worker, "step");
    for name in ["gold", "silver"] {
        let job = Context::new().with_baggage([KeyValue::new("tenant", name)]);
        let _attached = job.attach();
        let seen = worker.in_scope(|| {
            assert_eq!(
                active().span_id(),
                worker.context().span().span_context().span_id()
            );
            (tenant(), step.in_scope(tenant))
        });
        let expected = (Some(name.to_owned()), false);
        assert_eq!(seen, (expected.clone(), expected));
    }
    assert_eq!(worker.in_scope(tenant), (None, false));
    let suppressed = Context::enter_telemetry_suppressed_scope();
    assert_eq!(worker.in_scope(tenant), (None, true));
    drop(suppressed);
    assert_eq!(worker.in_scope(tenant), (None, false));
    drop((worker, step));
    assert_eq!(traces.finish().len(), 2);
}

#[test]
fn start_beyond_the_clock_is_exported() {
    let traces = Traces::start(SpanOptions::default());
    let tracer = traces.otel.tracer_provider().unwrap().tracer("client");
    let start = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1 << 40);
    drop(
        tracer
            .span_builder("far")
            .with_start_time(start)
            .start(&tracer),
    );
    let spans = traces.finish();
    let far = named(&spans, "far");
    assert_eq!(
        (far.start_time_unix_nano, far.end_time_unix_nano),
        (u64::MAX, u64::MAX)
    );
}

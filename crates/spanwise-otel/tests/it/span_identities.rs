//! In which trace a span is, below which span, and who else sees its ids.

use std::sync::Arc;

use opentelemetry::trace::{Tracer as _, TracerProvider as _};
use spanwise_core::{
    Context, ContextLayer,
    internal::{
        SpanIdentity,
        announced_span::{Announced, AnnouncedTrace, SpanKind, announce},
        new_span_id,
        span_identity::{RANDOM, SAMPLED},
    },
};
use spanwise_otel::{SpanOptions, TraceSampler};
use tracing::Instrument as _;

use crate::support::{
    GUARD, builder, output_alone,
    receiver::Receiver,
    subscriber,
    traces::{ExportedSpan, Traces, named},
};

/// Returns the ids of the current span, as lines show them.
fn current_ids() -> (Vec<u8>, Vec<u8>) {
    let identity = SpanIdentity::current().expect("inside of a span");
    (identity.trace_id().to_vec(), identity.span_id().to_vec())
}

fn ids(span: &ExportedSpan) -> (Vec<u8>, Vec<u8>) {
    (span.trace_id.clone(), span.span_id.clone())
}

#[test]
fn lines_have_the_ids_of_their_span() {
    let traces = Traces::start(SpanOptions::default());
    let outer = tracing::info_span!("outer").entered();
    let of_outer = current_ids();
    let inner = tracing::info_span!("inner").entered();
    let of_inner = current_ids();
    let hidden = tracing::debug_span!("hidden").entered();
    let of_hidden = current_ids();
    drop((hidden, inner, outer));
    let root = tracing::info_span!("root").in_scope(current_ids);
    let spans = traces.finish();
    let outer = named(&spans, "outer");
    assert_eq!(of_outer, ids(outer));
    assert_eq!(of_inner, ids(named(&spans, "inner")));
    assert_eq!(of_hidden, of_inner);
    assert!(named(&spans, "inner").is_child_of(outer));
    assert_eq!(root, ids(named(&spans, "root")));
    assert_ne!(root.0, of_outer.0);
    assert!(outer.is_root());
    // The trace id is random, and the parent is not remote.
    let flags = u32::from(SAMPLED | RANDOM) | 0x100;
    assert!(spans.iter().all(|span| span.flags == flags));
}

#[test]
fn context_answers_with_the_ids_of_the_span() {
    let traces = Traces::start(SpanOptions::default());
    let spans = traces.otel.spans();
    let subscriber = {
        use tracing_subscriber::prelude::*;
        tracing_subscriber::registry()
            .with(spans)
            .with(ContextLayer::default())
    };
    let seen = tracing::subscriber::with_default(subscriber, || {
        tracing::info_span!("request", trace_id = "of the application").in_scope(|| {
            let context = Context::current();
            ["trace_id", "span_id"].map(|key| context.get(key).unwrap_or_default().to_owned())
        })
    });
    let spans = traces.finish();
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
    let span = named(&spans, "request");
    assert_eq!(seen, [hex(&span.trace_id), hex(&span.span_id)]);
}

#[test]
fn explicit_parents_and_roots_are_respected() {
    let traces = Traces::start(SpanOptions::default());
    let other = tracing::info_span!("other");
    let around = tracing::info_span!("around").entered();
    drop(tracing::info_span!(parent: &other, "of other"));
    drop(tracing::info_span!(parent: None, "root"));
    tracing::error!(parent: &other, "fails the other one");
    drop(around);
    drop(other);
    let spans = traces.finish();
    let (around, other) = (named(&spans, "around"), named(&spans, "other"));
    assert!(named(&spans, "of other").is_child_of(other));
    assert!(named(&spans, "root").is_root());
    assert_ne!(named(&spans, "root").trace_id, around.trace_id);
    assert!(around.status.is_none() && other.status.is_some());
}

#[test]
fn root_takes_the_trace_id_of_its_field() {
    let traces = Traces::start(SpanOptions::default());
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let valid = tracing::info_span!("valid", trace_id = id).entered();
    drop(tracing::info_span!(
        "child",
        trace_id = "00000000000000000000000000000001"
    ));
    drop(valid);
    for invalid in ["", "0", &id.to_uppercase(), &"0".repeat(32), "no id"] {
        drop(tracing::info_span!("invalid", trace_id = invalid));
    }
    let spans = traces.finish();
    let valid = named(&spans, "valid");
    assert_eq!(valid.trace_id[..2], [0x4b, 0xf9]);
    assert_eq!(valid.flags, u32::from(SAMPLED) | 0x100);
    assert!(named(&spans, "child").is_child_of(valid));
    let invalid = spans.iter().filter(|span| span.name == "invalid");
    let random: Vec<_> = invalid.map(|span| &span.trace_id).collect();
    assert_eq!(random.len(), 5);
    assert!(random.iter().all(|id| id.iter().any(|byte| *byte != 0)));
}

/// Runs jobs side by side, each with a task of its own, and returns the ids in them.
async fn run_jobs(count: usize) -> Vec<[(Vec<u8>, Vec<u8>); 2]> {
    let mut tasks = Vec::new();
    for job in 0..count {
        let work = async move {
            let of_job = current_ids();
            tokio::task::yield_now().await;
            let step = async {
                tokio::task::yield_now().await;
                current_ids()
            };
            let of_step = step.instrument(tracing::info_span!("step")).await;
            tokio::task::yield_now().await;
            assert_eq!(of_job, current_ids());
            [of_job, of_step]
        };
        tasks.push(tokio::spawn(
            work.instrument(tracing::info_span!("job", job)),
        ));
    }
    let mut seen = Vec::new();
    for task in tasks {
        seen.push(task.await.expect("no panic"));
    }
    seen
}

fn check_jobs(seen: &[[(Vec<u8>, Vec<u8>); 2]], spans: &[ExportedSpan]) {
    assert_eq!(spans.len(), 2 * seen.len());
    let find = |id: &(Vec<u8>, Vec<u8>)| {
        let mut found = spans.iter().filter(|span| ids(span) == *id);
        let span = found.next().expect("an exported span");
        assert!(found.next().is_none());
        span
    };
    for [of_job, of_step] in seen {
        let (job, step) = (find(of_job), find(of_step));
        assert_eq!((&*job.name, &*step.name), ("job", "step"));
        assert!(step.is_child_of(job) && job.is_root());
    }
}

#[test]
fn tasks_of_one_thread_do_not_mix_their_ids() {
    let traces = Traces::start(SpanOptions::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let seen = runtime.block_on(run_jobs(64));
    check_jobs(&seen, &traces.finish());
}

#[test]
fn received_trace_is_continued() {
    let traces = Traces::start(SpanOptions::default());
    let state: Arc<str> = "congo=t61".into();
    let trace = |parent: Option<[u8; 8]>, flags| AnnouncedTrace {
        trace_id: [7; 16],
        parent,
        flags,
        state: parent.map(|_| Arc::clone(&state)),
        link: None,
    };
    let open = |trace, name: &'static str| {
        let announced = || Announced {
            span_id: [9; 8],
            kind: SpanKind::Server,
            trace: Some(trace),
        };
        announce(announced, || {
            tracing::info_span!("request", otel.name = name)
        })
    };
    open(trace(Some([8; 8]), SAMPLED), "sampled").in_scope(|| {
        let identity = SpanIdentity::current().unwrap();
        assert_eq!(identity.state(), Some(&state));
        drop(tracing::info_span!("child"));
    });
    open(trace(None, 0), "new").in_scope(|| {
        assert!(SpanIdentity::current().unwrap().is_sampled());
    });
    // No spans of a trace that the caller does not sample. Calls send `00`.
    open(trace(Some([8; 8]), 0), "unsampled").in_scope(|| {
        let identity = SpanIdentity::current().unwrap();
        assert_eq!((identity.flags(), identity.trace_id()), (0, [7; 16]));
        tracing::error!("not kept");
        drop(tracing::info_span!("child of unsampled"));
    });
    let (spans, stats) = traces.finish_with_stats();
    assert_eq!(
        (spans.len(), stats.unsampled_spans, stats.open_spans),
        (3, 2, 0)
    );
    let sampled = named(&spans, "sampled");
    assert_eq!(sampled.trace_id, [7; 16]);
    assert_eq!(
        (&*sampled.span_id, &*sampled.parent_span_id),
        (&[9; 8][..], &[8; 8][..])
    );
    assert_eq!(sampled.trace_state, "congo=t61");
    assert_eq!(sampled.flags, u32::from(SAMPLED) | 0x300);
    assert_eq!(named(&spans, "child").trace_state, "congo=t61");
    assert!(named(&spans, "new").is_root());
}

#[test]
fn untrusted_caller_becomes_a_link() {
    let traces = Traces::start(SpanOptions::default());
    let announced = || Announced {
        span_id: [9; 8],
        kind: SpanKind::Server,
        trace: Some(AnnouncedTrace {
            trace_id: [7; 16],
            parent: None,
            flags: RANDOM,
            state: None,
            link: Some(([1; 16], [2; 8])),
        }),
    };
    announce(announced, || tracing::info_span!("request")).in_scope(|| {
        assert_eq!(current_ids(), (vec![7; 16], vec![9; 8]));
    });
    drop(tracing::info_span!("later"));
    let spans = traces.finish();
    let request = named(&spans, "request");
    assert!(request.is_root());
    assert_eq!(request.links.len(), 1);
    assert_eq!(request.links[0].trace_id, [1; 16]);
    assert_eq!(request.links[0].span_id, [2; 8]);
    assert_eq!(request.links[0].flags, 0x300);
    assert!(named(&spans, "later").links.is_empty());
}

#[test]
fn unsampled_spans_keep_their_identity_only() {
    struct Unread;
    impl std::fmt::Debug for Unread {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("a field of an unsampled span is read")
        }
    }
    let traces = Traces::start(SpanOptions::default().sampler(TraceSampler::always_off()));
    let root = tracing::info_span!("root").entered();
    let child = tracing::info_span!("child", unread = ?Unread, late = tracing::field::Empty);
    child.record("late", tracing::field::debug(Unread));
    child.in_scope(|| {
        assert!(!SpanIdentity::current().unwrap().is_sampled());
        tracing::error!(unread = ?Unread, "not read");
    });
    drop((child, root));
    let (spans, stats) = traces.finish_with_stats();
    assert!(spans.is_empty());
    assert_eq!(stats.unsampled_spans, 2);
    assert_eq!(stats.traces.accepted, 0);
}

#[test]
fn ratio_keeps_whole_traces() {
    let sampler = TraceSampler::ratio(0.5).unwrap().parent_based();
    let traces = Traces::start(SpanOptions::default().sampler(sampler));
    for _ in 0..1_000 {
        tracing::info_span!("root").in_scope(|| drop(tracing::info_span!("child")));
    }
    let (spans, stats) = traces.finish_with_stats();
    // Three standard deviations around 500.
    assert!((452..=548).contains(&(spans.len() / 2)), "{}", spans.len());
    assert_eq!(spans.len() as u64 + stats.unsampled_spans, 2_000);
    for pair in spans.chunks(2) {
        assert!(pair[0].is_child_of(&pair[1]));
        assert!(pair.iter().all(|span| span.trace_state == "ot=th:8"));
        // The low 56 bits of the id are at least the threshold.
        assert!(pair[1].trace_id[9] >= 0x80);
    }
}

/// A value that opens a span when it is formatted.
struct OpensSpan;

impl std::fmt::Debug for OpensSpan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        drop(tracing::info_span!("inner"));
        f.write_str("opened")
    }
}

#[test]
fn span_of_a_field_does_not_take_the_announced_ids() {
    // With a global subscriber, spans can open inside of one that opens.
    if output_alone("span_identities::span_of_a_field_does_not_take_the_announced_ids").is_some() {
        return;
    }
    let receiver = Receiver::start();
    let builder = builder(&receiver).redact(Arc::new(spanwise_redact::Policy::secrets()));
    let (otel, guard) = builder.build().unwrap();
    tracing::dispatcher::set_global_default(subscriber(&otel)).unwrap();
    let announced = || Announced {
        span_id: [9; 8],
        kind: SpanKind::Server,
        trace: Some(new_trace()),
    };
    drop(announce(
        announced,
        || tracing::info_span!("request", value = ?OpensSpan),
    ));
    guard.shutdown(GUARD);
    let spans = receiver.spans();
    let (requests, inner): (Vec<_>, Vec<_>) =
        spans.iter().partition(|span| span.item.name == "request");
    assert_eq!((requests.len(), inner.is_empty()), (1, false));
    let request = &requests[0].item;
    assert_eq!(
        (&*request.trace_id, &*request.span_id),
        (&[7; 16][..], &[9; 8][..])
    );
    assert!(inner.iter().all(|span| span.item.span_id != [9; 8]));
}

/// Returns a trace that begins in this process, although a caller sent another one.
fn new_trace() -> AnnouncedTrace {
    AnnouncedTrace {
        trace_id: [7; 16],
        parent: None,
        flags: RANDOM,
        state: None,
        link: Some(([1; 16], [2; 8])),
    }
}

#[test]
fn request_inside_a_span_keeps_its_link() {
    let traces = Traces::start(SpanOptions::default());
    let announced = || Announced {
        span_id: [9; 8],
        kind: SpanKind::Server,
        trace: Some(new_trace()),
    };
    let around = tracing::info_span!("around").entered();
    drop(announce(announced, || tracing::info_span!("request")));
    drop(around);
    let spans = traces.finish();
    let request = named(&spans, "request");
    assert!(request.is_child_of(named(&spans, "around")));
    assert_eq!(request.links[0].span_id, [2; 8]);
}

#[test]
fn call_begins_a_random_trace_outside_of_api_spans() {
    let traces = Traces::start(SpanOptions::default());
    let tracer = traces.otel.tracer_provider().unwrap().tracer("client");
    let call = |name: &'static str| {
        let announced = || Announced {
            span_id: new_span_id(),
            kind: SpanKind::Client,
            trace: Some(AnnouncedTrace {
                link: None,
                ..new_trace()
            }),
        };
        let trace_id = "07070707070707070707070707070707";
        drop(announce(announced, || {
            tracing::info_span!("call", otel.name = name, trace_id)
        }));
    };
    call("root");
    tracer.in_span("api", |_| call("inside"));
    let spans = traces.finish();
    let root = named(&spans, "root");
    assert!(root.is_root());
    assert_eq!(root.trace_id, [7; 16]);
    assert_eq!(root.flags, u32::from(SAMPLED | RANDOM) | 0x100);
    assert!(named(&spans, "inside").is_child_of(named(&spans, "api")));
}

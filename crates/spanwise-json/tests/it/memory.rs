//! Memory of lines and open spans. The registry's own memory is subtracted: a stack that stores
//! nothing in spans has it too.

use std::{
    io,
    time::{Duration, SystemTime},
};

use spanwise_core::{Clock, ContextLayer};
use spanwise_json::{Format, JsonLayer, Timestamp};
use tracing::{Dispatch, Span, Subscriber, dispatcher, field::Empty, info, info_span};
use tracing_core::span::{Attributes, Id};
use tracing_subscriber::{Layer, Registry, layer::Context, prelude::*, registry::LookupSpan};

use crate::allocations::{allocations, live_bytes};

const SPANS: usize = 4_000;

/// Stores one word in each span, which makes the registry allocate its extensions.
struct OneWord;

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for OneWord {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        ctx.span(id).unwrap().extensions_mut().insert(1_usize);
    }
}

fn json() -> JsonLayer<fn() -> io::Sink> {
    JsonLayer::new().with_writer(io::sink as fn() -> io::Sink)
}

/// Returns the bytes per open span in a stack with `layer`.
fn bytes_per_span(
    layer: impl Layer<Registry> + Send + Sync,
    count: usize,
    open: fn(usize) -> Span,
) -> i64 {
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    dispatcher::with_default(&dispatch, || {
        // The first spans pay for what is allocated once.
        drop((0..100).map(open).collect::<Vec<_>>());
        let mut spans = Vec::with_capacity(count);
        let before = live_bytes();
        spans.extend((0..count).map(open));
        (live_bytes() - before) / count as i64
    })
}

/// Two fields, one of which is a context key.
fn request(number: usize) -> Span {
    info_span!(
        "request",
        request_id = format_args!("0197a7c0-1111-7000-8000-{number:012}"),
        attempt = 1
    )
}

#[test]
fn open_span_takes_at_most_500_bytes() {
    let registry = bytes_per_span(OneWord, SPANS, request);
    let without_extensions =
        bytes_per_span(tracing_subscriber::layer::Identity::new(), SPANS, request);
    let of_json = bytes_per_span(json(), SPANS, request) - without_extensions;
    let with_context = json().and_then(ContextLayer::default());
    let of_both = bytes_per_span(with_context, SPANS, request) - registry;
    println!(
        "registry {without_extensions}, with extensions {registry}, JSON {of_json}, and context {of_both}"
    );
    assert!(of_json <= 350, "JSON: {of_json}");
    assert!(of_both <= 500, "JSON and context: {of_both}");
}

#[test]
fn closed_spans_leave_no_memory() {
    let live = |count: usize| {
        let before = live_bytes();
        let layer = json().and_then(ContextLayer::default());
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        dispatcher::with_default(&dispatch, || {
            for number in 0..count {
                let request = request(number);
                let _entered = request.enter();
                let child = info_span!("child", status = Empty).entered();
                info!(number, "in it");
                request.record("attempt", 2);
                child.record("status", 200);
                info!(number, "after it");
            }
            live_bytes() - before
        })
    };
    live(10);
    let (few, many) = (live(500), live(20_000));
    // Less than a byte per request. Not less in all: `tracing` frees the memory of a dropped
    // subscriber when another one is made, which may be in another test, and then on its thread.
    assert!(many <= few + 16 * 1024, "{few}, then {many}");
}

#[test]
fn long_text_of_a_request_is_stored_once() {
    const REQUESTS: usize = 100;
    const CHILDREN: usize = 10;
    const LONG: usize = 16 * 1024;
    let path = "/x".repeat(LONG / 2);
    // Also if a span has another value for one of the names, and if the text is recorded late.
    let open = |number: usize| {
        let request = info_span!("request", number, path = Empty, agent = path.as_str());
        request.record("path", path.as_str());
        let mut spans = vec![request];
        for number in 0..CHILDREN {
            let _parent = spans.last().unwrap().clone().entered();
            let child = info_span!("step", number, own = "x".repeat(100));
            child.in_scope(|| info!("in it"));
            spans.push(child);
        }
        spans
    };
    for format in [
        Format::Json,
        Format::JsonNested,
        Format::Logfmt,
        Format::Otlp,
    ] {
        let dispatch =
            Dispatch::new(tracing_subscriber::registry().with(json().format(format.clone())));
        let taken = dispatcher::with_default(&dispatch, || {
            drop(open(0));
            let before = live_bytes();
            let spans: Vec<_> = (0..REQUESTS).map(open).collect();
            let taken = live_bytes() - before;
            drop(spans);
            taken / REQUESTS as i64
        });
        // Both texts, before and after the late record; the children share them.
        let texts = 4 * LONG as i64;
        assert!(taken <= texts + 20 * 1024, "{format:?}: {taken}");
    }
}

#[test]
fn first_line_of_a_second_allocates_nothing() {
    let timestamps = [
        Timestamp::seconds(),
        Timestamp::millis(),
        Timestamp::micros().at_offset_minutes(-90),
        Timestamp::nanos().at_offset_minutes(330),
    ];
    for timestamp in timestamps {
        let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_165_687));
        let layer = json().timestamp(timestamp).clock(clock.clone());
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        dispatcher::with_default(&dispatch, || {
            let log = |number: u64| info!(number, "in a second of its own");
            log(0);
            let before = allocations();
            for number in 0..10 {
                clock.advance(Duration::from_millis(86_399_999));
                log(number);
            }
            assert_eq!(allocations() - before, 0, "{timestamp:?}");
        });
    }
}

#[test]
fn no_format_allocates_once_warm() {
    for name in Format::NAMES {
        let format: Format = name.parse().unwrap();
        let layer = json().format(format).service_name("shop");
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        dispatcher::with_default(&dispatch, || {
            let _request = info_span!("request", request_id = "r-1", attempt = 1).entered();
            let log = |number: u64| {
                info!(
                    number,
                    ratio = 0.5,
                    express = true,
                    customer = "ada",
                    "placed"
                );
            };
            (0..3).for_each(log);
            let before = allocations();
            (0..10).for_each(log);
            assert_eq!(allocations() - before, 0, "{name}");
        });
    }
}

#[test]
fn many_names_allocate_nothing() {
    for format in [Format::Ecs, Format::Gelf] {
        let dispatch =
            Dispatch::new(tracing_subscriber::registry().with(json().format(format.clone())));
        dispatcher::with_default(&dispatch, || {
            let _a = info_span!(
                "a",
                a0 = 1,
                a1 = 1,
                a2 = 1,
                a3 = 1,
                a4 = 1,
                a5 = 1,
                a6 = 1,
                a7 = 1,
                a8 = 1,
                a9 = 1,
                a10 = 1,
                a11 = 1,
                a12 = 1,
                a13 = 1,
                a14 = 1,
                a15 = 1,
                a16 = 1,
                a17 = 1,
                a18 = 1,
                a19 = 1,
                a20 = 1,
                a21 = 1,
                a22 = 1,
                a23 = 1,
                a24 = 1
            )
            .entered();
            let _b = info_span!(
                "b",
                b0 = 1,
                b1 = 1,
                b2 = 1,
                b3 = 1,
                b4 = 1,
                b5 = 1,
                b6 = 1,
                b7 = 1,
                b8 = 1,
                b9 = 1,
                b10 = 1,
                b11 = 1,
                b12 = 1,
                b13 = 1,
                b14 = 1,
                b15 = 1,
                b16 = 1,
                b17 = 1,
                b18 = 1,
                b19 = 1,
                b20 = 1,
                b21 = 1,
                b22 = 1,
                b23 = 1,
                b24 = 1
            )
            .entered();
            let _c = info_span!(
                "c",
                c0 = 1,
                c1 = 1,
                c2 = 1,
                c3 = 1,
                c4 = 1,
                c5 = 1,
                c6 = 1,
                c7 = 1,
                c8 = 1,
                c9 = 1,
                c10 = 1,
                c11 = 1,
                c12 = 1,
                c13 = 1,
                c14 = 1,
                c15 = 1,
                c16 = 1,
                c17 = 1,
                c18 = 1,
                c19 = 1,
                c20 = 1,
                c21 = 1,
                c22 = 1,
                c23 = 1,
                c24 = 1
            )
            .entered();
            let log = |_: u64| {
                info!(
                    d0 = 1,
                    d1 = 1,
                    d2 = 1,
                    d3 = 1,
                    d4 = 1,
                    d5 = 1,
                    d6 = 1,
                    d7 = 1,
                    d8 = 1,
                    d9 = 1,
                    d10 = 1,
                    d11 = 1,
                    d12 = 1,
                    d13 = 1,
                    d14 = 1,
                    d15 = 1,
                    d16 = 1,
                    d17 = 1,
                    d18 = 1,
                    d19 = 1,
                    "m"
                )
            };
            (0..3).for_each(log);
            let before = allocations();
            (0..10).for_each(log);
            assert_eq!(allocations() - before, 0, "{format}");
        });
    }
}

#[test]
fn message_that_starts_with_a_sign_allocates_nothing() {
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(json().format(Format::Gelf)));
    dispatcher::with_default(&dispatch, || {
        let log = |_: u64| info!("(again) placed");
        (0..3).for_each(log);
        let before = allocations();
        (0..10).for_each(log);
        assert_eq!(allocations() - before, 0);
    });
}

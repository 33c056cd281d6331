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
    let (once, ten_times) = (live(500), live(5_000));
    assert!(ten_times <= once + 4096, "{once}, then {ten_times}");
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
    for format in [Format::Json, Format::JsonNested] {
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

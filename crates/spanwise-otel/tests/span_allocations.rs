//! A span allocates little once its thread is warm.
//!
//! In a process of its own, as its allocator counts.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, unreachable_pub, reason = "other tests use the rest of it")]
#[path = "../../spanwise-core/tests/support/allocations.rs"]
mod allocations;

use std::time::Duration;

use spanwise_otel::{Otel, SpanOptions, TraceSampler};
use tracing::{Dispatch, Span, field::Empty, info_span};
use tracing_subscriber::prelude::*;

fn work(n: u64) {
    let span = info_span!("load", n, customer = "customer-0042", status = Empty);
    span.in_scope(|| ());
    span.record("status", 404);
}

/// Returns the allocations of a span, times 100. `open_parent` opens the span around, if there is
/// one.
fn per_hundred_spans(
    open_parent: fn() -> Span,
    change: impl FnOnce(SpanOptions) -> SpanOptions,
) -> u64 {
    let (otel, guard) = Otel::builder("http://localhost:1")
        .logs(|logs| logs.off())
        .metrics(|metrics| metrics.off())
        .report(spanwise_core::SelfReport::silent())
        .traces(|traces| traces.max_batch_len(100_000).max_queue_len(100_000))
        .span_options(change)
        .build()
        .unwrap();
    let stack = tracing_subscriber::registry().with(otel.spans().unwrap());
    let count = tracing::dispatcher::with_default(&Dispatch::new(stack), || {
        let _parent = open_parent().entered();
        // The batch grows by doubling, so it does not grow in the second half.
        (0..1_100).for_each(work);
        let before = allocations::allocations();
        (0..100).for_each(work);
        allocations::allocations() - before
    });
    drop(guard.shutdown(Duration::ZERO));
    count
}

#[test]
fn warm_span_allocates_little() {
    let request = || info_span!("request");
    let without_context = per_hundred_spans(request, SpanOptions::without_context);
    // Two more for the context of the API.
    let all = per_hundred_spans(request, |options| options);
    let off = |options: SpanOptions| options.sampler(TraceSampler::always_off());
    let unsampled = per_hundred_spans(request, off);
    // It keeps its values until it is entered: it may move to a trace that is sampled.
    let unsampled_root = per_hundred_spans(Span::none, off);
    assert!(without_context <= 100 + 5, "{without_context}");
    assert!(all <= 3 * 100 + 5, "{all}");
    assert!(unsampled <= 2 * 100 + 5, "{unsampled}");
    assert!(unsampled_root <= 2 * 100 + 5, "{unsampled_root}");
}

//! A span allocates little once its thread is warm.
//!
//! In a process of its own, as its allocator counts.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    time::Duration,
};

use spanwise_otel::{Otel, SpanOptions, TraceSampler};
use tracing::{Dispatch, field::Empty, info_span};
use tracing_subscriber::prelude::*;

struct Counting;

thread_local! {
    /// Allocations of this thread only, not of the sender's thread.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(unsafe_code, reason = "an allocator can be counted in no other way")]
// SAFETY: every call is forwarded to the system allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn work(n: u64) {
    let span = info_span!("load", n, customer = "customer-0042", status = Empty);
    span.in_scope(|| ());
    span.record("status", 404);
}

/// Returns the allocations of a span, times 100.
fn allocations(change: impl FnOnce(SpanOptions) -> SpanOptions) -> u64 {
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
        let _request = info_span!("request").entered();
        // The batch grows by doubling, so it does not grow in the second half.
        (0..1_100).for_each(work);
        let before = COUNT.get();
        (0..100).for_each(work);
        COUNT.get() - before
    });
    drop(guard.shutdown(Duration::ZERO));
    count
}

#[test]
fn warm_span_allocates_little() {
    let without_context = allocations(SpanOptions::without_context);
    // Two more for the context of the API.
    let all = allocations(|options| options);
    let unsampled = allocations(|options| options.sampler(TraceSampler::always_off()));
    assert!(without_context <= 3 * 100 + 5, "{without_context}");
    assert!(all <= 5 * 100 + 5, "{all}");
    assert!(unsampled <= 4 * 100 + 5, "{unsampled}");
}

//! What sampling allocates: nothing an event, and a bounded amount for a field of any number of values.
//!
//! In a process of its own, for its allocator counts.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

mod support;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
};

use spanwise_core::ContextLayer;
use spanwise_sample::{SampleExt, Sampler};
use support::Count;
use tracing::{debug, info, info_span, trace};
use tracing_subscriber::prelude::*;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicI64 = AtomicI64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn counted(bytes: i64) {
    ALLOCATIONS.fetch_add(u64::from(bytes > 0), Ordering::Relaxed);
    BYTES.fetch_add(bytes, Ordering::Relaxed);
}

#[expect(unsafe_code, reason = "a global allocator cannot be written without")]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        counted(layout.size() as i64);
        // SAFETY: what the caller has promised us.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        counted(-(layout.size() as i64));
        // SAFETY: what the caller has promised us.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// One test, one thread: its allocations are the only ones.
#[test]
fn nothing_is_allocated_an_event_and_little_for_any_number_of_values() {
    an_event_allocates_nothing();
    a_hundred_thousand_tenants_take_less_than_a_megabyte();
}

fn an_event_allocates_nothing() {
    let sampler: Sampler = "info=0.5,debug=100/s@tenant_id,trace=first:10/100"
        .parse()
        .unwrap();
    let (one, other) = (Count::default(), Count::default());
    let stack = tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(one.clone().sampled(sampler.clone()))
        .with(other.clone().sampled(sampler.clone()));
    let _default = stack.set_default();
    let log = || {
        for number in 0..1000_u64 {
            info!(number, "random");
            debug!(number, tenant_id = number % 7, "limited");
            trace!(number, "first, then every 100th");
        }
        let _request = info_span!("request", request_id = "r-1", tenant_id = "acme").entered();
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for number in 0..1000_u64 {
            info!(number, "of a request");
            debug!(number, "limited");
            trace!(number, "first, then every 100th");
        }
        ALLOCATIONS.load(Ordering::Relaxed) - before
    };
    log();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let inside = log();
    let all = ALLOCATIONS.load(Ordering::Relaxed) - before;
    // A span allocates; the events inside and outside do not.
    assert_eq!(inside, 0);
    assert!(all < 20, "{all}");
    assert_eq!(one.events(), other.events());
    sampler.flush();
}

fn a_hundred_thousand_tenants_take_less_than_a_megabyte() {
    let sampler: Sampler = "info=5/s@tenant_id".parse().unwrap();
    let count = Count::default();
    let stack = tracing_subscriber::registry().with(count.clone().sampled(sampler.clone()));
    let _default = stack.set_default();
    let before = BYTES.load(Ordering::Relaxed);
    let log = |from: u64| {
        for tenant in from..from + 100_000 {
            info!(tenant_id = %format_args!("tenant-{tenant}-with-a-name-that-is-not-short"), "event");
        }
        BYTES.load(Ordering::Relaxed) - before
    };
    let bytes = log(0);
    assert!(bytes < 1 << 20, "{bytes} bytes");
    assert_eq!(count.events(), 100_000, "each has a bucket of its own");
    assert_eq!(log(100_000), bytes, "more of them take no more");
    sampler.flush();
}

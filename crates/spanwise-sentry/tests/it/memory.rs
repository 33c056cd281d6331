//! Bounds of the memory, in bytes.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use tracing::{error, info, info_span};
use tracing_subscriber::prelude::*;

use crate::support::{Behaviour, Receiver, alone, breadcrumbs, builder, plain, sent};

/// Counts the allocated bytes.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(unsafe_code, reason = "only an allocator can count allocations")]
// SAFETY: every call is forwarded unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

const MIB: usize = 1024 * 1024;

fn allocated() -> usize {
    ALLOCATED.load(Ordering::Relaxed)
}

/// The breadcrumbs of open requests use up to 32 MiB. Each request keeps its newest breadcrumbs.
#[test]
fn breadcrumbs_of_open_requests_are_bounded() {
    if alone("memory::breadcrumbs_of_open_requests_are_bounded") {
        return;
    }
    // 600 requests with 100 breadcrumbs of a kilobyte would need 60 MB.
    let text = "x".repeat(1000);
    let before = allocated();
    let (receiver, _) = sent(plain, || {
        let requests: Vec<_> = (0..600)
            .map(|number| info_span!("request", request_id = number))
            .collect();
        for request in &requests {
            request.in_scope(|| (0..100).for_each(|step| info!(text, "step {step}")));
        }
        let grown = allocated().saturating_sub(before);
        assert!(grown < 36 * MIB, "{grown} bytes");
        requests[0].in_scope(|| error!("failed"));
    });
    let event = crate::support::one(&receiver);
    let breadcrumbs = breadcrumbs(&event);
    assert_eq!(breadcrumbs.last(), Some(&"step 99"));
}

/// Each repeated error stores a sample, of half a megabyte in this test. All samples together use
/// up to 8 MiB. An evicted sample is sent.
#[test]
fn samples_of_repeated_errors_are_bounded() {
    const ERRORS: u64 = 60;
    if alone("memory::samples_of_repeated_errors_are_bounded") {
        return;
    }
    let receiver = Receiver::behaving(Behaviour::Forget);
    let (layer, guard) = builder(&receiver).build().unwrap();
    let _default = tracing_subscriber::registry().with(layer).set_default();
    let text = "x".repeat(1000);
    let wait_for = |delivered: u64| {
        let until = Instant::now() + Duration::from_secs(60);
        while guard.sentry().stats().sent.delivered < delivered {
            assert!(Instant::now() < until, "{:?}", guard.sentry().stats());
            // A pause between two polls.
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let before = allocated();
    let mut peak = 0;
    for number in 0..ERRORS {
        let request = info_span!("request", request_id = number);
        let _entered = request.enter();
        for step in 0..100 {
            info!(text, more = text, some = text, other = text, "step {step}");
        }
        for _ in 0..5 {
            error!("failed {number}");
        }
        wait_for(number + 1);
        peak = peak.max(allocated().saturating_sub(before));
    }
    // The samples, the event that is sent, and its breadcrumbs.
    assert!(peak < 16 * MIB, "{peak} bytes");
    let stats = guard.shutdown(Duration::from_secs(60));
    assert_eq!(stats.repeated, 4 * ERRORS);
    assert_eq!((stats.sent.delivered, stats.sent.lost()), (2 * ERRORS, 0));
}

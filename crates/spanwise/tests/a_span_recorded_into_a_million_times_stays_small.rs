//! A span's field that is recorded again and again: the last value stands, and memory stays flat.

mod support;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicIsize, Ordering},
};

use tracing::{field::Empty, info, info_span};

struct Counting;

static LIVE: AtomicIsize = AtomicIsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(unsafe_code, reason = "an allocator can be counted in no other way")]
// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size().cast_signed(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size().cast_signed(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[test]
fn memory_is_flat_and_the_last_value_stands() {
    let (json, _, _telemetry) = support::install();
    let span = info_span!("loop", progress = Empty, request_id = Empty, text = Empty);
    let _entered = span.enter();
    let record = |from: u32, to: u32| {
        for n in from..to {
            span.record("progress", n);
            if n % 10 == 0 {
                span.record("request_id", n)
                    .record("text", "some text of a certain length");
            }
        }
    };
    record(0, 1_000);
    let before = LIVE.load(Ordering::Relaxed);
    record(1_000, 1_000_000);
    let grown = LIVE.load(Ordering::Relaxed) - before;
    assert!(grown < 4_096, "{grown} bytes more after a million records");

    info!("done");
    let line = json.with_message("done");
    assert_eq!(
        (line["progress"].as_u64(), line["request_id"].as_u64()),
        (Some(999_999), Some(999_990))
    );
    assert!(json.text().len() < 1_000);
}

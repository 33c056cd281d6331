//! An event of which nothing is hidden costs a redacted layer no allocation, once its thread has had one.

mod support;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use spanwise_core::LayerExt as _;
use support::redaction::no_hunter;
use tracing::{Event, Subscriber, info, info_span};
use tracing_core::field::{Field, Visit};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

struct Counting;

thread_local! {
    /// Those of this thread: others belong to who runs the test.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(unsafe_code, reason = "an allocator can be counted in no other way")]
// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Looks at every value, and keeps none.
struct Look;

impl Visit for Look {
    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl<S: Subscriber> Layer<S> for Look {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        event.record(&mut Self);
        true
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut Self);
    }
}

#[test]
fn events_without_secrets_allocate_nothing() {
    let subscriber = tracing_subscriber::registry().with(Look.redacted(no_hunter()));
    let _default = tracing::subscriber::set_default(subscriber);
    let _span = info_span!("request", route = "/orders", attempt = 1).entered();
    let log = |number: u64| {
        info!(number, ready = true, share = 0.5, "a message");
        info!(number, customer = "ada", order = %number, state = ?Some(number), "order {number}");
        info!(
            wide = i128::MAX,
            trusted = "as it is",
            secret = "hunter2",
            gone = 1
        );
        info!(bytes = &b"harmless"[..], text = "no message");
    };
    // The first of each callsite makes its plan, and its texts make room.
    log(100);
    let before = COUNT.get();
    (101..200).for_each(log);
    assert_eq!(COUNT.get() - before, 0);
}

//! An event without hidden values needs no allocation, after the first one of the thread. Nested
//! events leak no memory.

use crate::{
    allocations::{allocations, live_bytes},
    support::redaction::no_hunter,
};
use spanwise_core::LayerExt as _;
use tracing::{Event, Subscriber, info, info_span};
use tracing_core::field::{Field, Visit};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

/// Reads every value and stores none.
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
    // The first event of each callsite creates the plan and grows the buffers.
    log(100);
    let before = allocations();
    (101..200).for_each(log);
    assert_eq!(allocations() - before, 0);
}

#[test]
fn redacted_layer_inside_another_leaks_no_memory() {
    let twice = Look.redacted(no_hunter()).redacted(no_hunter());
    let subscriber = tracing_subscriber::registry().with(twice);
    let _default = tracing::subscriber::set_default(subscriber);
    let log = |number: u64| info!(order = %number, secret = "hunter2", "order {number}");
    log(100);
    let before = live_bytes();
    (101..200).for_each(log);
    assert_eq!(live_bytes() - before, 0);
}

//! A record allocates nothing once its thread is warm.
//!
//! In a process of its own, as its allocator counts.

#[allow(dead_code, unreachable_pub, reason = "other tests use the rest of it")]
#[path = "../../spanwise-core/tests/support/allocations.rs"]
mod allocations;

use std::{io, sync::Arc};

use spanwise_core::{ContextLayer, LayerExt as _, Redact};
use spanwise_otel::{LogOptions, OtelLogs, SpanFields};
use spanwise_redact::Policy;
use tracing::{Dispatch, info, info_span};
use tracing_subscriber::prelude::*;

fn log(n: u64) {
    info!(
        n,
        ratio = 0.5,
        yes = true,
        customer = "customer-0042",
        large = u64::MAX,
        debug = ?Some(n),
        "order {n} created"
    );
}

/// Returns the allocations of an event outside of spans, and of one inside two.
fn per_event(dispatch: &Dispatch) -> (u64, u64) {
    tracing::dispatcher::with_default(dispatch, || {
        let count = || {
            (0..100).for_each(log);
            let before = allocations::allocations();
            (0..100).for_each(log);
            allocations::allocations() - before
        };
        let flat = count();
        let _request = info_span!("request", request_id = "r-1", user_id = 7).entered();
        let _load = info_span!("load", tenant_id = "acme", other = 1).entered();
        (flat, count())
    })
}

#[test]
fn warm_record_allocates_nothing() {
    let stack = |options| {
        let logs = OtelLogs::new(io::sink, options);
        let stack = tracing_subscriber::registry().with(ContextLayer::default());
        Dispatch::new(stack.with(logs))
    };
    assert_eq!(per_event(&stack(LogOptions::default())), (0, 0));
    let all = LogOptions::default()
        .source_location()
        .span_fields(SpanFields::All);
    assert_eq!(per_event(&stack(all)), (0, 0));
}

#[test]
fn policy_allocates_nothing_for_clean_texts() {
    let policy: Arc<dyn Redact> = Arc::new(Policy::secrets_and_pii());
    let logs = OtelLogs::new(io::sink, LogOptions::default());
    let context = ContextLayer::default().redact(Arc::clone(&policy));
    let stack = tracing_subscriber::registry().with(context);
    let dispatch = Dispatch::new(stack.with(logs.redacted(policy)));
    assert_eq!(per_event(&dispatch), (0, 0));
}

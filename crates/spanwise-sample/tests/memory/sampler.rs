//! Sampling allocates nothing per event, and a bounded amount for any number of values.

use crate::{
    allocator::{allocations, alone, assert_plateau, held},
    support::Count,
};
use spanwise_core::ContextLayer;
use spanwise_sample::{SampleExt, Sampler};
use tracing::{debug, info, info_span, trace};
use tracing_subscriber::prelude::*;

#[test]
fn events_allocate_nothing_and_values_little() {
    let _alone = alone();
    check_event_allocates_nothing();
    check_many_tenants_take_bounded_memory();
}

fn check_event_allocates_nothing() {
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
        // The first event in a span reads its context, which is then kept.
        debug!("limited");
        let before = allocations();
        for number in 0..1000_u64 {
            info!(number, "of a request");
            debug!(number, "limited");
            trace!(number, "first, then every 100th");
        }
        allocations() - before
    };
    log();
    let before = allocations();
    let inside = log();
    let all = allocations() - before;
    // A span allocates and so does its context, but the events inside and outside do not.
    assert_eq!(inside, 0);
    assert!(all < 20, "{all}");
    assert_eq!(one.events(), other.events());
    sampler.emit_summaries();
}

fn check_many_tenants_take_bounded_memory() {
    let sampler: Sampler = "info=5/s@tenant_id".parse().unwrap();
    let count = Count::default();
    let stack = tracing_subscriber::registry().with(count.clone().sampled(sampler.clone()));
    let _default = stack.set_default();
    let before = held();
    let log = |from: u64| {
        for tenant in from..from + 100_000 {
            info!(tenant_id = %format_args!("tenant-{tenant}-with-a-name-that-is-not-short"), "event");
        }
        held() - before
    };
    let bytes = log(0);
    assert!(bytes < 1 << 20, "{bytes} bytes");
    // The values with a bucket, and the events that the shared bucket passes.
    let kept = count.events();
    assert!((10_000..11_000).contains(&kept), "{kept}");
    assert_plateau(bytes, log(100_000));
    sampler.emit_summaries();
}

#[test]
fn dropped_sink_leaves_no_memory() {
    let _alone = alone();
    let sampler: Sampler = "info=1/s,debug=0.5".parse().unwrap();
    let use_and_drop = |sinks: u64| {
        for _ in 0..sinks {
            let stack = tracing_subscriber::registry()
                .with(Count::default().sampled(sampler.clone()))
                .with(Count::default().sampled(sampler.clone()));
            tracing::subscriber::with_default(stack, || {
                for _ in 0..3 {
                    info!("limited");
                    debug!("sampled");
                }
                sampler.emit_summaries();
            });
        }
        held()
    };
    let few = use_and_drop(100);
    let many = use_and_drop(1000);
    assert_plateau(few, many);
    // Their counts remain.
    let stats = sampler.stats();
    let all = stats.kept + stats.sampled_out + stats.suppressed;
    assert_eq!(all, 1100 * 2 * 6);
}

#[test]
fn memory_does_not_grow_with_the_load() {
    let _alone = alone();
    let sampler: Sampler = "info=1/h@tenant_id,debug=1/h,trace=first:1/100/h"
        .parse()
        .unwrap();
    let stack = tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(Count::default().sampled(sampler.clone()));
    let _default = stack.set_default();
    let log = |events: u64| {
        for number in 0..events {
            info!(tenant_id = number, "one a value");
            debug!("one an hour");
            trace!("one of a hundred");
        }
        held()
    };
    let once = log(20_000);
    assert_plateau(once, log(200_000));
    sampler.emit_summaries();
}

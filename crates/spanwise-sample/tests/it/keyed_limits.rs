//! A limit per value of a field is not exceeded for any values, also with many values at once and a
//! stream of new values.

use std::time::{Duration, SystemTime};

use crate::support::Count;
use spanwise_core::{Clock, ContextLayer};
use spanwise_sample::{SampleExt, Sampler, SamplerBuilder};
use tracing::{error, info_span, subscriber::DefaultGuard};
use tracing_subscriber::prelude::*;

/// Installs a sink with a limit of five errors per second and tenant.
fn start() -> (DefaultGuard, Count, Sampler, Clock) {
    let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(86_400));
    let rules: SamplerBuilder = "error=5/s@tenant".parse().unwrap();
    let sampler = rules.clock(clock.clone()).build();
    let count = Count::default();
    let stack = tracing_subscriber::registry()
        .with(ContextLayer::default().key("tenant"))
        .with(count.clone().sampled(sampler.clone()));
    (stack.set_default(), count, sampler, clock)
}

fn log(tenant: u64) {
    error!(tenant, "failed");
}

/// Returns the number of events that pass while `log` runs.
fn passed(count: &Count, log: impl FnOnce()) -> u64 {
    let before = count.events();
    log();
    count.events() - before
}

#[test]
fn flood_of_tenants_passes_bounded_events() {
    let (_default, count, sampler, clock) = start();
    // A bucket for each of 10,000 values, and one bucket for all others.
    assert_eq!(passed(&count, || (0..100_000).for_each(log)), 10_005);
    clock.advance(Duration::from_secs(1));
    let more = passed(&count, || (100_000..200_000).for_each(log));
    assert_eq!(more, 5, "the others get the rate of one");
    let stats = sampler.stats();
    assert_eq!((stats.kept, stats.suppressed), (10_010, 189_990));
    sampler.emit_summaries();
    assert_eq!(count.represented(), 200_000);
}

#[test]
fn flood_of_context_values_passes_bounded_events() {
    let (_default, count, _sampler, _clock) = start();
    let log = |tenant: u64| info_span!("request", tenant).in_scope(|| error!("failed"));
    assert_eq!(passed(&count, || (0..20_000).for_each(log)), 10_005);
}

#[test]
fn new_values_pass_at_the_rate_of_one() {
    let (_default, count, _sampler, clock) = start();
    (0..20_000).for_each(log);
    let flood = passed(&count, || {
        for event in 0..50_000 {
            clock.advance(Duration::from_micros(200));
            log(1_000_000 + event);
        }
    });
    assert!((40..=60).contains(&flood), "{flood} in ten seconds");
}

#[test]
fn busy_tenants_keep_their_rate_beside_a_flood() {
    let (_default, count, _sampler, clock) = start();
    const EARLY: u64 = 1;
    const LATE: u64 = 2;
    // The value occurred before the flood, so it is a frequent value.
    (0..10).for_each(|_| log(EARLY));
    (1_000_000..1_020_000).for_each(log);
    let (mut early, mut late, mut flood) = (0, 0, 0);
    let mut new = 2_000_000;
    for _ in 0..1000 {
        clock.advance(Duration::from_millis(10));
        // 5,000 events per second of the flood, and a hundred events of each of the two values.
        flood += passed(&count, || {
            (0..50).for_each(|_| {
                new += 1;
                log(new);
            });
        });
        early += passed(&count, || log(EARLY));
        late += passed(&count, || log(LATE));
    }
    // Five per second, for ten seconds.
    assert!(
        (49..=55).contains(&early),
        "{early} of a tenant from before"
    );
    assert!((45..=55).contains(&late), "{late} of one that came later");
    assert!((45..=55).contains(&flood), "{flood} of the flood");
}

#[test]
fn more_quiet_tenants_than_buckets_lose_nothing() {
    let (_default, count, sampler, clock) = start();
    // Each value occurs again after two minutes. In that time another value could use the bucket,
    // and started with a full bucket.
    let events = 3 * 15_000;
    for event in 0..events {
        clock.advance(Duration::from_millis(8));
        log(event % 15_000);
    }
    assert_eq!(count.events(), events);
    assert_eq!(sampler.stats().suppressed, 0);
}

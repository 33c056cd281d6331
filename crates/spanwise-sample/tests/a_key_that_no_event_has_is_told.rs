//! A rule about a key that is misspelled is told once, on stderr and in the counters.
//!
//! In a process of its own: it is told to the report of the process.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

mod support;

use spanwise_core::{ContextLayer, SelfReport};
use spanwise_sample::{EventMatcher, Limit, SampleExt, Sampler};
use support::Lines;
use tracing::{info, info_span};
use tracing_subscriber::prelude::*;

/// How often something was told by what is logged under `sampler`.
fn told(sampler: &Sampler, log: impl FnOnce()) -> u64 {
    let faults = || {
        let faults = SelfReport::default().stats().faults;
        let counts = faults.iter().map(|(_, count)| *count);
        counts.sum::<u64>()
    };
    let before = faults();
    let lines = Lines::default();
    let stack = tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(lines.layer().sampled(sampler.clone()));
    tracing::subscriber::with_default(stack, || {
        log();
        sampler.emit_summaries();
    });
    faults() - before
}

fn parsed(rules: &str) -> Sampler {
    rules.parse().unwrap()
}

#[test]
fn once_a_rule_and_only_if_it_is_never_there() {
    let requests = |count: u32| {
        move || {
            for n in 0..count {
                let _request = info_span!("request", tenant_id = n).entered();
                info!(route = "/health", "received");
            }
        }
    };
    // At once where the event has nearly that key, of its own or in its context.
    assert_eq!(told(&parsed("info=5/s@tenent_id"), requests(10)), 1);
    let near = || EventMatcher::field("rout", "/health");
    let near = Sampler::builder()
        .rule(near(), Limit::ratio(0.0).unwrap())
        .build();
    assert_eq!(told(&near, requests(10)), 1);
    assert_eq!(told(&parsed("info=5/s@tenant_id"), requests(10)), 0);
    assert_eq!(told(&parsed("info=5/s@route"), requests(10)), 0);

    let empty = || info!(tenant = None::<u64>, "empty");
    assert_eq!(told(&parsed("info=5/s@tenant"), empty), 0);

    // A key that was found is not missed later.
    let outside_too = || {
        requests(1)();
        (0..2000).for_each(|_| info!(tenent_id = 1, "outside"));
    };
    assert_eq!(told(&parsed("info=5/s@tenant_id"), outside_too), 0);

    // A key that is nothing like the others may be missing for a while: that all share a bucket is told in the end.
    assert_eq!(told(&parsed("info=5/s@customer"), requests(999)), 0);
    assert_eq!(told(&parsed("info=5/s@customer"), requests(2000)), 1);
    let seldom = EventMatcher::field("customer", "acme");
    let seldom = Sampler::builder()
        .rule(seldom, Limit::ratio(0.5).unwrap())
        .build();
    assert_eq!(told(&seldom, requests(2000)), 0);
}

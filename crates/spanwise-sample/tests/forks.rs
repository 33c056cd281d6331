//! Forked processes, whatever the threads of their parent did at the fork.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

#[path = "../../spanwise-core/tests/support/forks.rs"]
mod forks;
#[path = "../../spanwise-core/tests/support/logs_until_drop.rs"]
mod logs_until_drop;

use std::{io, sync::Mutex};

use forks::in_child;
use logs_until_drop::LogsUntilDrop;
use spanwise_core::SelfReport;
use spanwise_json::JsonLayer;
use spanwise_sample::{SampleExt, Sampler};
use spanwise_testing::support::Lines;
use tracing::{Dispatch, dispatcher, info};
use tracing_subscriber::prelude::*;

const FORKS: usize = 40;

/// Locked by the test that runs, so that no other test forks or logs.
static RUNNING: Mutex<()> = Mutex::new(());

#[test]
fn child_does_not_wait_for_locks_of_its_parent() {
    let _running = RUNNING.lock();
    let sampler: Sampler = "by_value=5/s@user,counted=first:1/2".parse().unwrap();
    let json = JsonLayer::new().with_writer(io::sink);
    let layer = json.sampled(sampler).report(SelfReport::silent());
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    let log: [fn(); 2] = [
        || info!(target: "by_value", user = "ada", "logged in"),
        || info!(target: "counted", "cache miss"),
    ];
    for log in log {
        let log_in = move |dispatch: &Dispatch| dispatcher::with_default(dispatch, log);
        log_in(&dispatch);
        let others = {
            let dispatch = dispatch.clone();
            LogsUntilDrop::start(move || log_in(&dispatch))
        };
        for _ in 0..FORKS {
            in_child(|| log_in(&dispatch));
        }
        drop(others);
    }
}

#[test]
fn child_reports_only_its_own_events() {
    let _running = RUNNING.lock();
    let sampler: Sampler = "forks=0".parse().unwrap();
    let lines = Lines::default();
    let json = JsonLayer::new().with_writer(lines.clone());
    let layer = json.sampled(sampler.clone());
    let _default = tracing_subscriber::registry().with(layer).set_default();
    let log = || info!("started");
    for _ in 0..3 {
        log();
    }
    in_child(|| {
        sampler.emit_summaries();
        assert_eq!(lines.text(), "");
        log();
        assert_eq!(sampler.stats().suppressed, 4);
        sampler.emit_summaries();
        assert_eq!(lines.only()["suppressed"], 1);
    });
    sampler.emit_summaries();
    assert_eq!(lines.only()["suppressed"], 3);
    assert_eq!(sampler.stats().suppressed, 3);
}

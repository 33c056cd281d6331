//! A forked process records events, whatever the threads of its parent did at the fork. The test
//! forks, so it is the only one in its process.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

#[path = "../../spanwise-core/tests/support/forks.rs"]
mod forks;
#[path = "../../spanwise-core/tests/support/logs_until_drop.rs"]
mod logs_until_drop;

use std::io;

use forks::in_child;
use logs_until_drop::LogsUntilDrop;
use spanwise_core::LevelLayer;
use spanwise_json::JsonLayer;
use spanwise_recorder::Recorder;
use tracing::Span;
use tracing_subscriber::prelude::*;

const FORKS: usize = 20;

#[test]
fn child_does_not_wait_for_locks_of_its_parent() {
    let recorder = Recorder::default();
    let levels = LevelLayer::new("info".parse().unwrap()).capture(recorder.levels());
    let json = recorder.sink(io::sink, levels.handle(), |writer| {
        JsonLayer::new().with_writer(writer)
    });
    tracing_subscriber::registry()
        .with(json)
        .with(levels)
        .init();
    let shared = tracing::info_span!("shared");
    let log: [fn(&Span); 3] = [
        |_| tracing::debug!(parent: None, "outside of units"),
        |unit| unit.in_scope(|| tracing::debug!("in a unit of several threads")),
        |_| {
            // Enough spans for all shards of the tables of spans.
            let _spans: Vec<_> = (0..64)
                .map(|_| tracing::info_span!(parent: None, "request"))
                .collect();
            tracing::debug!("after new units");
        },
    ];
    for log in log {
        log(&shared);
        let unit = shared.clone();
        let others = LogsUntilDrop::start(move || log(&unit));
        for _ in 0..FORKS {
            in_child(|| log(&shared));
        }
        drop(others);
    }
}

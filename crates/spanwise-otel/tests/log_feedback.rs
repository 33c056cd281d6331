//! Exporting does not log what it exports: no record of the exporter's own threads is sent, at any
//! level.
//!
//! In a process of its own, as its subscriber is that of all threads.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

#[path = "it/support/mod.rs"]
mod support;

use std::{
    thread,
    time::{Duration, Instant},
};

use spanwise_core::{Flush as _, export::mark_sender_thread, internal::log_bridge};
use spanwise_otel::Otel;
use tracing::{info, trace};
use tracing_subscriber::prelude::*;

use crate::support::receiver::{Behaviour, Receiver, body};

#[test]
fn own_events_are_not_exported() {
    let receiver = Receiver::start();
    let (otel, guard) = Otel::builder(receiver.endpoint()).build().unwrap();
    let logs = otel.logs().expect("logs are exported");
    tracing_subscriber::registry().with(logs).init();
    // The HTTP client logs through the `log` crate. There may be no bridge yet.
    let _ = log_bridge::install();
    log::set_max_level(log::LevelFilter::Trace);

    receiver.behave_once(Behaviour::status(503));
    let flush = || otel.flush_by(Instant::now() + Duration::from_secs(60));
    for n in 0..3 {
        trace!("{n} is logged");
        // The first one fails.
        let _ = flush();
    }
    thread::spawn(|| {
        mark_sender_thread();
        info!("of a sender thread");
    })
    .join()
    .unwrap();
    info!("the end");
    receiver.wait_for_logs(3);
    let sent = guard.shutdown(Duration::from_secs(60)).logs;
    let logs = receiver.logs();
    let bodies: Vec<&str> = logs.iter().map(|log| body(&log.item.body)).collect();
    assert_eq!(
        bodies,
        ["0 is logged", "1 is logged", "2 is logged", "the end"]
    );
    assert!(logs.iter().all(|log| log.scope.name == module_path!()));
    assert_eq!((sent.accepted, sent.outcomes.delivered), (4, 4), "{sent:?}");
}

//! Logs: off by default, sent in batches, with the trace and the tags of their request.

use std::time::{Duration, Instant};

use crate::support::{plain, sent};
use spanwise_core::{Flush as _, TargetLevels};
use spanwise_sentry::SentryBuilder;
use tracing::{debug, info, info_span};
use tracing_subscriber::prelude::*;

fn log() {
    let _request = info_span!("request", request_id = "r-1").entered();
    debug!("too little");
    for step in 0..150 {
        info!(step, "step {step}");
    }
}

#[test]
fn logs_are_off_by_default() {
    let (receiver, _) = sent(plain, log);
    assert!(receiver.bodies().is_empty());
}

#[test]
fn logs_come_in_batches_with_request_data() {
    let logged = |builder: SentryBuilder| {
        builder
            .logs("info".parse::<TargetLevels>().unwrap())
            .release("shop@1")
    };
    let (receiver, stats) = sent(logged, log);
    let batches = receiver.items("log");
    let sizes: Vec<_> = batches
        .iter()
        .map(|batch| batch["items"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [100, 50]);
    let first = &batches[0]["items"][0];
    assert_eq!(
        (first["body"].as_str(), first["level"].as_str()),
        (Some("step 0"), Some("info"))
    );
    assert_eq!(first["attributes"]["request_id"]["value"], "r-1");
    assert_eq!(first["attributes"]["step"]["value"], 0);
    assert_eq!(first["attributes"]["sentry.release"]["value"], "shop@1");
    assert_eq!(first["trace_id"], batches[1]["items"][49]["trace_id"]);
    assert_eq!(stats.sent.delivered, 150);
}

#[test]
fn single_log_is_sent_without_other_traffic() {
    let receiver = crate::support::Receiver::start();
    let logs = crate::support::builder(&receiver).logs(tracing::level_filters::LevelFilter::INFO);
    let (layer, _guard) = logs.build().unwrap();
    let _default = tracing_subscriber::registry().with(layer).set_default();
    info!("the only one");
    receiver.wait_for(1);
}

#[test]
fn log_without_message_has_the_error_text() {
    let logged = |builder: SentryBuilder| builder.logs(tracing::level_filters::LevelFilter::INFO);
    let (receiver, _) = sent(logged, || {
        let error = crate::support::payment_failed();
        tracing::warn!(%error);
        tracing::warn!(error = &error as &dyn std::error::Error);
    });
    let items = receiver.items("log").remove(0);
    for log in items["items"].as_array().unwrap() {
        assert_eq!(log["body"], "the payment could not be taken");
    }
}

#[test]
fn panic_backtrace_is_not_sent_as_text() {
    let logged = |builder: SentryBuilder| builder.logs(tracing::level_filters::LevelFilter::INFO);
    let (receiver, _) = sent(logged, || {
        tracing::error!(
            panic.backtrace = "   0: shop::pay\n   1: shop::main",
            "a panic"
        );
    });
    let items = receiver.items("log").remove(0);
    assert_eq!(items["items"][0]["body"], "a panic");
    assert!(items["items"][0]["attributes"]["panic.backtrace"].is_null());
}

/// Another thread takes a full batch while this thread flushes.
#[test]
fn flush_waits_for_a_batch_on_its_way_to_the_queue() {
    const ROUNDS: u64 = 300;
    let receiver = crate::support::Receiver::start();
    let logs = crate::support::builder(&receiver).logs(tracing::level_filters::LevelFilter::INFO);
    let (layer, guard) = logs.build().unwrap();
    let dispatch = tracing::Dispatch::new(tracing_subscriber::registry().with(layer));
    let sentry = guard.sentry();
    for round in 0..ROUNDS {
        tracing::dispatcher::with_default(&dispatch, || {
            for step in 0..99 {
                info!(step, "before the flush");
            }
        });
        std::thread::scope(|scope| {
            let last =
                || tracing::dispatcher::with_default(&dispatch, || info!("beside the flush"));
            scope.spawn(last);
            std::thread::yield_now();
            let deadline = Instant::now() + Duration::from_secs(60);
            sentry.flush_by(deadline).unwrap();
            let sent = sentry.stats().sent.delivered;
            assert!(sent >= round * 100 + 99, "{sent} in round {round}");
        });
    }
}

//! Events that exporting itself causes.

use std::time::Instant;

use spanwise_core::Flush as _;
use spanwise_otel::{ExportOptions, Otel, OtelGuard, Protocol};
use tracing_subscriber::prelude::*;

use crate::support::{GUARD, builder, output_alone, receiver::Receiver};

/// Exports everything at TRACE, also records of the `log` crate.
fn init(receiver: &Receiver, protocol: Protocol) -> (Otel, OtelGuard) {
    let builder = builder(receiver)
        .metrics(ExportOptions::off)
        .all_signals(|signal| signal.protocol(protocol));
    let (otel, guard) = builder.build().unwrap();
    let subscriber = tracing_subscriber::registry()
        .with(otel.spans())
        .with(otel.logs());
    // Not `init`, which also sets the logger if tracing-subscriber has that feature.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    tracing_log::LogTracer::init().unwrap();
    (otel, guard)
}

fn check(receiver: &Receiver, protocol: Protocol) {
    let (otel, guard) = init(receiver, protocol);
    tracing::info_span!("a span").in_scope(|| tracing::info!("an event"));
    // Each flush would send what the one before has caused.
    for _ in 0..5 {
        otel.flush_by(Instant::now() + GUARD).unwrap();
    }
    log::info!("a record");
    let stats = guard.shutdown(GUARD);
    assert_eq!(receiver.requests().len(), 3, "spans, logs, and the record");
    assert_eq!(stats.logs.accepted, 2);
    assert_eq!(stats.traces.accepted, 1);
}

#[test]
fn requests_over_http_cause_none() {
    if output_alone("own_events::requests_over_http_cause_none").is_none() {
        check(&Receiver::start(), Protocol::HttpProtobuf);
    }
}

#[cfg(feature = "grpc")]
#[test]
fn calls_over_grpc_cause_none() {
    if output_alone("own_events::calls_over_grpc_cause_none").is_none() {
        check(&crate::support::grpc::start(), Protocol::Grpc);
    }
}

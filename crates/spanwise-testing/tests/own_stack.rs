//! The only test of this file, because it installs the global subscriber.

use spanwise_core::{ContextLayer, LayerExt as _};
use spanwise_testing::{CaptureLayer, capture};
use tracing::{Level, info, info_span};
use tracing_subscriber::{filter::LevelFilter, fmt, prelude::*};

#[test]
fn own_stack_captures() {
    tracing_subscriber::registry()
        .with(ContextLayer::default().key("order_id"))
        .with(
            fmt::layer()
                .with_writer(std::io::sink)
                .with_filter(LevelFilter::ERROR),
        )
        .with(CaptureLayer::default())
        .init();

    let logs = capture();
    // A filtered layer keeps the decision of its last `enabled`.
    let _ = tracing::enabled!(Level::DEBUG);
    info_span!("order", order_id = 42).in_scope(|| info!("paid"));
    logs.one("paid")
        .assert_context("order_id", "42")
        .assert_in_span("order");

    // A scoped stack with the layer works too, with the same routing.
    let scoped = tracing_subscriber::registry().with(CaptureLayer::default());
    tracing::subscriber::with_default(scoped, || {
        info!("in a scope");
        let inner = capture();
        info!("in an inner capture");
        inner.one("in an inner capture");
    });
    logs.one("in a scope");

    // A wrapper wraps the layer as it wraps a sink.
    let quiet = CaptureLayer::default().with_levels("warn".parse().unwrap());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(quiet), || {
        let logs = capture();
        info_span!("still seen").in_scope(|| info!("not let through"));
        logs.none("not let through");
        logs.one_span("still seen");
    });

    // A second layer in the stack changes nothing.
    let twice = tracing_subscriber::registry()
        .with(CaptureLayer::default())
        .with(CaptureLayer::default());
    tracing::subscriber::with_default(twice, || {
        let logs = capture();
        info_span!("span", id = 1).in_scope(|| info!("twice"));
        assert_eq!(logs.events().len(), 2);
    });
}

//! Layers under test, and values of every type.

#![allow(dead_code, unreachable_pub, reason = "each test uses some of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where something is wrong"
)]

pub mod any;

use spanwise_json::JsonLayer;
use spanwise_testing::support::{Lines, fixed_clock};
use tracing::{Dispatch, Subscriber};
use tracing_subscriber::prelude::*;

/// Runs `log` under a layer that `options` made, and returns what it wrote.
pub fn lines(options: impl FnOnce(JsonLayer) -> JsonLayer, log: impl FnOnce()) -> Lines {
    let lines = Lines::default();
    let layer = options(JsonLayer::new().clock(fixed_clock())).with_writer(lines.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
    lines
}

pub fn dispatch<L>(layer: L) -> Dispatch
where
    L: tracing_subscriber::Layer<tracing_subscriber::Registry> + Send + Sync,
    tracing_subscriber::layer::Layered<L, tracing_subscriber::Registry>: Subscriber + Send + Sync,
{
    Dispatch::new(tracing_subscriber::registry().with(layer))
}

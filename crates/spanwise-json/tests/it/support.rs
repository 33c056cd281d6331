//! Layers under test, and values of every type.

#![allow(dead_code, unreachable_pub, reason = "each test uses some of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where something is wrong"
)]

pub mod any;

use std::{env, error::Error, fmt, fs};

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

/// Compares `lines` with `tests/golden/NAME.jsonl`. `UPDATE_GOLDEN=1` rewrites the file instead.
#[expect(
    clippy::disallowed_methods,
    reason = "between a test and its runner, not a setting"
)]
#[track_caller]
pub fn check_golden(name: &str, lines: &Lines) {
    let path = format!("{}/tests/golden/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let _ = lines.objects(); // valid JSON, no repeated key
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, lines.text()).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(lines.text(), golden, "{path}");
}

pub fn dispatch<L>(layer: L) -> Dispatch
where
    L: tracing_subscriber::Layer<tracing_subscriber::Registry> + Send + Sync,
    tracing_subscriber::layer::Layered<L, tracing_subscriber::Registry>: Subscriber + Send + Sync,
{
    Dispatch::new(tracing_subscriber::registry().with(layer))
}

/// The options of a layer as they are.
pub fn default(layer: JsonLayer) -> JsonLayer {
    layer
}

/// An error with its cause.
#[derive(Debug)]
pub struct Failed(pub &'static str, pub Option<Box<Self>>);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Failed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|cause| cause as _)
    }
}

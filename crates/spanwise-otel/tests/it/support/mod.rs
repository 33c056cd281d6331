//! Helpers of the tests.

#![allow(dead_code, unreachable_pub, reason = "not every test uses all of it")]

#[cfg(feature = "grpc")]
pub mod grpc;
pub mod receiver;
pub mod records;
pub mod tls;
pub mod traces;

use std::{
    borrow::Cow,
    env,
    process::{Command, Output},
    time::Duration,
};

use spanwise_core::{KeyVerdict, REDACTED, Redact, SelfReport};
use spanwise_otel::{Otel, OtelBuilder, SignalStats};
use tracing::Dispatch;
use tracing_subscriber::prelude::*;

use receiver::Receiver;

/// The time after which a test fails instead of waiting on.
pub const GUARD: Duration = Duration::from_secs(60);

/// Returns a builder that sends to `receiver` and reports nothing on stderr.
pub fn builder(receiver: &Receiver) -> OtelBuilder {
    Otel::builder(receiver.endpoint()).report(SelfReport::silent())
}

/// Returns a subscriber with both layers of `otel`.
pub fn subscriber(otel: &Otel) -> Dispatch {
    let registry = tracing_subscriber::registry();
    Dispatch::new(registry.with(otel.spans()).with(otel.logs()))
}

/// Logs and opens a span, this number of times each.
pub fn record(otel: &Otel, count: usize) {
    tracing::dispatcher::with_default(&subscriber(otel), || {
        for number in 0..count {
            tracing::info_span!("a span", number).in_scope(|| {
                tracing::info!(number, "an event");
            });
        }
    });
}

/// A policy that trusts the key `trusted`, and hides the other texts.
#[derive(Debug)]
pub struct Trusting;

impl Redact for Trusting {
    fn key(&self, key: &str) -> KeyVerdict {
        match key {
            "trusted" => KeyVerdict::Trust,
            _ => KeyVerdict::Pass,
        }
    }

    fn text<'t>(&self, _: &'t str) -> Cow<'t, str> {
        REDACTED.into()
    }
}

/// Checks that each record is in exactly one count.
#[track_caller]
pub fn assert_settled(stats: &SignalStats) {
    let sent = &stats.outcomes;
    assert_eq!(stats.accepted, sent.delivered + sent.lost(), "{stats:?}");
    assert_eq!(stats.waiting_bytes, 0, "{stats:?}");
}

/// Set in a process that runs a single test.
const ALONE: &str = "SPANWISE_TEST_ALONE";

/// Runs `test`, such as `module::function`, in a process of its own. Returns its output, or `None`
/// if this is that process.
#[track_caller]
pub fn output_alone(test: &str) -> Option<Output> {
    if env::var_os(ALONE).is_some() {
        return None;
    }
    let mut again = Command::new(env::current_exe().unwrap());
    again.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    for proxy in ["http_proxy", "https_proxy", "all_proxy"] {
        again.env_remove(proxy).env_remove(proxy.to_uppercase());
    }
    let output = again.env(ALONE, "1").output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let has_passed = output.status.success() && stdout.contains("1 passed");
    assert!(has_passed, "{test}: {output:#?}");
    Some(output)
}

//! Helpers of the tests.

#![allow(dead_code, unreachable_pub, reason = "each binary uses some of it")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may panic"
)]

pub mod receiver;

use std::{
    env,
    error::Error,
    fmt,
    process::{Command, Output},
    time::Duration,
};

use serde_json::Value;
use spanwise_core::SelfReport;
use spanwise_sentry::{Sentry, SentryBuilder, SentryGuard, SentryLayer, SentryStats};

#[allow(unused_imports, reason = "each binary uses some of it")]
pub use receiver::{ACCEPT, Behaviour, Receiver};

pub fn builder(receiver: &Receiver) -> SentryBuilder {
    Sentry::builder(receiver.dsn().parse().unwrap()).report(SelfReport::silent())
}

/// Sends the events of `log` to a receiver. `change` changes the builder.
pub fn sent(
    change: impl FnOnce(SentryBuilder) -> SentryBuilder,
    log: impl FnOnce(),
) -> (Receiver, SentryStats) {
    use tracing_subscriber::prelude::*;
    let receiver = Receiver::start();
    let (layer, guard) = change(builder(&receiver)).build().unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
    let stats = guard.shutdown(Duration::from_secs(60));
    (receiver, stats)
}

pub fn plain(builder: SentryBuilder) -> SentryBuilder {
    builder
}

/// Returns the only event that was received.
#[track_caller]
pub fn one(receiver: &Receiver) -> Value {
    let events = receiver.events();
    assert_eq!(events.len(), 1, "{events:#?}");
    events.into_iter().next().unwrap()
}

/// Returns the messages of the breadcrumbs of an event.
pub fn breadcrumbs(event: &Value) -> Vec<&str> {
    let values = event["breadcrumbs"]["values"].as_array();
    let values = values.into_iter().flatten();
    values
        .map(|crumb| crumb["message"].as_str().unwrap())
        .collect()
}

/// An error with a cause.
#[derive(Debug)]
pub struct PaymentFailed(pub GatewayTimedOut);

#[derive(Debug)]
pub struct GatewayTimedOut {
    pub gateway: &'static str,
}

impl fmt::Display for PaymentFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the payment could not be taken")
    }
}

impl Error for PaymentFailed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

impl fmt::Display for GatewayTimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} did not answer", self.gateway)
    }
}

impl Error for GatewayTimedOut {}

pub fn payment_failed() -> PaymentFailed {
    PaymentFailed(GatewayTimedOut { gateway: "cards" })
}

/// The result of `SentryBuilder::build`.
pub type Built = (SentryLayer, SentryGuard);

/// Set in a process that runs a single test.
const ALONE: &str = "SPANWISE_TEST_ALONE";

/// Runs `test`, such as `module::function`, in a separate process. Returns true in the process that
/// waited for it. In that process the test must return.
#[track_caller]
pub fn alone(test: &str) -> bool {
    output_alone(test).is_some()
}

/// Like [`alone`], and returns the output of the process.
#[track_caller]
pub fn output_alone(test: &str) -> Option<Output> {
    output_alone_with(test, |_| {})
}

/// Returns whether this process runs a single test.
pub fn alone_child() -> bool {
    env::var_os(ALONE).is_some()
}

/// Like [`output_alone`]. `change` changes the command.
#[track_caller]
pub fn output_alone_with(test: &str, change: impl FnOnce(&mut Command)) -> Option<Output> {
    if alone_child() {
        return None;
    }
    let mut again = Command::new(env::current_exe().unwrap());
    again.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    change(&mut again);
    let output = again.env(ALONE, "1").output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let has_passed = output.status.success() && stdout.contains("1 passed");
    assert!(has_passed, "{test}: {output:#?}");
    Some(output)
}

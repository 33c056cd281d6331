//! Helpers of the tests.

#![allow(dead_code, unreachable_pub, reason = "not every test uses all of it")]

#[cfg(feature = "grpc")]
pub mod grpc;
pub mod receiver;
pub mod records;
pub mod tls;
pub mod traces;

use std::{
    env,
    process::{Command, Output},
    time::Duration,
};

use spanwise_core::SelfReport;
use spanwise_otel::{Otel, OtelBuilder};

use receiver::Receiver;

/// The time after which a test fails instead of waiting on.
pub const GUARD: Duration = Duration::from_secs(60);

/// Returns a builder that sends to `receiver` and reports nothing on stderr.
pub fn builder(receiver: &Receiver) -> OtelBuilder {
    Otel::builder(receiver.endpoint()).report(SelfReport::silent())
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
    let output = again.env(ALONE, "1").output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let has_passed = output.status.success() && stdout.contains("1 passed");
    assert!(has_passed, "{test}: {output:#?}");
    Some(output)
}

//! The test of `docs/testing.md` behind the policy. It starts logging, so it needs a process of its
//! own.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

use std::sync::LazyLock;

use spanwise_testing::{Capture, CaptureLayer, capture};
use tracing::info;

static TELEMETRY: LazyLock<spanwise::Telemetry> = LazyLock::new(|| {
    spanwise::Builder::new(spanwise::Preset::Test)
        .redact_with(|policy| policy.hide("employee_no"))
        .layer(CaptureLayer::default())
        .init()
        .unwrap()
});

/// Starts logging before the first capture.
fn capture_behind_policy() -> Capture {
    LazyLock::force(&TELEMETRY);
    capture()
}

#[test]
fn policy_hides_what_the_code_logs() {
    let logs = capture_behind_policy();
    info!(employee_no = "E-4711", password = "canary-1", "logged in");
    logs.assert_never_logged("E-4711");
    logs.assert_never_logged("canary-1");
}

#[test]
fn policy_hides_addresses_of_users() {
    let logs = capture_behind_policy();
    info!(user_id = "ada@example.com", "logged out");
    logs.assert_never_logged("ada@example.com");
}

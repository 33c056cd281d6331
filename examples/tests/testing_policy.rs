//! The test of `docs/testing.md` that looks at what comes out behind the policy. It starts logging,
//! for which it needs a process of its own.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

use std::sync::LazyLock;

use spanwise_testing::{CaptureLayer, capture};
use tracing::info;

static TELEMETRY: LazyLock<spanwise::Telemetry> = LazyLock::new(|| {
    spanwise::Builder::test()
        .redact_with(|policy| policy.hide("employee_no"))
        .with(CaptureLayer::default())
        .init()
        .unwrap()
});

#[test]
fn policy_hides_what_the_code_logs() {
    LazyLock::force(&TELEMETRY);
    let logs = capture();
    info!(employee_no = "E-4711", password = "canary-1", "logged in");
    logs.assert_never_logged("E-4711");
    logs.assert_never_logged("canary-1");
}

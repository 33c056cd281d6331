//! A service tests its own policy. The capture is an additional layer behind the policy.

use spanwise_testing::{CaptureLayer, capture};

#[test]
fn captured_events_are_redacted() {
    alone!();
    let policy = spanwise::redact::Policy::secrets().hide("badge").unwrap();
    let builder = spanwise::Builder::new(spanwise::Preset::Test).redact(policy);
    let _telemetry = builder.layer(CaptureLayer::default()).init().unwrap();

    let logs = capture();
    tracing::info!(
        password = "hunter2",
        badge = "b-1234",
        order_id = 42,
        "login"
    );
    logs.assert_never_logged("hunter2");
    logs.assert_never_logged("b-1234");
    logs.one("login")
        .assert_field("password", "[REDACTED]")
        .assert_field("order_id", 42);
}

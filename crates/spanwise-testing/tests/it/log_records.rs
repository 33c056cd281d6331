//! Records of the `log` crate are events too.

use spanwise_testing::capture;
use tracing::{Level, info_span};

#[test]
fn log_records_show_where_they_come_from() {
    let logs = capture();
    info_span!("query", tenant_id = "acme").in_scope(|| {
        log::warn!(target: "sqlx::query", "slow: {}", "select 1");
    });
    let event = logs.one("slow: select 1");
    event
        .assert_level(Level::WARN)
        .assert_target("sqlx::query")
        .assert_context("tenant_id", "acme")
        .assert_in_span("query")
        .assert_no_field("log.target");
    assert_eq!(event.fields().count(), 0);
    assert_eq!(
        event.to_string(),
        r#"WARN query{tenant_id="acme"}: sqlx::query: slow: select 1"#
    );
}

#[test]
fn key_values_of_a_record_are_fields() {
    let logs = capture();
    log::info!(user_id = 42, via = "the app"; "signed in");
    logs.one("signed in")
        .assert_field("user_id", 42)
        .assert_field("via", "the app")
        .assert_target(module_path!());
}

//! The fields and the context that filters read.

use super::run_with;
use tracing::error;

#[cfg(feature = "pseudonyms")]
#[test]
fn filter_in_code_sees_the_context_of_lines() {
    use std::{
        fs,
        sync::{Arc, Mutex},
    };

    use spanwise::filter::{FilterEvent, Verdict};
    use tracing::{info, info_span};

    let file = r#"
        context = ["email"]
        [redact]
        key_file = "DIR/key"
        [filter]
        seen = { code = true }
        [sink.app]
        kind = "file"
        path = "DIR/app.log"
        filters = ["seen"]
    "#;

    let keys = tempfile::tempdir().unwrap();
    fs::write(keys.path().join("key"), "0123456789abcdef0123456789abcdef").unwrap();
    let file = file.replace("DIR/key", keys.path().join("key").to_str().unwrap());
    let seen = Arc::new(Mutex::new(None));
    let sight = Arc::clone(&seen);
    let see = move |event: &FilterEvent<'_>| {
        *sight.lock().unwrap() = event.context("email");
        Verdict::Keep
    };
    let logged = run_with(
        &file,
        &[],
        |builder| builder.filter("seen", see),
        || info_span!("request", email = "ada@example.com").in_scope(|| info!("one")),
    );
    let line: serde_json::Value = serde_json::from_str(logged.0["app"].trim()).unwrap();
    let seen = seen.lock().unwrap().clone().unwrap();
    assert!(seen.starts_with("k1:"), "{seen}");
    assert_eq!(line["email"], seen.as_str());
}

#[test]
fn level_of_a_sink_applies_after_its_filters() {
    let file = r#"
        [filter]
        tame = { level = { as = "warn", message = "refused" } }
        [sink.errors]
        kind = "file"
        path = "DIR/errors.log"
        level = "error"
        filters = ["tame"]
        [sink.all]
        kind = "file"
        path = "DIR/all.log"
    "#;
    let logged = run_with(
        file,
        &[],
        |builder| builder,
        || {
            error!("refused");
            error!("failed");
        },
    );
    assert_eq!(logged.messages("errors"), ["failed"]);
    assert_eq!(logged.messages("all"), ["refused", "failed"]);
}

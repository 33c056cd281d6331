//! Reports of `context::set` on stderr, read from a child process.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where something is wrong"
)]

use std::{
    env,
    process::{Command, Stdio},
};

use spanwise_core::{Context, ContextLayer, LevelLayer, context};
use tracing::{info_span, level_filters::LevelFilter};
use tracing_subscriber::prelude::*;

const CHILD: &str = "SPANWISE_TEST_CHILD";

#[test]
fn each_set_error_is_reported_once() {
    if env::var_os(CHILD).is_some() {
        return cause_all_errors();
    }
    let test = "each_set_error_is_reported_once";
    let output = Command::new(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    let reports: Vec<&str> = stderr.lines().collect();
    assert_eq!(
        reports.len(),
        3,
        "without a subscriber, or with everything off, there is no report: {reports:#?}"
    );
    for (line, [key, remedy]) in reports.iter().zip([
        ["user_id", "ContextLayer"],
        ["user_id", ".in_current_span()"],
        ["order_id", "LOG_CONTEXT, `Builder::context_key`"],
    ]) {
        let start = format!("spanwise: setup: context::set did not set {key}: ");
        assert!(line.starts_with(&start), "{line}");
        assert!(line.contains(remedy), "{line}");
    }
}

fn cause_all_errors() {
    context::set("user_id", 1);
    let off = LevelLayer::new(LevelFilter::OFF.into());
    let stack = tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(off);
    tracing::subscriber::with_default(stack, || {
        let _unit = info_span!("unit").entered();
        context::set("user_id", 1);
    });
    for _ in 0..3 {
        tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            let _unit = info_span!("unit").entered();
            context::set("user_id", 1);
        });
        let stack = tracing_subscriber::registry().with(ContextLayer::default());
        tracing::subscriber::with_default(stack, || {
            context::set("user_id", 1);
            let _unit = info_span!("unit").entered();
            context::set("order_id", 1);
            assert!(Context::current().is_empty());
        });
    }
}

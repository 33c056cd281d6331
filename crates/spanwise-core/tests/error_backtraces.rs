//! Backtraces of errors. std reads `RUST_BACKTRACE` once, so the test needs a separate process.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

use std::{
    env,
    error::Error,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use spanwise_core::{err, internal::errors};

#[inline(never)]
fn take_stock() -> anyhow::Error {
    anyhow::anyhow!("no stock")
}

#[expect(
    clippy::disallowed_methods,
    reason = "between a test and itself, not a setting"
)]
/// Runs this test again with `RUST_LIB_BACKTRACE` as `value`. Returns whether this is that run.
fn runs_with(value: &str, test: &str) -> bool {
    if env::var_os("RUST_LIB_BACKTRACE").is_some() {
        return true;
    }
    let status = Command::new(env::current_exe().unwrap())
        .args([test, "--exact"])
        .env("RUST_LIB_BACKTRACE", value)
        .status();
    assert!(status.unwrap().success());
    false
}

#[test]
fn anyhow_errors_have_backtraces() {
    if !runs_with("1", "anyhow_errors_have_backtraces") {
        return;
    }
    let error = take_stock().context("order 7");
    let shown = errors::backtrace(err(&error)).unwrap();
    assert!(shown.contains("take_stock"), "{shown}");
    assert!(!shown.contains("order 7"), "{shown}");
    let again = errors::backtrace(err(&error)).unwrap();
    assert_eq!(again, shown);
    let short = errors::short_backtrace(err(&error)).unwrap();
    let first = short.lines().next().unwrap();
    assert!(first.ends_with("take_stock"), "{short}");
    assert!(!short.contains("/library/"), "{short}");

    // The next error may be at the same address.
    drop(error);
    let other = Err::<(), _>(std::fmt::Error)
        .context("no stock")
        .unwrap_err();
    let shown = errors::backtrace(err(&other)).unwrap();
    assert!(!shown.contains("take_stock"), "{shown}");

    // The second sink does not format it again.
    let view = err(&other);
    let (one, two) = (
        errors::backtrace(view).unwrap(),
        errors::backtrace(view).unwrap(),
    );
    assert!(Arc::ptr_eq(&one, &two));

    let plain: Box<dyn Error + Send + Sync> = "no backtrace".into();
    assert_eq!(errors::backtrace(err(&plain)), None);
    assert_eq!(errors::backtrace(err(&std::fmt::Error)), None);

    // Further errors in the same second are not formatted. A loaded machine may need several tries.
    let end = Instant::now() + Duration::from_secs(60);
    while &*errors::backtrace(err(&take_stock())).unwrap() != "(none: more than 10 in a second)" {
        assert!(Instant::now() < end, "all backtraces are formatted");
    }
}

#[test]
fn uncaptured_backtraces_are_not_formatted() {
    if !runs_with("0", "uncaptured_backtraces_are_not_formatted") {
        return;
    }
    assert_eq!(errors::backtrace(err(&take_stock())), None);
}

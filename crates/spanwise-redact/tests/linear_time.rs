//! A text of eight times the length takes some eight times as long to read, whatever it says.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

use std::time::{Duration, Instant};

use spanwise_core::Redact;
use spanwise_redact::{Detector, Policy};

/// The shortest of some times, as others use the machine too.
fn time(policy: &Policy, text: &str) -> Duration {
    let times = (0..5).map(|_| {
        let start = Instant::now();
        let _ = policy.text(text);
        start.elapsed()
    });
    times.min().unwrap()
}

#[track_caller]
fn check(policy: &Policy, parts: &[&str]) {
    for part in parts {
        for before in ["", "{\"a\":\"", "password=\""] {
            let text = |length: usize| format!("{before}{}", part.repeat(length / part.len()));
            let (short, long) = (text(1 << 13), text(1 << 16));
            let (short, long) = (time(policy, &short), time(policy, &long));
            // It would be 64 times as long if each place were looked at from each other.
            assert!(long < short * 28, "{before}{part}…: {short:?}, {long:?}");
        }
    }
}

#[test]
fn of_keys_that_are_no_secret() {
    let policy = Policy::secrets()
        .show("secret_key")
        .unwrap()
        .without_detector(Detector::UrlQuery);
    check(
        &policy,
        &[
            "secretkey=(",
            "secretkey=\"",
            "secretkey: Some {",
            "?sig=",
            "&code=a",
        ],
    );
}

#[test]
fn of_keys_in_hidden_values() {
    check(
        &Policy::secrets(),
        &[
            "password=(",
            "\"pin\":(",
            "\"pin\":'",
            "{\"pin\":[",
            "?password=",
            "cookie: it's \"pin\":'a",
            "\"pin\":`x 'pin':\"",
            "\\\"pin\\\":\\\"x pin: ",
            "password: Some [",
            "x\npassword\n:\n",
            "a[password]=",
        ],
    );
}

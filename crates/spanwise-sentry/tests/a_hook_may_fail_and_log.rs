//! Hooks of the program's: one that panics costs its event, one that logs does not go on for ever.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

mod support;

use spanwise_sentry::Builder;
use support::sent;
use tracing::error;

#[test]
fn one_that_panics_costs_its_event() {
    let hooked = |builder: Builder| builder.before_send(|_| panic!("a hook"));
    let (receiver, stats) = sent(hooked, || error!("failed"));
    assert!(receiver.events().is_empty());
    assert_eq!((stats.sent.write_failed, stats.sent.delivered), (1, 0));
}

#[test]
fn one_that_logs_errors_is_not_asked_about_them() {
    let hooked = |builder: Builder| {
        builder.before_send(|event| {
            error!("inside of the hook");
            Some(event)
        })
    };
    let (receiver, _) = sent(hooked, || error!("failed"));
    assert_eq!(support::one(&receiver)["message"], "failed");
}

#[test]
fn one_that_says_no_is_obeyed() {
    let hooked = |builder: Builder| builder.before_send(|_| None);
    let (receiver, stats) = sent(hooked, || error!("failed"));
    assert!(receiver.events().is_empty());
    assert_eq!(stats.left_out, 1);
}

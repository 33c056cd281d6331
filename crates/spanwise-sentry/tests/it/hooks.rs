//! Hooks of the program's: one that panics costs its event, one that says no is obeyed.

use crate::support::sent;
use spanwise_sentry::Builder;
use tracing::error;

#[test]
fn one_that_panics_costs_its_event() {
    let hooked = |builder: Builder| builder.before_send(|_| panic!("a hook"));
    let (receiver, stats) = sent(hooked, || error!("failed"));
    assert!(receiver.events().is_empty());
    assert_eq!((stats.sent.write_failed, stats.sent.delivered), (1, 0));
}

#[test]
fn one_that_says_no_is_obeyed() {
    let hooked = |builder: Builder| builder.before_send(|_| None);
    let (receiver, stats) = sent(hooked, || error!("failed"));
    assert!(receiver.events().is_empty());
    assert_eq!(stats.left_out, 1);
}

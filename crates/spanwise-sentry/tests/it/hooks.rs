//! Hooks of the application that panic, or discard an event.

use crate::support::sent;
use spanwise_sentry::SentryBuilder;
use tracing::error;

#[test]
fn panicking_hook_loses_only_its_event() {
    let hooked = |builder: SentryBuilder| builder.before_send(|_| panic!("a hook"));
    let (receiver, stats) = sent(hooked, || error!("failed"));
    assert!(receiver.events().is_empty());
    assert_eq!((stats.sent.write_failed, stats.sent.delivered), (1, 0));
}

#[test]
fn hook_can_discard_an_event() {
    let hooked = |builder: SentryBuilder| builder.before_send(|_| None);
    let (receiver, stats) = sent(hooked, || error!("failed"));
    assert!(receiver.events().is_empty());
    assert_eq!(stats.discarded, 1);
}

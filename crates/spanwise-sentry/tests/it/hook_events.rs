//! Hooks of the application that log and open spans. The hook is not called for these events,
//! because this would be an endless recursion.
//!
//! The subscriber is global, because a scoped one does not receive events inside of events.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use crate::support::{Receiver, alone, builder};
use spanwise_core::Flush as _;
use spanwise_sentry::Sentry;
use tracing::{error, info_span};
use tracing_subscriber::prelude::*;

#[test]
fn logging_hook_does_not_recurse() {
    if alone("hook_events::logging_hook_does_not_recurse") {
        return;
    }
    let receiver = Receiver::start();
    let asked = Arc::new(AtomicU32::new(0));
    let counts = Arc::clone(&asked);
    let hook = move |event| {
        // A recursion ends here.
        if counts.fetch_add(1, Ordering::Relaxed) < 10 {
            error!("before the span");
            info_span!("inside of the hook").in_scope(|| {});
            error!("after the span");
        }
        Some(event)
    };
    let (layer, guard) = builder(&receiver)
        .traces_sample_rate(1.0)
        .dedup_window(Duration::ZERO)
        .before_send(hook)
        .build()
        .unwrap();
    tracing_subscriber::registry().with(layer).init();
    error!("failed");
    guard.shutdown(Duration::from_secs(60));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert_eq!(crate::support::one(&receiver)["message"], "failed");
    assert!(receiver.items("transaction").is_empty());
}

static SENTRY: OnceLock<Sentry> = OnceLock::new();

/// Uses everything that a hook can reach.
fn use_sentry() {
    let sentry = SENTRY.get().unwrap();
    let _ = (sentry.stats(), sentry.client().is_enabled());
    sentry.bind();
    let span = info_span!("hook", late = tracing::field::Empty);
    span.record("late", 1);
    span.in_scope(|| error!("inside"));
    let _ = sentry.flush_by(Instant::now());
}

#[test]
fn hook_may_use_the_sentry_handle() {
    if alone("hook_events::hook_may_use_the_sentry_handle") {
        return;
    }
    let receiver = Receiver::start();
    let (layer, guard) = builder(&receiver)
        .traces_sample_rate(1.0)
        .before_send(|event| {
            use_sentry();
            Some(event)
        })
        .build()
        .unwrap();
    SENTRY.set(guard.sentry()).unwrap();
    tracing_subscriber::registry().with(layer).init();
    for _ in 0..3 {
        error!("failed");
    }
    let stats = guard.shutdown(Duration::from_secs(60));
    // A flush ends the window, so the repetitions are new errors.
    assert_eq!(
        (stats.sent.delivered, stats.sent.lost()),
        (3, 0),
        "{stats:?}"
    );
}

#[test]
fn panicking_hook_with_panic_logs_is_counted() {
    if alone("hook_events::panicking_hook_with_panic_logs_is_counted") {
        return;
    }
    let receiver = Receiver::start();
    let (layer, guard) = builder(&receiver)
        .before_send(|_| panic!("a hook"))
        .build()
        .unwrap();
    SENTRY.set(guard.sentry()).unwrap();
    tracing_subscriber::registry().with(layer).init();
    std::panic::set_hook(Box::new(|panic| {
        error!("a panic: {panic}");
        use_sentry();
    }));
    error!("failed");
    let stats = guard.shutdown(Duration::from_secs(60));
    assert_eq!(
        (stats.sent.delivered, stats.sent.write_failed),
        (0, 1),
        "{stats:?}"
    );
    assert!(receiver.bodies().is_empty());
}

//! A hook of the program's that logs, and opens spans, is not asked about what it logs: or it would have no end.
//!
//! With a global subscriber, since what is logged inside of one that is scoped reaches nobody.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use crate::support::{Receiver, alone, builder};
use tracing::{error, info_span};
use tracing_subscriber::prelude::*;

#[test]
fn one_that_logs_and_opens_spans_is_not_asked_about_them() {
    if alone("hook_logs::one_that_logs_and_opens_spans_is_not_asked_about_them") {
        return;
    }
    let receiver = Receiver::start();
    let asked = Arc::new(AtomicU32::new(0));
    let counts = Arc::clone(&asked);
    let hook = move |event| {
        // Ends in any case.
        if counts.fetch_add(1, Ordering::Relaxed) < 10 {
            error!("before the span");
            info_span!("inside of the hook").in_scope(|| {});
            error!("after the span");
        }
        Some(event)
    };
    let (layer, guard) = builder(&receiver)
        .traces_sample_rate(1.0)
        .repeats_within(Duration::ZERO)
        .before_send(hook)
        .build()
        .unwrap();
    tracing_subscriber::registry().with(layer).init();
    error!("failed");
    guard.shutdown(Duration::from_secs(10));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert_eq!(crate::support::one(&receiver)["message"], "failed");
    assert!(receiver.items("transaction").is_empty());
}

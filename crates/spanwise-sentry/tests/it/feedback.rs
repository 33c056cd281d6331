//! No feedback: the HTTP client logs through the `log` crate while it sends, and fails; none of that is sent.

use std::time::{Duration, Instant};

use crate::support::{Behaviour, Receiver, alone, builder};
use spanwise_core::{Flush as _, TargetLevels};
use tracing::{error, level_filters::LevelFilter};
use tracing_subscriber::prelude::*;

#[test]
fn however_much_it_says() {
    if alone("feedback::however_much_it_says") {
        return;
    }
    let receiver = Receiver::behaving(Behaviour::Answer(503, &[]));
    let all = || TargetLevels::from(LevelFilter::TRACE);
    let builder = builder(&receiver)
        .event_levels(all())
        .breadcrumb_levels(all())
        .logs(all());
    let (layer, guard) = builder.build().unwrap();
    let (seen, other) = Seen::new();
    tracing_subscriber::registry()
        .with(layer)
        .with(other)
        .init();
    let _ = tracing_log::LogTracer::init();
    error!("failed");
    receiver.wait_for(1);
    let sentry = guard.sentry();
    assert!(
        sentry
            .flush(Instant::now() + Duration::from_secs(20))
            .is_err()
    );
    receiver.behave(crate::support::TAKES);
    assert!(
        sentry
            .flush(Instant::now() + Duration::from_secs(20))
            .is_ok()
    );
    let stats = guard.shutdown(Duration::from_secs(20));
    // The event, and the same as a log.
    assert_eq!((stats.sent.delivered, stats.sent.lost()), (2, 0));
    assert!(
        seen.lock().unwrap().contains(&"ureq".to_owned()),
        "{seen:?}"
    );
}

type Targets = std::sync::Arc<std::sync::Mutex<Vec<String>>>;

/// What another layer sees.
struct Seen(Targets);

impl Seen {
    fn new() -> (Targets, Self) {
        let seen = Targets::default();
        (seen.clone(), Self(seen))
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Seen {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        let target = spanwise_core::log_record::LogRecord::of(event).target;
        let target = target.unwrap_or_else(|| event.metadata().target().to_owned());
        let root = target.split("::").next().unwrap_or_default().to_owned();
        self.0.lock().unwrap().push(root);
    }
}

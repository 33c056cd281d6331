//! Eight threads log while the levels change. Every event that both the old and the new levels
//! enable arrives.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use spanwise_core::LevelLayer;
use tracing::{Event, Subscriber};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

#[derive(Clone, Default)]
struct Count {
    both: Arc<AtomicUsize>,
    others: Arc<AtomicUsize>,
}

impl<S: Subscriber> Layer<S> for Count {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let count = if event.metadata().target() == "both" {
            &self.both
        } else {
            &self.others
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn level_change_loses_no_event() {
    const THREADS: usize = 8;
    const EACH: usize = 100_000;

    let count = Count::default();
    let layer = LevelLayer::new("info".parse().unwrap());
    let handle = layer.handle();
    tracing_subscriber::registry()
        .with(count.clone())
        .with(layer)
        .init();

    let done = Arc::new(AtomicBool::new(false));
    let changer = thread::spawn({
        let done = Arc::clone(&done);
        move || {
            let settings = [
                "info",
                "debug,both=info",
                "both=trace",
                "warn,both=info,[unit]=trace",
                "error,both=info",
            ];
            let mut changes = 0;
            while !done.load(Ordering::Relaxed) {
                handle
                    .set_levels(settings[changes % settings.len()])
                    .unwrap();
                changes += 1;
            }
            changes
        }
    });
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for n in 0..EACH {
                    let _unit = (n % 100 == 0)
                        .then(|| tracing::info_span!(target: "both", "unit").entered());
                    tracing::info!(target: "both", n, "both");
                    tracing::debug!(target: "other", n, "now and then");
                }
            });
        }
    });
    done.store(true, Ordering::Relaxed);
    let changes = changer.join().unwrap();
    assert_eq!(
        count.both.load(Ordering::Relaxed),
        THREADS * EACH,
        "after {changes} changes"
    );
    assert!(changes > 10 && count.others.load(Ordering::Relaxed) < THREADS * EACH);
}

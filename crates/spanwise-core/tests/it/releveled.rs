//! Copies of events at another level.

use std::sync::{Arc, Mutex};

use spanwise_core::internal::with_level;
use tracing::{Event, Level, Subscriber, info};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

/// Collects the name, the target and the level of the copies at WARN.
#[derive(Clone, Default)]
struct Warned(Arc<Mutex<Vec<(String, String, Level)>>>);

impl<S: Subscriber> Layer<S> for Warned {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        with_level(event, Level::WARN, &mut |event, is_changed| {
            assert!(is_changed);
            let metadata = event.metadata();
            let texts = [metadata.name(), metadata.target()].map(str::to_owned);
            let [name, target] = texts;
            self.0
                .lock()
                .unwrap()
                .push((name, target, *metadata.level()));
        });
    }
}

#[test]
fn copy_has_the_name_of_its_event() {
    let warned = Warned::default();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(warned.clone()), || {
        for name in ["a", "b"] {
            match name {
                "a" => info!(name: "order.paid", target: "shop", order_id = 1, "done"),
                _ => info!(name: "order.sent", target: "shop", order_id = 1, "done"),
            }
        }
    });
    let copies = warned.0.lock().unwrap();
    let copies: Vec<_> = copies
        .iter()
        .map(|(name, target, level)| (name.as_str(), target.as_str(), *level))
        .collect();
    assert_eq!(
        copies,
        [
            ("order.paid", "shop", Level::WARN),
            ("order.sent", "shop", Level::WARN)
        ]
    );
}

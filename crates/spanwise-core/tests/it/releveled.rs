//! Copies of events at another level.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use crate::support::redaction::no_hunter;
use spanwise_core::{LayerExt, internal::with_level};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    info,
};
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

/// Its text has 64 MiB, unless the writer ends it.
struct Endless;

impl fmt::Debug for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = "x".repeat(1024 * 1024);
        (0..64).try_for_each(|_| f.write_str(&part))
    }
}

/// Collects the lengths of the values of `trusted`, in events, or in their copies if `is_copying`.
#[derive(Clone, Default)]
struct Lengths {
    seen: Arc<Mutex<Vec<usize>>>,
    is_copying: bool,
}

impl Visit for &Lengths {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "trusted" {
            self.seen.lock().unwrap().push(format!("{value:?}").len());
        }
    }
}

impl<S: Subscriber> Layer<S> for Lengths {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut visitor = self;
        if self.is_copying {
            with_level(event, Level::WARN, &mut |copy, _| copy.record(&mut visitor));
        } else {
            event.record(&mut visitor);
        }
    }
}

#[test]
fn endless_value_is_cut_in_copies_and_if_trusted() {
    // The policy redacts a copy of the event, because of `secret`.
    let log = || info!(trusted = ?Endless, secret = 1);
    let copies = Lengths {
        is_copying: true,
        ..Lengths::default()
    };
    let trusted = Lengths::default();
    let stack = tracing_subscriber::registry().with(copies.clone());
    tracing::subscriber::with_default(stack, log);
    let layer = trusted.clone().redacted(no_hunter());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
    for lengths in [copies, trusted] {
        // The largest `max_field` of a sink, and one character more.
        assert_eq!(*lengths.seen.lock().unwrap(), [16 * 1024 * 1024 + 4]);
    }
}

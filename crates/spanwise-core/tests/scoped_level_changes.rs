//! Changes of levels where `tracing` asks only the default subscriber of the thread: if there is
//! only one subscriber. So this test is the only one in its process.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

mod support;

use std::thread;

use spanwise_core::{LevelHandle, LevelLayer};
use support::SeenMessages;
use tracing::{Event, Subscriber};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

/// Sets the levels that an event names.
struct SetLevels(LevelHandle);

impl<S: Subscriber> Layer<S> for SetLevels {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "set" {
            self.0.set_levels(event.metadata().name()).unwrap();
        }
    }
}

#[test]
fn level_change_reaches_a_scoped_subscriber() {
    let (levels, seen) = (
        LevelLayer::new("info".parse().unwrap()),
        SeenMessages::default(),
    );
    let handle = levels.handle();
    let _default = tracing_subscriber::registry()
        .with(seen.clone())
        .with(SetLevels(handle.clone()))
        .with(levels)
        .set_default();
    let log = || {
        tracing::info!("info");
        tracing::debug!("debug");
        seen.take()
    };
    assert_eq!(log(), ["info"]);

    let set_on_another_thread = |levels: &'static str| {
        let handle = handle.clone();
        let set = thread::spawn(move || handle.set_levels(levels));
        set.join().unwrap().unwrap();
    };
    set_on_another_thread("debug");
    assert_eq!(log(), ["info", "debug"], "changed by another thread");
    set_on_another_thread("info");
    assert_eq!(log(), ["info"]);

    tracing::info!(name: "debug", target: "set", "inside an event");
    assert_eq!(seen.take(), ["inside an event"]);
    assert_eq!(log(), ["info", "debug"]);
}

//! A user's layer panics at every event. The caller can catch the panic. The panic hook does not
//! log to this layer during the panic, because a second panic would abort the program.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::support::Lines;
use tracing::{Event, Metadata, Subscriber, info, subscriber::Interest};
use tracing_subscriber::{Layer, layer::Context};

struct Panics;

impl<S: Subscriber> Layer<S> for Panics {
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        panic!("a layer that panics")
    }
}

#[test]
fn line_is_written_beside_a_panicking_layer() {
    alone!();
    let lines = Lines::default();
    let _telemetry = spanwise::Builder::new(spanwise::Preset::Prod)
        .with_writer(lines.clone())
        .layer(Panics)
        .init()
        .unwrap();
    for _ in 0..2 {
        assert!(catch_unwind(AssertUnwindSafe(|| info!("m"))).is_err());
    }
    assert_eq!(lines.text().lines().count(), 2, "{}", lines.text());
}

struct PanicsBefore;

impl<S: Subscriber> Layer<S> for PanicsBefore {
    fn event_enabled(&self, _: &Event<'_>, _: Context<'_, S>) -> bool {
        panic!("a layer that panics while it decides about an event")
    }
}

#[test]
fn panic_of_a_decision_about_an_event_can_be_caught() {
    alone!();
    let _telemetry = spanwise::Builder::new(spanwise::Preset::Prod)
        .with_writer(Lines::default())
        .layer(PanicsBefore)
        .init()
        .unwrap();
    for _ in 0..2 {
        assert!(catch_unwind(AssertUnwindSafe(|| info!("m"))).is_err());
    }
}

struct PanicsFirst;

impl<S: Subscriber> Layer<S> for PanicsFirst {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>, _: Context<'_, S>) -> bool {
        panic!("a layer that panics while it decides about a callsite")
    }
}

#[test]
fn panic_of_a_decision_about_a_callsite_can_be_caught() {
    alone!();
    let _telemetry = spanwise::Builder::new(spanwise::Preset::Prod)
        .with_writer(Lines::default())
        .layer(PanicsFirst)
        .init()
        .unwrap();
    for _ in 0..2 {
        assert!(catch_unwind(AssertUnwindSafe(|| info!("m"))).is_err());
    }
}

//! The wrapper passes on every call, and `downcast_raw` finds what is inside.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

use std::sync::{Arc, Mutex};

use spanwise_sample::{SampleExt, Sampled, Sampler};
use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber, info, info_span,
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
};
use tracing_core::Interest;
use tracing_subscriber::{Layer, Registry, layer::Context, prelude::*};

/// Notes which of its methods are called.
#[derive(Clone, Default)]
struct Noted(Arc<Mutex<Vec<&'static str>>>);

impl Noted {
    fn note(&self, call: &'static str) {
        let mut calls = self.0.lock().unwrap();
        if !calls.contains(&call) {
            calls.push(call);
        }
    }
}

impl<S: Subscriber> Layer<S> for Noted {
    fn on_register_dispatch(&self, _: &Dispatch) {
        self.note("on_register_dispatch");
    }
    fn on_layer(&mut self, _: &mut S) {
        self.note("on_layer");
    }
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        self.note("register_callsite");
        Interest::sometimes()
    }
    fn enabled(&self, _: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.note("enabled");
        true
    }
    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.note("max_level_hint");
        Some(LevelFilter::DEBUG)
    }
    fn event_enabled(&self, _: &Event<'_>, _: Context<'_, S>) -> bool {
        self.note("event_enabled");
        true
    }
    fn on_new_span(&self, _: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.note("on_new_span");
    }
    fn on_record(&self, _: &Id, _: &Record<'_>, _: Context<'_, S>) {
        self.note("on_record");
    }
    fn on_follows_from(&self, _: &Id, _: &Id, _: Context<'_, S>) {
        self.note("on_follows_from");
    }
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        self.note("on_event");
    }
    fn on_enter(&self, _: &Id, _: Context<'_, S>) {
        self.note("on_enter");
    }
    fn on_exit(&self, _: &Id, _: Context<'_, S>) {
        self.note("on_exit");
    }
    fn on_close(&self, _: Id, _: Context<'_, S>) {
        self.note("on_close");
    }
    fn on_id_change(&self, _: &Id, _: &Id, _: Context<'_, S>) {
        self.note("on_id_change");
    }
}

fn log() {
    let span = info_span!("span", late = tracing::field::Empty);
    span.record("late", 1)
        .follows_from(info_span!("other").id());
    span.in_scope(|| info!("event"));
    assert!(tracing::enabled!(Level::INFO), "nothing is switched off");
}

const ALL_BUT_EVENTS: [&str; 12] = [
    "enabled",
    "event_enabled",
    "max_level_hint",
    "on_close",
    "on_enter",
    "on_exit",
    "on_follows_from",
    "on_layer",
    "on_new_span",
    "on_record",
    "on_register_dispatch",
    "register_callsite",
];

#[test]
fn a_sampled_layer_is_told_everything_but_the_events_that_are_left_out() {
    for (rules, gets_events) in [("info=1", true), ("info=0", false)] {
        let noted = Noted::default();
        let sampled: Sampled<Noted> = noted.clone().sampled(rules.parse().unwrap());
        let dispatch: Dispatch = tracing_subscriber::registry().with(sampled).into();
        assert!(dispatch.downcast_ref::<Sampled<Noted>>().is_some());
        assert!(dispatch.downcast_ref::<Noted>().is_some());
        assert!(dispatch.downcast_ref::<Sampler>().is_none());
        tracing::dispatcher::with_default(&dispatch, log);
        let mut calls = noted.0.lock().unwrap().clone();
        calls.sort_unstable();
        let mut expected = ALL_BUT_EVENTS.to_vec();
        if gets_events {
            expected.insert(5, "on_event");
        }
        assert_eq!(calls, expected);
    }
}

#[test]
fn an_id_change_is_passed_on() {
    // `Registry` never changes an id: call the method.
    struct Caller(Sampled<Noted>);
    impl Layer<Registry> for Caller {
        fn on_new_span(&self, _: &Attributes<'_>, id: &Id, ctx: Context<'_, Registry>) {
            self.0.on_id_change(id, id, ctx);
        }
    }
    let noted = Noted::default();
    let sampled = noted.clone().sampled(Sampler::builder().build());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(Caller(sampled)), || {
        let _span = info_span!("span");
    });
    assert!(noted.0.lock().unwrap().contains(&"on_id_change"));
}

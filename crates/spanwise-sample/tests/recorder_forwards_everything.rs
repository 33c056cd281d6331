//! A recorder passes on every call, and `downcast_raw` finds what is inside.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

use std::sync::{Arc, Mutex};

use spanwise_core::Layers;
use spanwise_sample::{Recorded, Recorder};
use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber, debug, info, info_span,
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
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.note(match *event.metadata().level() {
            Level::DEBUG => "on_event that is kept",
            _ => "on_event",
        });
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

/// Calls the method that `Registry` never does.
struct Caller(Layers<Registry>);

impl Layer<Registry> for Caller {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, ctx: Context<'_, Registry>) {
        self.0.on_id_change(id, id, ctx);
    }
}

#[test]
fn a_recorded_layer_is_told_everything() {
    let noted = Noted::default();
    let recorded = |noted: &Noted| -> Recorded<Noted> {
        Recorder::default().sink(std::io::sink, LevelFilter::INFO, |_| noted.clone())
    };
    let stack = tracing_subscriber::registry().with(recorded(&noted));
    let dispatch = Dispatch::new(stack);
    assert!(dispatch.downcast_ref::<Noted>().is_some());
    assert!(dispatch.downcast_ref::<Recorded<Noted>>().is_some());
    assert!(dispatch.downcast_ref::<String>().is_none());
    tracing::dispatcher::with_default(&dispatch, || {
        let span = info_span!("span", status = tracing::field::Empty);
        span.record("status", 1)
            .follows_from(info_span!("other").id());
        span.in_scope(|| {
            info!("event");
            debug!("kept");
        });
        assert!(tracing::enabled!(Level::INFO));
    });
    let mut list = Layers::<Registry>::default();
    list.push(recorded(&noted));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(Caller(list)), || {
        let _span = info_span!("span");
    });
    let mut calls = noted.0.lock().unwrap().clone();
    calls.sort_unstable();
    let expected = [
        "enabled",
        "event_enabled",
        "max_level_hint",
        "on_close",
        "on_enter",
        "on_event",
        "on_event that is kept",
        "on_exit",
        "on_follows_from",
        "on_id_change",
        "on_layer",
        "on_new_span",
        "on_record",
        "on_register_dispatch",
        "register_callsite",
    ];
    assert_eq!(calls, expected);
}

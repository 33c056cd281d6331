//! A layer for tests of wrappers, also in other crates.

use std::sync::{Arc, Mutex};

use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber,
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
};
use tracing_core::Interest;
use tracing_subscriber::{Layer, layer::Context};

/// Records the names of the methods that are called, each once.
#[derive(Clone, Default)]
pub struct CallRecorder(Arc<Mutex<Vec<&'static str>>>);

impl CallRecorder {
    pub fn all(&self) -> Vec<&'static str> {
        let mut calls = self.0.lock().unwrap().clone();
        calls.sort_unstable();
        calls
    }

    fn note(&self, call: &'static str) {
        let mut calls = self.0.lock().unwrap();
        if !calls.contains(&call) {
            calls.push(call);
        }
    }
}

impl<S: Subscriber> Layer<S> for CallRecorder {
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
            Level::DEBUG => "on_event at DEBUG",
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

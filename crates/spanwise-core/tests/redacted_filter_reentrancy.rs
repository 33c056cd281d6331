//! A per-layer filter stores its decision until the event arrives. Behind a policy, values are
//! formatted before the event arrives, and may log.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

mod support;

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use spanwise_core::LayerExt;
use support::redaction::NoHunter;
use tracing::{
    Event, Level, Subscriber, error, error_span, info, info_span,
    span::{Attributes, Id},
};
use tracing_subscriber::{Layer, filter::LevelFilter, layer::Context, prelude::*};

#[derive(Clone, Default)]
struct SeenCalls(Arc<Mutex<Vec<(Level, u32)>>>);

impl<S: Subscriber> Layer<S> for SeenCalls {
    fn on_new_span(&self, attrs: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let place = attrs.metadata().line().unwrap();
        self.0
            .lock()
            .unwrap()
            .push((*attrs.metadata().level(), place));
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let place = event.metadata().line().unwrap();
        self.0
            .lock()
            .unwrap()
            .push((*event.metadata().level(), place));
    }
}

struct Does(fn());

impl fmt::Debug for Does {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0();
        f.write_str("done")
    }
}

#[test]
fn redacted_filter_gets_only_what_it_enables() {
    let seen = SeenCalls::default();
    let filtered = seen.clone().with_filter(LevelFilter::ERROR);
    let stack = tracing_subscriber::registry()
        .with(filtered.redacted(Arc::new(NoHunter)))
        .with(SeenCalls::default());
    tracing::subscriber::set_global_default(stack).unwrap();
    let take = || std::mem::take(&mut *seen.0.lock().unwrap());

    error!(v = ?Does(|| { let _ = tracing::enabled!(Level::DEBUG); }), "asks");
    assert_eq!(take().len(), 1);
    info!(v = ?Does(|| error!("inner")), "logs an error");
    assert_eq!(take().len(), 1, "the inner one");
    info!(v = ?Does(|| info!("inner")), "logs what is not wanted");
    assert_eq!(take(), []);
    error!(v = ?Does(|| info!("inner")), "is wanted");
    assert_eq!(take().len(), 1);
    for _ in 0..3 {
        error!("plain");
        info!("plain");
    }
    assert_eq!(take().len(), 3);

    drop(info_span!("not wanted", v = ?Does(|| info!("inner"))));
    assert_eq!(take(), []);
    drop(info_span!("not wanted", v = ?Does(|| error!("inner"))));
    assert_eq!(take().len(), 1, "the inner event");
    drop(error_span!("wanted", v = ?Does(|| info!("inner"))));
    assert_eq!(take().len(), 1, "the span");
    drop(info_span!("not wanted", v = ?Does(|| drop(error_span!("inner", v = 1)))));
    assert_eq!(take().len(), 1, "the inner span");
    for _ in 0..3 {
        drop(error_span!("plain"));
        drop(info_span!("plain"));
    }
    assert_eq!(take().len(), 3);
}

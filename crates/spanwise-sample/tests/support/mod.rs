//! Sinks that collect or count their events.

#![allow(dead_code, reason = "each test takes what it needs")]
#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use serde_json::Value;
use spanwise_core::{EventContext, SelfReport};
use spanwise_json::JsonLayer;
pub(crate) use spanwise_testing::support::Lines;
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    Layer,
    layer::Context,
    registry::{LookupSpan, Registry},
};

/// [`Lines`] as the output of a layer.
pub(crate) trait LinesExt {
    fn layer<S>(&self) -> impl Layer<S> + Send + Sync + 'static + use<Self, S>
    where
        S: Subscriber + for<'s> LookupSpan<'s>;

    fn on_registry(&self) -> impl Layer<Registry> + Send + Sync + 'static + use<Self> {
        self.layer()
    }

    /// Takes the lines, and returns the value of `key` on each.
    fn take_each(&self, key: &str) -> Vec<Value>;
}

impl LinesExt for Lines {
    fn layer<S>(&self) -> impl Layer<S> + Send + Sync + 'static + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        JsonLayer::new()
            .report(&SelfReport::silent())
            .with_writer(self.clone())
    }

    fn take_each(&self, key: &str) -> Vec<Value> {
        let lines = self.take_objects().into_iter();
        lines.map(|line| line[key].clone()).collect()
    }
}

/// Counts its events, and the events they represent: an event 1 / `sample_rate`, a summary
/// `suppressed`.
#[derive(Clone, Default)]
pub(crate) struct Count(Arc<Counts>);

#[derive(Default)]
struct Counts {
    events: AtomicU64,
    represented: AtomicU64,
    summaries: AtomicU64,
}

impl Count {
    /// Returns the number of events, without summaries.
    pub(crate) fn events(&self) -> u64 {
        self.0.events.load(Ordering::Relaxed)
    }

    /// Returns the number of events that were logged.
    pub(crate) fn represented(&self) -> u64 {
        self.0.represented.load(Ordering::Relaxed)
    }

    pub(crate) fn summaries(&self) -> u64 {
        self.0.summaries.load(Ordering::Relaxed)
    }
}

impl<S: Subscriber> Layer<S> for Count {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let rate = EventContext::take().sample_rate;
        let Counts {
            events,
            represented,
            summaries,
        } = &*self.0;
        if event.metadata().fields().field("suppressed").is_some() {
            assert_eq!(rate, None);
            summaries.fetch_add(1, Ordering::Relaxed);
            let mut suppressed = Suppressed(0);
            event.record(&mut suppressed);
            represented.fetch_add(suppressed.0, Ordering::Relaxed);
        } else {
            events.fetch_add(1, Ordering::Relaxed);
            let others = rate.map_or(1, |rate| (1.0 / rate).round() as u64);
            represented.fetch_add(others, Ordering::Relaxed);
        }
    }
}

struct Suppressed(u64);

impl tracing::field::Visit for Suppressed {
    fn record_debug(&mut self, _: &tracing::field::Field, _: &dyn std::fmt::Debug) {}

    fn record_u64(&mut self, field: &tracing::field::Field, value: u64) {
        if field.name() == "suppressed" {
            self.0 = value;
        }
    }
}

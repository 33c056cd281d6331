//! Sinks that collect or count their events.

#![allow(dead_code, reason = "each test takes what it needs")]
#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use spanwise_core::{EventContext, SelfReport};
use spanwise_json::JsonLayer;
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    Layer,
    layer::Context,
    registry::{LookupSpan, Registry},
};

/// Waits for other threads, at most a minute.
pub(crate) fn wait_until(condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(60), "it never was");
        thread::yield_now();
    }
}

/// Collects the lines of a [`JsonLayer`].
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + Send + Sync + 'static + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let lines = self.clone();
        JsonLayer::new()
            .report(&SelfReport::silent())
            .with_writer(move || lines.clone())
    }

    pub(crate) fn on_registry(&self) -> impl Layer<Registry> + Send + Sync + 'static {
        self.layer()
    }

    pub(crate) fn take(&self) -> Vec<Value> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        let text = String::from_utf8(bytes).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Takes the lines, and returns the value of `key` on each.
    pub(crate) fn take_each(&self, key: &str) -> Vec<Value> {
        let lines = self.take().into_iter();
        lines.map(|line| line[key].clone()).collect()
    }
}

impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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

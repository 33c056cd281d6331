//! Sentry as a sink: the bytes that its server receives.

use std::{
    any::Any,
    io::Write,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use crate::receiver::Receiver;
use spanwise::{
    Builder, Telemetry,
    sentry::{Sentry, SentryBuilder, SentryLayer},
};
use spanwise_core::{Flush as _, Redact, SelfReport, SinkControl as _};
use tracing::{Event, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, Registry, layer::Context, registry::LookupSpan};

use crate::support::Lines;

/// The maximum time until everything arrives, even on a loaded machine.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(600);

fn patient(builder: SentryBuilder) -> SentryBuilder {
    builder
        .queue(usize::MAX, usize::MAX)
        .timeout(ARRIVAL_TIMEOUT)
        .dedup_window(Duration::ZERO)
        .traces_sample_rate(1.0)
}

pub fn layer(
    lines: Lines,
    policy: Arc<dyn Redact>,
    change: fn(SentryBuilder) -> SentryBuilder,
) -> Box<dyn Layer<Registry> + Send + Sync> {
    let receiver = Receiver::start();
    let builder = Sentry::builder(receiver.dsn().parse().expect("a DSN"))
        .redact(policy)
        .report(SelfReport::silent());
    let (layer, guard) = change(patient(builder)).build().expect("a layer");
    let sentry = guard.sentry();
    // The guard would not wait for long.
    let ending = Ending(Some(Box::new(move || {
        wait_until_sent(|deadline| sentry.flush_by(deadline).is_ok());
        sentry.shutdown_by(Instant::now() + ARRIVAL_TIMEOUT);
        write(&receiver, &mut lines.clone());
        drop(guard);
    })));
    Box::new(Sent {
        inner: layer,
        _ending: Mutex::new(ending),
    })
}

pub fn facade(mut out: impl Write + 'static + Send, builder: Builder) -> Box<dyn Any> {
    let receiver = Receiver::start();
    let telemetry: Telemetry = builder
        .levels(LevelFilter::TRACE)
        .sentry_dsn(receiver.dsn())
        .sentry(|sentry| patient(sentry).event_levels(LevelFilter::TRACE))
        .init()
        .expect("the first one");
    Box::new(Ending(Some(Box::new(move || {
        wait_until_sent(|_| telemetry.handle().flush(ARRIVAL_TIMEOUT));
        telemetry.shutdown(ARRIVAL_TIMEOUT);
        write(&receiver, &mut out);
    }))))
}

/// Flushes until everything is sent. One flush may not suffice, because it ends if a request fails,
/// for example on a loaded machine.
pub fn wait_until_sent(flush: impl Fn(Instant) -> bool) {
    let deadline = Instant::now() + ARRIVAL_TIMEOUT;
    while !flush(deadline) && Instant::now() < deadline {}
}

fn write(receiver: &Receiver, out: &mut dyn Write) {
    for body in receiver.bodies() {
        out.write_all(&body).expect("it is written");
    }
}

/// Calls a function when it is dropped.
struct Ending(Option<Box<dyn FnOnce() + Send>>);

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}

/// The layer, and a function to call when the layer is dropped.
struct Sent {
    inner: SentryLayer,
    _ending: Mutex<Ending>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Sent {
    spanwise_core::forward!(inner: on_register_dispatch, register_callsite, on_new_span, on_record, on_close);

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        self.inner.on_event(event, ctx);
    }
}

//! A collector as a sink: the bytes of spans, log records and metrics that it receives.

use std::{
    any::Any,
    fs::File,
    io::Write as _,
    time::{Duration, Instant},
};

use spanwise::{
    Builder, Telemetry,
    layer::TargetLevels,
    otel::{EventsInSpans, ExportOptions, OtelBuilder, SpanFields},
};
use tracing::level_filters::LevelFilter;

use crate::otlp_receiver::Receiver;

/// The maximum time until everything arrives, even on a loaded machine.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(600);

fn patient(builder: OtelBuilder) -> OtelBuilder {
    let levels: TargetLevels = "trace".parse().expect("a level");
    let queue = |signal: ExportOptions| {
        signal
            .max_queue_len(1_000_000)
            .queue_bytes(1 << 30)
            .timeout(ARRIVAL_TIMEOUT)
    };
    builder
        .all_signals(queue)
        .span_options(|spans| spans.levels(levels).events(EventsInSpans::All))
        .log_options(|logs| logs.span_fields(SpanFields::All))
}

pub fn facade(mut out: File, builder: Builder) -> Box<dyn Any> {
    let receiver = Receiver::start();
    let telemetry: Telemetry = builder
        .levels(LevelFilter::TRACE)
        .otlp_endpoint(receiver.endpoint())
        .otel(patient)
        .init()
        .expect("the first one");
    Box::new(Ending(Some(Box::new(move || {
        let deadline = Instant::now() + ARRIVAL_TIMEOUT;
        // One flush may not suffice, because it ends if a request fails, for example on a loaded
        // machine.
        while !telemetry.handle().flush(ARRIVAL_TIMEOUT) && Instant::now() < deadline {}
        telemetry.shutdown(ARRIVAL_TIMEOUT);
        for request in receiver.requests() {
            out.write_all(&request.body).expect("it is written");
        }
        // Numbers are not text in a request.
        let items = (receiver.logs(), receiver.spans(), receiver.metrics());
        write!(out, "{items:?}").expect("it is written");
    }))))
}

/// Calls a function when it is dropped.
struct Ending(Option<Box<dyn FnOnce()>>);

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}

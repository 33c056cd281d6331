//! `tracing-opentelemetry`: spans go to a collector, and lines have the ids of its traces.

use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use tracing::{Span, info, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let exporter = InMemorySpanExporter::default(); // in a service: that of opentelemetry-otlp
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let traces = tracing_opentelemetry::layer().with_tracer(provider.tracer("shop"));
    let _telemetry = spanwise::builder!()?.with(traces).init()?;

    info_span!("http.request", password = "hunter2").in_scope(|| {
        take_over_trace();
        info_span!("load").in_scope(|| info!("order loaded"));
    });

    provider.force_flush()?;
    for span in exporter.get_finished_spans()? {
        let trace_id = span.span_context.trace_id();
        info!(name = %span.name, otel.trace_id = %trace_id, attributes = ?span.attributes, "exported");
    }
    Ok(())
}

/// Has the lines of this unit of work name the trace that OpenTelemetry exports.
fn take_over_trace() {
    let context = Span::current().context();
    let span = context.span();
    let ids = span.span_context();
    if ids.is_valid() {
        spanwise::context::set("trace_id", ids.trace_id());
        spanwise::context::set("span_id", ids.span_id());
    }
}

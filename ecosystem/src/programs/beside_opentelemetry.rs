//! `tracing-opentelemetry`: spans go to a collector, and lines have the ids of its traces.

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Path, Request},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use tower::ServiceExt as _;
use tracing::{Span, info};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let exporter = InMemorySpanExporter::default(); // in a service: that of opentelemetry-otlp
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let traces = tracing_opentelemetry::layer().with_tracer(provider.tracer("shop"));
    let telemetry = spanwise::builder!()?.layer(traces).init()?;
    let app = Router::new()
        .route("/orders/{id}", get(order))
        .layer(middleware::from_fn(take_over_trace))
        .layer(telemetry.http_server());

    let request = Request::builder().uri("/orders/42").body(Body::empty())?;
    let response = app.oneshot(request).await?;
    to_bytes(response.into_body(), usize::MAX).await?;

    provider.force_flush()?;
    for span in exporter.get_finished_spans()? {
        let trace_id = span.span_context.trace_id();
        info!(name = %span.name, otel.trace_id = %trace_id, attributes = ?span.attributes, "exported");
    }
    Ok(())
}

/// Puts the ids of the trace that OpenTelemetry exports on the lines of this request.
async fn take_over_trace(request: Request, next: Next) -> Response {
    let context = Span::current().context();
    let ids = context.span().span_context().clone();
    if ids.is_valid() {
        spanwise::context::set("trace_id", ids.trace_id());
        spanwise::context::set("span_id", ids.span_id());
    }
    next.run(request).await
}

#[tracing::instrument(fields(password = "hunter2"))]
async fn order(Path(id): Path<u32>) -> String {
    info!("order loaded");
    format!("order {id}")
}

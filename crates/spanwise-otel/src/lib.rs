//! Traces, logs and metrics of a `tracing` service over OTLP.

mod api_attributes;
mod api_span;
mod api_value;
mod attributes;
mod batch;
mod builder;
mod destination;
mod endpoint;
mod entered_contexts;
mod error;
mod export_options;
mod exporter_handle;
#[cfg(feature = "grpc")]
mod grpc_transport;
#[cfg(feature = "gzip")]
mod gzip;
mod http_spans;
mod http_transport;
mod limits;
mod log_encoding;
mod log_layer;
mod log_options;
mod log_scratch;
mod log_writer;
mod logs;
mod maybe_redacted;
mod metrics;
mod open_span;
mod plan;
mod propagator;
mod protocol;
mod resource;
mod response;
mod retry_after;
mod server_text;
mod settings;
mod severity;
mod signal;
mod span_attributes;
mod span_collector;
mod span_event;
mod span_ext;
mod span_options;
mod span_pipeline;
mod span_scratch;
mod span_status;
mod spans;
mod tls;
mod trace_sampler;
mod trace_state;
mod tracer;
mod value;
mod wire;

pub use self::{
    api_span::OtelSpan,
    builder::OtelBuilder,
    error::{InvalidOption, OtelError},
    export_options::ExportOptions,
    exporter_handle::{Otel, OtelGuard, OtelStats, SendFailure, SignalStats},
    log_options::{LogOptions, SpanFields},
    log_writer::LogWriter,
    logs::OtelLogs,
    metrics::{
        HistogramAggregation, MetricTemporality, MetricsOptions, OtelEventCounts, OtelEventMetrics,
        OtelMeterProvider,
    },
    propagator::W3cPropagator,
    protocol::{Protocol, RequestCompression, SignalKind},
    settings::OtelSetting,
    span_ext::{SetParentError, SpanExt},
    span_options::{EventsInSpans, SpanOptions},
    spans::OtelSpans,
    trace_sampler::TraceSampler,
    tracer::{OtelTracer, OtelTracerProvider},
};
pub use opentelemetry;

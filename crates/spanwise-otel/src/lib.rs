//! Exports traces, logs and metrics of a `tracing` service over OTLP. The service's log lines have
//! the ids of the exported spans.
//!
//! ```
//! use std::time::Duration;
//!
//! use spanwise_otel::Otel;
//! use tracing_subscriber::prelude::*;
//!
//! # let server = std::net::TcpListener::bind("127.0.0.1:0")?;
//! # let collector = format!("http://{}", server.local_addr()?);
//! # drop(server);
//! let (otel, guard) = Otel::builder(collector).service_name("shop").build()?;
//! let subscriber = tracing_subscriber::registry()
//!     .with(otel.spans())
//!     .with(otel.logs());
//! # tracing::subscriber::with_default(subscriber, || {
//!
//! let request = tracing::info_span!("POST /pay", otel.kind = "server");
//! request.in_scope(|| {
//!     // Becomes a log record with the ids of the span, and marks the span as failed.
//!     tracing::error!("payment failed");
//! });
//! drop(request);
//! # });
//!
//! // At the end of `main`. No collector listens here, so the span and the record are lost.
//! let stats = guard.shutdown(Duration::from_secs(2));
//! assert_eq!((stats.traces.accepted, stats.traces.outcomes.lost()), (1, 1));
//! assert_eq!((stats.logs.accepted, stats.logs.outcomes.lost()), (1, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # When to use it
//!
//! Most services use it through the `spanwise` facade: enable its feature `otel` and set
//! `OTEL_EXPORTER_OTLP_ENDPOINT`. Use this crate for a `tracing` stack of your own. It reads no
//! environment variables, except those of the HTTP proxy. To support the standard variables, pass
//! their values to [`OtelBuilder::apply`]. [`OtelSetting::all`] lists these variables.
//!
//! This crate replaces `tracing-opentelemetry`, `opentelemetry-appender-tracing` and
//! `opentelemetry-otlp`. Use those crates if you need an exporter or a span processor of the SDK.
//!
//! # Behaviour
//!
//! * **Spans:** [`Otel::spans`] is the layer. Put it in front of layers that write lines, because
//!   they read the ids that it assigns. Integers that fit into `i64` stay integers, and a later
//!   `record` replaces a value. The fields `otel.name`, `otel.kind` and `otel.status_code` may be
//!   recorded until the span ends.
//! * **Logs:** [`Otel::logs`] exports events, with the ids of their spans.
//! * **Metrics:** The exporter measures HTTP requests, the process (on Linux) and itself. It also
//!   exports your metrics from the OpenTelemetry API. [`Otel::metrics_text`] returns the text for
//!   Prometheus.
//! * **OpenTelemetry API:** after [`Otel::install_globals`], `opentelemetry::global` has the
//!   tracers and meters of this exporter. API spans and spans of `tracing` nest in each other.
//!   [`SpanExt`] has `set_parent` and `context`. [`child_env`] passes the trace and the baggage of
//!   the current OpenTelemetry context to a child process.
//! * **Sampling:** [`TraceSampler`] decides by the trace id, as spanwise-sample does: equal ratios
//!   keep the same requests.
//! * **Redaction:** without a policy, secrets are exported as they are. The policy of
//!   [`OtelBuilder::redact`] sees each value before it is encoded, including values from
//!   [`SpanExt`] and from the OpenTelemetry API. A wrapper around the layer, such as `redacted` of
//!   spanwise-core, sees values of `tracing` only.
//!
//! # Limits
//!
//! Each exported signal has a queue and a sender thread. Other threads wait for the collector only
//! in a flush and in a shutdown. [`Otel::stats`] counts the data that the collector does not
//! accept, that exceeds the [queue](ExportOptions::max_queue_len), or that is lost at the shutdown.
//! A line on stderr reports the loss. By default, a span or record has at most 128 attributes. A
//! record has at most 64 KiB, and so have the attributes, events and links of a span together. One
//! value has at most 16 KiB. A forked child exports its own spans and records, and no metrics.
//!
//! # Features
//!
//! | feature | |
//! | --- | --- |
//! | `grpc` | OTLP over gRPC: [`Protocol::Grpc`] |
//! | `gzip` | compressed requests: [`RequestCompression::Gzip`] |
//! | `tokio` | metrics of a Tokio runtime: `Otel::observe_runtime` |
//!
//! # Troubleshooting
//!
//! See `docs/opentelemetry.md` in the repository.

mod api_attributes;
mod api_span;
mod api_value;
mod attributes;
mod batch;
mod builder;
mod carried_context;
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
mod option_checks;
mod otel_settings;
mod plan;
mod process_counter;
mod propagator;
mod protocol;
mod resource;
mod response;
mod retry_after;
mod server_text;
mod setting_texts;
mod severity;
mod signal;
mod span_attributes;
mod span_collector;
mod span_encoding;
mod span_event;
mod span_ext;
mod span_options;
mod span_pipeline;
mod span_placement;
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
    otel_settings::OtelSetting,
    propagator::W3cPropagator,
    protocol::{Protocol, RequestCompression, SignalKind},
    span_ext::{SetParentError, SpanExt},
    span_options::{EventsInSpans, SpanOptions},
    spans::OtelSpans,
    trace_sampler::TraceSampler,
    tracer::{OtelTracer, OtelTracerProvider},
};
pub use opentelemetry;
pub use spanwise_core::child_env;

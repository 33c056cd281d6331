//! Traces, logs and metrics of a `tracing` service over OTLP.

mod attributes;
mod batch;
mod builder;
mod destination;
mod endpoint;
mod error;
mod export_options;
#[cfg(feature = "grpc")]
mod grpc_transport;
mod http_transport;
mod limits;
mod log_encoding;
mod log_layer;
mod log_options;
mod log_scratch;
mod log_writer;
mod logs;
mod maybe_redacted;
mod otel;
mod plan;
mod protocol;
mod resource;
mod response;
mod retry_after;
mod sampler;
mod server_text;
mod severity;
mod signal;
mod span_attributes;
mod tls;
mod trace_state;
mod value;
mod wire;

pub use self::{
    builder::OtelBuilder,
    error::{InvalidOption, OtelError},
    export_options::ExportOptions,
    log_options::{LogOptions, SpanFields},
    log_writer::LogWriter,
    logs::OtelLogs,
    otel::{Otel, OtelGuard, OtelStats, SendFailure, SignalStats},
    protocol::{Compression, Protocol, SignalKind},
    sampler::Sampler,
};

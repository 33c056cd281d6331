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
mod otel;
mod plan;
mod protocol;
mod resource;
mod response;
mod retry_after;
mod sampler;
mod server_text;
mod signal;
mod tls;
mod trace_state;
mod value;
mod wire;

pub use self::{
    builder::OtelBuilder,
    error::{InvalidOption, OtelError},
    export_options::ExportOptions,
    otel::{Otel, OtelGuard, OtelStats, SendFailure, SignalStats},
    protocol::{Compression, Protocol, SignalKind},
    sampler::Sampler,
};

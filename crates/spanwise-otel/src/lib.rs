//! Traces, logs and metrics of a `tracing` service over OTLP.

mod batch;
mod destination;
mod endpoint;
mod http_transport;
mod protocol;
mod resource;
mod response;
mod retry_after;
mod server_text;
mod signal;
mod tls;
mod wire;

pub use protocol::{Compression, Protocol, SignalKind};

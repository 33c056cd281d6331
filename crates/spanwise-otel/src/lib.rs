//! Traces, logs and metrics of a `tracing` service over OTLP.

mod attributes;
mod batch;
mod limits;
mod log_encoding;
mod log_layer;
mod log_options;
mod log_scratch;
mod log_writer;
mod logs;
mod maybe_redacted;
mod plan;
mod severity;
mod signal;
mod span_attributes;
mod value;
mod wire;

pub use log_options::{LogOptions, SpanFields};
pub use log_writer::LogWriter;
pub use logs::OtelLogs;

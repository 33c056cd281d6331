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
mod sampler;
mod severity;
mod signal;
mod span_attributes;
mod trace_state;
mod value;
mod wire;

pub use self::{
    log_options::{LogOptions, SpanFields},
    log_writer::LogWriter,
    logs::OtelLogs,
    sampler::Sampler,
};

//! Traces, logs and metrics of a `tracing` service over OTLP.

mod batch;
mod sampler;
mod trace_state;
mod wire;

pub use self::sampler::Sampler;

//! Traces, logs and metrics of a `tracing` service over OTLP.

mod attributes;
mod batch;
mod limits;
mod plan;
mod sampler;
mod signal;
mod trace_state;
mod value;
mod wire;

pub use self::sampler::Sampler;

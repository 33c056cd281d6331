//! Traces, logs and metrics of a `tracing` service over OTLP.

mod attributes;
mod batch;
mod limits;
mod plan;
mod signal;
mod value;
mod wire;

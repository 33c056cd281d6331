//! Traces, logs and metrics of a `tracing` service over OTLP.

mod batch;
mod signal;
mod wire;

//! Traces, logs and metrics of a `tracing` service over OTLP.

mod api_value;
mod attributes;
mod batch;
mod limits;
mod metrics;
mod plan;
mod sampler;
mod signal;
mod trace_state;
mod value;
mod wire;

pub use self::{
    metrics::{HistogramAggregation, Meters, MetricTemporality, MetricsOptions},
    sampler::Sampler,
};

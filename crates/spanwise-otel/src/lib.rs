//! Traces, logs and metrics of a `tracing` service over OTLP.

mod api_value;
mod batch;
mod metrics;
mod wire;

pub use metrics::{HistogramAggregation, Meters, MetricTemporality, MetricsOptions};

//! Metrics of a Tokio runtime.

use opentelemetry::metrics::Meter;
use tokio::runtime::{Handle, RuntimeMetrics};

/// Registers the metrics that Tokio provides without `tokio_unstable`.
pub(crate) fn observe_runtime(meter: &Meter, runtime: &Handle) {
    let register = |name: &'static str, unit, description, read: fn(&RuntimeMetrics) -> usize| {
        let metrics = runtime.metrics();
        meter
            .i64_observable_up_down_counter(name)
            .with_unit(unit)
            .with_description(description)
            .with_callback(move |observed| {
                observed.observe(i64::try_from(read(&metrics)).unwrap_or(i64::MAX), &[]);
            })
            .build();
    };
    register(
        "tokio.runtime.workers",
        "{thread}",
        "The worker threads of the runtime.",
        RuntimeMetrics::num_workers,
    );
    register(
        "tokio.runtime.alive_tasks",
        "{task}",
        "The tasks that have not ended.",
        RuntimeMetrics::num_alive_tasks,
    );
    register(
        "tokio.runtime.global_queue.depth",
        "{task}",
        "The tasks that wait for a worker in the queue of all workers.",
        RuntimeMetrics::global_queue_depth,
    );
}

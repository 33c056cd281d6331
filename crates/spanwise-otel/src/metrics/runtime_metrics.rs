//! Metrics of a runtime of Tokio.

use opentelemetry::metrics::Meter;
use tokio::runtime::{Handle, RuntimeMetrics};

/// Registers the metrics, as far as Tokio has them without `tokio_unstable`.
pub(crate) fn observe_runtime(meter: &Meter, runtime: &Handle) {
    let observe = |name: &'static str, unit, text, read: fn(&RuntimeMetrics) -> usize| {
        let metrics = runtime.metrics();
        meter
            .i64_observable_up_down_counter(name)
            .with_unit(unit)
            .with_description(text)
            .with_callback(move |observed| {
                observed.observe(i64::try_from(read(&metrics)).unwrap_or(i64::MAX), &[]);
            })
            .build();
    };
    observe(
        "tokio.runtime.workers",
        "{thread}",
        "The worker threads of the runtime.",
        RuntimeMetrics::num_workers,
    );
    observe(
        "tokio.runtime.alive_tasks",
        "{task}",
        "The tasks that have not ended.",
        RuntimeMetrics::num_alive_tasks,
    );
    observe(
        "tokio.runtime.global_queue.depth",
        "{task}",
        "The tasks that wait for a worker in the queue of all workers.",
        RuntimeMetrics::global_queue_depth,
    );
}

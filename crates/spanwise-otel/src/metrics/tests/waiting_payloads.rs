//! Collections that wait for a server that fails.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use opentelemetry::metrics::MeterProvider as _;
use spanwise_core::{
    SelfReport, SinkStats,
    export::{Deliver, Delivery, ExportItem as _},
};

use super::{hourly, in_time, setup};
use crate::metrics::{MetricTemporality, Metrics, MetricsOptions, MetricsPayload, MetricsSetup};

/// Always fails, and stores the number of points of the last payload.
struct Failing(Arc<AtomicU64>);

impl Deliver<MetricsPayload> for Failing {
    fn deliver(&mut self, payload: &MetricsPayload) -> Delivery {
        self.0.store(payload.events(), Ordering::Relaxed);
        Delivery::Failed {
            reason: "planted".to_owned(),
            retry_after: None,
        }
    }
}

/// Collects `exports` times for a server that fails, and returns the number of points of one
/// collection and the counters.
fn fail(options: &MetricsOptions, exports: usize) -> (u64, SinkStats) {
    let report = SelfReport::silent();
    let points = Arc::new(AtomicU64::new(0));
    let delivered = Arc::clone(&points);
    let setup = MetricsSetup {
        new_transport: Some(Box::new(move || Box::new(Failing(Arc::clone(&delivered))))),
        ..setup(&report)
    };
    let metrics = Metrics::start(options, setup).unwrap();
    let counter = metrics
        .meter_provider()
        .meter("test")
        .u64_counter("sent")
        .build();
    for _ in 0..exports {
        counter.add(1, &[]);
        // Each collects. All end when the server fails.
        assert!(metrics.flush_by(metrics.hurry(), in_time()).is_err());
    }
    let stats = report.stats();
    let stats = stats.sinks.iter().find(|sink| sink.name == "otel metrics");
    (points.load(Ordering::Relaxed), stats.unwrap().clone())
}

#[test]
fn newer_totals_replace_older_ones() {
    let (points, stats) = fail(&hourly(), 4);
    assert!(points > 0);
    // The last one waits.
    assert_eq!(stats.shed.total(), 3 * points);
    assert_eq!(stats.delivered, 0);
}

#[test]
fn ten_changes_wait() {
    let options = hourly().temporality(MetricTemporality::Delta);
    let (_, stats) = fail(&options, 10);
    assert_eq!(stats.shed.total(), 0);
    let (_, stats) = fail(&options, 11);
    assert!(stats.shed.total() > 0);
}

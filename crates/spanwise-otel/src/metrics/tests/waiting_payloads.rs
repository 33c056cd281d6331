//! Payloads that wait in the queue while the server fails.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use opentelemetry::metrics::MeterProvider as _;
use spanwise_core::{
    SelfReport, SinkStats,
    export::{Deliver, Delivery, ExportItem as _},
};

use super::{hourly, setup, test_deadline};
use crate::metrics::{MetricTemporality, Metrics, MetricsOptions, MetricsPayload, MetricsSetup};

/// A transport that always fails. Stores the number of points of the last payload.
struct FailingTransport(Arc<AtomicU64>);

impl Deliver<MetricsPayload> for FailingTransport {
    fn deliver(&mut self, payload: &MetricsPayload) -> Delivery {
        self.0.store(payload.events(), Ordering::Relaxed);
        Delivery::Failed {
            reason: "planted".to_owned(),
            retry_after: None,
        }
    }
}

/// Exports `exports` times to a server that fails. Returns the number of points of the last payload
/// that the transport got, and the counters of the exporter.
fn export_to_failing_server(options: &MetricsOptions, exports: usize) -> (u64, SinkStats) {
    let report = SelfReport::silent();
    let points = Arc::new(AtomicU64::new(0));
    let last_points = Arc::clone(&points);
    let setup = MetricsSetup {
        new_transport: Some(Box::new(move || {
            Box::new(FailingTransport(Arc::clone(&last_points)))
        })),
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
        // Each flush collects, and ends when the server has failed.
        assert!(metrics.flush_by(metrics.hurry(), test_deadline()).is_err());
    }
    let stats = report.stats();
    let stats = stats.sinks.iter().find(|sink| sink.name == "otel metrics");
    (points.load(Ordering::Relaxed), stats.unwrap().clone())
}

#[test]
fn newer_totals_replace_older_ones() {
    let (points, stats) = export_to_failing_server(&hourly(), 4);
    assert!(points > 0);
    // The last payload waits. It has replaced the three before it.
    assert_eq!(stats.shed.total(), 3 * points);
    assert_eq!(stats.delivered, 0);
}

#[test]
fn ten_delta_payloads_wait() {
    let options = hourly().temporality(MetricTemporality::Delta);
    let (_, stats) = export_to_failing_server(&options, 10);
    assert_eq!(stats.shed.total(), 0);
    let (_, stats) = export_to_failing_server(&options, 11);
    assert!(stats.shed.total() > 0);
}

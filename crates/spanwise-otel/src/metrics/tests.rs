//! Tests of the metrics, of their encodings, and of the collecting thread.

mod callback_faults;
mod event_fields;
mod http_series;
mod otlp_equality;
mod scrapes;
mod text_equality;
mod text_parser;
mod waiting_payloads;

use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    metrics::v1::{Metric, metric::Data, number_data_point},
};
use prost::Message as _;
use spanwise_core::{
    Clock, Redact, SelfReport, SinkStats,
    export::{Deliver, Delivery},
};

use crate::{Protocol, SignalKind, destination::ExportRequest as _, resource::Resource};

use super::{Metrics, MetricsOptions, MetricsPayload, MetricsSetup, OBSERVATION_TIMEOUT};

/// The timeout of a wait. A test that passes waits much less.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Metrics that are exported to a server in this process.
struct Collector {
    /// The decoded requests that the server got.
    received: Receiver<ExportMetricsServiceRequest>,
    metrics: Metrics,
    report: SelfReport,
}

/// A transport that decodes each payload, as a server does, and passes it to the test.
struct DecodingTransport(Sender<ExportMetricsServiceRequest>);

impl Deliver<MetricsPayload> for DecodingTransport {
    fn deliver(&mut self, payload: &MetricsPayload) -> Delivery {
        let request = ExportMetricsServiceRequest::decode(&*payload.request(&[])).unwrap();
        // The test may be over.
        let _ = self.0.send(request);
        Delivery::Delivered
    }
}

/// Returns options with an interval of one hour, so that metrics are exported on request only.
fn hourly() -> MetricsOptions {
    MetricsOptions::default().interval(Duration::from_secs(60 * 60))
}

fn collector(options: &MetricsOptions) -> Collector {
    collector_with_policy(options, None)
}

fn collector_with_policy(options: &MetricsOptions, policy: Option<Arc<dyn Redact>>) -> Collector {
    let (sender, received) = mpsc::channel();
    let report = SelfReport::silent();
    let setup = MetricsSetup {
        policy,
        new_transport: Some(Box::new(move || {
            Box::new(DecodingTransport(sender.clone()))
        })),
        ..setup(&report)
    };
    Collector {
        received,
        metrics: Metrics::start(options, setup).unwrap(),
        report,
    }
}

/// Returns the arguments of metrics that are not exported.
fn setup(report: &SelfReport) -> MetricsSetup {
    MetricsSetup {
        resource: Resource::new(Vec::new()),
        policy: None,
        report: report.clone(),
        clock: Clock::system(),
        new_transport: None,
        protocols: vec![(SignalKind::Metrics, Protocol::HttpProtobuf)],
        observation_timeout: OBSERVATION_TIMEOUT,
        queues: Vec::new(),
    }
}

fn test_deadline() -> Instant {
    Instant::now() + TEST_TIMEOUT
}

impl Collector {
    /// Exports the current values, and returns the last request that the server got.
    #[track_caller]
    fn export_now(&self) -> ExportMetricsServiceRequest {
        self.metrics
            .flush_by(self.metrics.hurry(), test_deadline())
            .unwrap();
        self.received.try_iter().last().unwrap()
    }

    /// Returns the counters of the exporter.
    fn stats(&self) -> SinkStats {
        let sinks = self.report.stats().sinks;
        let metrics = sinks.into_iter().find(|sink| sink.name == "otel metrics");
        metrics.unwrap()
    }
}

/// Returns the metric of this name.
fn metric<'r>(request: &'r ExportMetricsServiceRequest, name: &str) -> Option<&'r Metric> {
    let scopes = request
        .resource_metrics
        .iter()
        .flat_map(|r| &r.scope_metrics);
    scopes
        .flat_map(|scope| &scope.metrics)
        .find(|metric| metric.name == name)
}

/// Returns the values of a gauge or sum.
#[track_caller]
fn values(request: &ExportMetricsServiceRequest, name: &str) -> Vec<f64> {
    let points = match &metric(request, name).unwrap().data {
        Some(Data::Gauge(gauge)) => &gauge.data_points,
        Some(Data::Sum(sum)) => &sum.data_points,
        other => panic!("{other:?}"),
    };
    let value = |value: &Option<number_data_point::Value>| match value {
        Some(number_data_point::Value::AsInt(value)) => *value as f64,
        Some(number_data_point::Value::AsDouble(value)) => *value,
        None => panic!("{name} has no value"),
    };
    points.iter().map(|point| value(&point.value)).collect()
}

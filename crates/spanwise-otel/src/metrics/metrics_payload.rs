//! One collection on its way to the server.

use spanwise_core::export::ExportItem;
use tracing_core::Level;

use super::{otlp_metrics::metrics_request, snapshot::Snapshot};

/// An encoded `ExportMetricsServiceRequest`.
#[derive(Debug)]
pub(crate) struct MetricsPayload {
    request: Vec<u8>,
    /// The number of data points.
    points: u64,
}

impl MetricsPayload {
    /// `resource` is an encoded `Resource`.
    pub(crate) fn new(snapshot: &Snapshot, resource: &[u8]) -> Self {
        Self {
            request: metrics_request(snapshot, resource),
            points: snapshot.points() as u64,
        }
    }

    pub(crate) fn request(&self) -> &[u8] {
        &self.request
    }
}

impl ExportItem for MetricsPayload {
    fn events(&self) -> u64 {
        self.points
    }

    fn bytes(&self) -> usize {
        self.request.len()
    }

    fn level(&self) -> Level {
        Level::INFO
    }
}

//! One collection on its way to the server.

use spanwise_core::export::ExportItem;
use tracing_core::Level;

use super::{
    otlp_metrics::{metrics_request, scope_metrics},
    snapshot::Snapshot,
};
use crate::destination::ExportRequest;

/// The encoded metrics of all scopes.
#[derive(Debug)]
pub(crate) struct MetricsPayload {
    scope_metrics: Vec<u8>,
    /// The number of data points.
    points: u64,
}

impl MetricsPayload {
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        Self {
            scope_metrics: scope_metrics(snapshot),
            points: snapshot.points() as u64,
        }
    }
}

impl ExportRequest for MetricsPayload {
    fn request(&self, resource: &[u8]) -> Vec<u8> {
        metrics_request(resource, &self.scope_metrics)
    }
}

impl ExportItem for MetricsPayload {
    fn events(&self) -> u64 {
        self.points
    }

    fn bytes(&self) -> usize {
        self.scope_metrics.len()
    }

    fn level(&self) -> Level {
        Level::INFO
    }
}

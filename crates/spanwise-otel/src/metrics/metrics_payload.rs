//! The encoded metrics of one collection, on their way to the server.

use spanwise_core::export::ExportItem;
use tracing_core::Level;

use super::{
    otlp_metrics::{EncodedMetric, encoded_metrics, metrics_request},
    snapshot::Snapshot,
};
use crate::destination::ExportRequest;

/// The encoded metrics of all scopes.
#[derive(Debug)]
pub(crate) struct MetricsPayload(Vec<EncodedMetric>);

impl MetricsPayload {
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        Self(encoded_metrics(snapshot))
    }
}

impl ExportRequest for MetricsPayload {
    fn request(&self, resource: &[u8]) -> Vec<u8> {
        metrics_request(resource, &self.0)
    }
}

impl ExportItem for MetricsPayload {
    /// Returns the number of data points.
    fn events(&self) -> u64 {
        self.0.iter().map(|metric| metric.points).sum()
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(EncodedMetric::bytes).sum()
    }

    fn level(&self) -> Level {
        Level::INFO
    }

    /// A single metric is not split.
    fn split(mut self) -> Result<(Self, Self), Self> {
        if self.0.len() < 2 {
            return Err(self);
        }
        let second = self.0.split_off(self.0.len() / 2);
        Ok((self, Self(second)))
    }
}

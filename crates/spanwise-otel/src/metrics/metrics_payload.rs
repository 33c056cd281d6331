//! The item of the export queue for metrics: those of one collection, encoded.

use spanwise_core::export::ExportItem;
use tracing_core::Level;

use super::{
    otlp_metrics::{EncodedMetric, encoded_metrics, metrics_request},
    snapshot::Snapshot,
};
use crate::destination::ExportRequest;

/// The encoded metrics of one collection, or a part of them after a split.
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
        self.0.iter().map(|metric| metric.point_count).sum()
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(EncodedMetric::bytes).sum()
    }

    fn level(&self) -> Level {
        Level::INFO
    }

    /// Splits between metrics. The points of one metric stay together.
    fn split(mut self) -> Result<(Self, Self), Self> {
        if self.0.len() < 2 {
            return Err(self);
        }
        let second = self.0.split_off(self.0.len() / 2);
        Ok((self, Self(second)))
    }
}

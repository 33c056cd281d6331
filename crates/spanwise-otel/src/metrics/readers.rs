//! The SDK's provider of meters, and the readers that collect the values of its instruments.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{
        Aggregation, Instrument, InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Stream,
        Temporality, data::ResourceMetrics, reader::MetricReader,
    },
};

use super::metrics_options::{HistogramAggregation, MetricTemporality, MetricsOptions};

/// An exponential histogram has at most this number of buckets on each side of zero.
pub(crate) const MAX_BUCKETS: u32 = 160;

/// The readers of a provider of meters. Both may be the same reader.
#[derive(Debug)]
pub(crate) struct Readers {
    /// Collects the values that are exported.
    pub(crate) export: SharedReader,
    /// Collects the values that are shown as text, which count from the start. `None` if metrics
    /// are not available as text.
    pub(crate) text: Option<SharedReader>,
}

impl Readers {
    /// Creates a provider with its readers. A second reader doubles the cost of each measurement.
    /// So the text has a reader of its own only if exports are not cumulative and the text is
    /// requested.
    pub(crate) fn new(options: &MetricsOptions) -> (SdkMeterProvider, Self) {
        let temporality = match options.temporality {
            MetricTemporality::Cumulative => Temporality::Cumulative,
            MetricTemporality::Delta => Temporality::Delta,
            MetricTemporality::LowMemory => Temporality::LowMemory,
        };
        let export = SharedReader::new(temporality);
        // Set an empty resource, because the default one reads the environment.
        let mut provider = SdkMeterProvider::builder()
            .with_resource(Resource::builder_empty().build())
            .with_reader(export.clone());
        let text = if temporality == Temporality::Cumulative {
            Some(export.clone())
        } else if options.exposes_prometheus_text() {
            let reader = SharedReader::new(Temporality::Cumulative);
            provider = provider.with_reader(reader.clone());
            Some(reader)
        } else {
            None
        };
        if options.histograms == HistogramAggregation::Base2Exponential {
            provider = provider.with_view(exponential_view);
        }
        (provider.build(), Self { export, text })
    }
}

/// The view that gives histograms exponential buckets, with the limits that OpenTelemetry
/// specifies.
fn exponential_view(instrument: &Instrument) -> Option<Stream> {
    (instrument.kind() == InstrumentKind::Histogram)
        .then(|| {
            let stream =
                Stream::builder().with_aggregation(Aggregation::Base2ExponentialHistogram {
                    max_size: MAX_BUCKETS,
                    max_scale: 20,
                    record_min_max: true,
                });
            stream.build().ok()
        })
        .flatten()
}

/// A reader that the provider and this crate share.
#[derive(Debug, Clone)]
pub(crate) struct SharedReader(Arc<ManualReader>);

impl SharedReader {
    fn new(temporality: Temporality) -> Self {
        Self(Arc::new(
            ManualReader::builder()
                .with_temporality(temporality)
                .build(),
        ))
    }

    /// Collects the values of all instruments. Returns none after the shutdown of the provider.
    pub(crate) fn collect_all(&self) -> ResourceMetrics {
        let mut metrics = ResourceMetrics::default();
        // An error leaves `metrics` empty.
        let _ = self.0.collect(&mut metrics);
        metrics
    }
}

impl MetricReader for SharedReader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

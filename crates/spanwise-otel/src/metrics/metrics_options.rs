//! The options of metrics: when they are exported, in which form, and where they are served.

use std::time::Duration;

use spanwise_core::ParseError;

use crate::{InvalidOption, SignalKind};

/// The minimum time between two exports. Shorter intervals would keep the collecting thread busy.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// Options of the collection and export of metrics. See
/// [`OtelBuilder::metrics_options`](crate::OtelBuilder::metrics_options).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsOptions {
    pub(crate) interval: Duration,
    pub(crate) temporality: MetricTemporality,
    pub(crate) histograms: HistogramAggregation,
    pub(crate) prometheus: Option<(String, u16)>,
    pub(crate) text: bool,
}

/// Whether the exported values count from the start or from the last export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricTemporality {
    /// All values count from the start.
    #[default]
    Cumulative,
    /// Counters and histograms count from the last export. Up-down counters count from the start.
    Delta,
    /// Synchronous counters and histograms count from the last export. Observable counters and
    /// up-down counters count from the start.
    LowMemory,
}

/// The kind of buckets that histograms have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HistogramAggregation {
    /// The bounds that the instrument advises, or the default ones of OpenTelemetry.
    #[default]
    Explicit,
    /// At most 160 buckets on each side of zero. Their bounds are powers of a base that fits the
    /// values.
    Base2Exponential,
}

impl MetricsOptions {
    /// Sets the time between two exports: at least one second. Defaults to one minute.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets from when the exported values count. Defaults to [`MetricTemporality::Cumulative`].
    #[must_use]
    pub fn temporality(mut self, temporality: MetricTemporality) -> Self {
        self.temporality = temporality;
        self
    }

    /// Sets the buckets of histograms. Defaults to [`HistogramAggregation::Explicit`].
    #[must_use]
    pub fn histograms(mut self, histograms: HistogramAggregation) -> Self {
        self.histograms = histograms;
        self
    }

    /// Makes metrics always available as text from
    /// [`Otel::metrics_text`](crate::Otel::metrics_text). By default, they are available only if
    /// they are exported with [`MetricTemporality::Cumulative`], or served by
    /// [`prometheus`](Self::prometheus).
    #[must_use]
    pub fn text(mut self) -> Self {
        self.text = true;
        self
    }

    /// Returns the option that is not valid, if there is one.
    pub(crate) fn invalid(&self) -> Option<InvalidOption> {
        (self.interval < MIN_INTERVAL).then(|| InvalidOption {
            signal: Some(SignalKind::Metrics),
            option: "interval",
            error: ParseError::new(format!(
                "an interval of {:?} is too short: set at least 1 second",
                self.interval
            )),
        })
    }

    /// Returns whether [`text`](Self::text) or [`prometheus`](Self::prometheus) is set.
    pub(crate) fn exposes_prometheus_text(&self) -> bool {
        self.text || self.prometheus.is_some()
    }

    /// Serves `GET /metrics` for Prometheus on this host and port. Defaults to no listener.
    ///
    /// With port 0, the system chooses a free port. The served values count from the start,
    /// whatever the temporality of the exports is.
    #[must_use]
    pub fn prometheus(mut self, host: impl Into<String>, port: u16) -> Self {
        self.prometheus = Some((host.into(), port));
        self
    }
}

impl Default for MetricsOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            temporality: MetricTemporality::default(),
            histograms: HistogramAggregation::default(),
            prometheus: None,
            text: false,
        }
    }
}

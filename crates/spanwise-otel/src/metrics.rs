//! Metrics: instruments of the OpenTelemetry API, exported over OTLP and as text for Prometheus.
//!
//! The SDK aggregates the measurements. At each interval, the *collecting thread* of this crate
//! runs the callbacks of instruments, collects the values, and encodes them as a *payload*. The
//! sender thread of the exporter sends the payloads.

mod attribute_policy;
mod collection;
mod distributions;
mod event_metrics;
mod http_metrics;
mod meter_provider;
mod metrics_options;
mod metrics_payload;
mod otlp_metrics;
mod own_metrics;
#[cfg(target_os = "linux")]
mod process_metrics;
mod prometheus_names;
mod prometheus_text;
mod readers;
#[cfg(feature = "tokio")]
mod runtime_metrics;
mod scrape_listener;
mod snapshot;

use std::{
    collections::HashSet,
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use opentelemetry::{
    InstrumentationScope, KeyValue,
    metrics::{Meter, MeterProvider as _},
};
use spanwise_core::{
    Clock, Fault, Redact, SelfReport,
    export::{Deliver, ExportItem as _, Exporter, ExporterOptions, QueueLimits},
    internal::{forks, panic_safe, sync::Mutex},
};

use self::{
    collection::CollectionSchedule,
    event_metrics::EventCounts,
    prometheus_text::{MetricsText, TextFormat, metrics_text},
    readers::Readers,
    scrape_listener::ScrapeListener,
    snapshot::Snapshot,
};
use crate::{
    OtelError, Protocol, SignalKind, SignalStats,
    resource::{Resource, ResourceValue},
};

pub(crate) use self::{
    collection::RequestedExport,
    http_metrics::HttpMetrics,
    metrics_payload::MetricsPayload,
    own_metrics::{QueueState, ReadQueue},
};
pub use self::{
    event_metrics::{OtelEventCounts, OtelEventMetrics},
    meter_provider::OtelMeterProvider,
    metrics_options::{HistogramAggregation, MetricTemporality, MetricsOptions},
};

/// The default of [`MetricsSetup::observation_timeout`].
pub(crate) const OBSERVATION_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a scrape waits for callbacks. It then shows older observations of those that have not
/// returned, as far as [`MetricsSetup::observation_timeout`] allows.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(4);

/// The limits of the export queue. Payloads may take half of the items and bytes, because only
/// urgent items may take all of them.
const QUEUE_LIMITS: QueueLimits = QueueLimits {
    items: 4 * MAX_WAITING_DELTAS,
    events: u64::MAX,
    bytes: 2 * 16 * 1024 * 1024,
    max_age: Duration::from_secs(10 * 60),
};

/// The maximum number of waiting payloads if their values count from the last export. If values
/// count from the start, only the newest payload waits, because it replaces the earlier ones.
const MAX_WAITING_DELTAS: usize = 10;

/// The SDK's default limit of the series (different sets of attributes) of a metric.
const MAX_SERIES: usize = 2000;
/// The attribute of the series in which the SDK counts all sets of attributes beyond the limit.
const OVERFLOW_ATTRIBUTE: &str = "otel.metric.overflow";

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Returns the content type and the text of a scrape without metrics.
pub(crate) fn empty_text(accept: Option<&str>) -> (&'static str, String) {
    let format = TextFormat::accepted(accept);
    let empty = metrics_text(&Snapshot::default(), &[], format);
    (format.content_type(), empty.text)
}

/// Creates a transport, once for the sender thread of each process.
pub(crate) type NewTransport =
    Box<dyn Fn() -> Box<dyn Deliver<MetricsPayload>> + Send + Sync + 'static>;

/// The arguments of [`Metrics::start`] besides the options.
pub(crate) struct MetricsSetup {
    pub(crate) resource: Resource,
    pub(crate) policy: Option<Arc<dyn Redact>>,
    pub(crate) report: SelfReport,
    pub(crate) clock: Clock,
    /// `None` if metrics are only scraped.
    pub(crate) new_transport: Option<NewTransport>,
    /// The signals that are exported, each with its protocol.
    pub(crate) protocols: Vec<(SignalKind, Protocol)>,
    /// If a run of all callbacks takes longer than this, observations of earlier runs are not
    /// exported until the run ends.
    pub(crate) observation_timeout: Duration,
    /// The queues of the other signals.
    pub(crate) queues: Vec<ReadQueue>,
}

/// The metrics of a process. Dropping it ends its threads.
#[derive(Debug)]
pub(crate) struct Metrics {
    shared: Arc<Shared>,
    /// The meter for the metrics that this crate defines.
    meter: Meter,
    event_counts: OnceLock<Arc<EventCounts>>,
    listener: Mutex<Option<ScrapeListener>>,
}

struct Shared {
    meter_provider: OtelMeterProvider,
    readers: Readers,
    /// The maximum number of payloads that wait in the queue.
    max_waiting: usize,
    schedule: CollectionSchedule,
    exporter: Option<Exporter<MetricsPayload, ()>>,
    /// The number of data points that were queued.
    accepted: AtomicU64,
    /// The labels of the metric `target_info`: the attributes of the resource.
    target_info: Vec<KeyValue>,
    policy: Option<Arc<dyn Redact>>,
    report: SelfReport,
    /// The faults of metrics that were reported, as texts with the name of the metric.
    reported_faults: Mutex<HashSet<String>>,
    /// The [generation](forks::generation) of the process that has the threads. A forked child has
    /// no threads, and exports no metrics.
    generation: u32,
}

impl Metrics {
    /// Starts the threads.
    ///
    /// # Errors
    /// The address of the listener cannot be bound, or a thread cannot be started.
    pub(crate) fn start(options: &MetricsOptions, setup: MetricsSetup) -> Result<Self, OtelError> {
        let (sdk, readers) = Readers::new(options);
        let max_waiting = match options.temporality {
            MetricTemporality::Cumulative => 1,
            MetricTemporality::Delta | MetricTemporality::LowMemory => MAX_WAITING_DELTAS,
        };
        let exporter = setup.new_transport.map(|new_transport| {
            let mut exporter = ExporterOptions::new(
                SignalKind::Metrics.sink_name(),
                SignalKind::Metrics.collector(),
            );
            exporter.limits = QUEUE_LIMITS;
            exporter.report = setup.report.clone();
            exporter.clock = setup.clock.clone();
            Exporter::new(exporter, new_transport, || ())
        });
        if let Some(exporter) = &exporter {
            exporter.start(None).map_err(OtelError::Thread)?;
        }
        let shared = Arc::new(Shared {
            meter_provider: OtelMeterProvider::new(
                sdk,
                setup.report.clone(),
                setup.observation_timeout,
            ),
            readers,
            max_waiting,
            // Without exports, callbacks run only for a scrape.
            schedule: CollectionSchedule::new(exporter.is_some().then_some(options.interval)),
            accepted: AtomicU64::new(0),
            exporter,
            target_info: target_info_labels(&setup.resource),
            policy: setup.policy,
            report: setup.report,
            reported_faults: Mutex::default(),
            generation: forks::generation(),
        });
        let scope = InstrumentationScope::builder("spanwise").with_version(VERSION);
        let meter = shared.meter_provider.meter_with_scope(scope.build());
        own_metrics::observe_sinks(&meter, &shared.report, &setup.protocols);
        let mut queues = setup.queues;
        let weak = Arc::downgrade(&shared);
        queues.push(Arc::new(move || weak.upgrade()?.queue_state()));
        own_metrics::observe_queues(&meter, queues);
        own_metrics::observe_reloads(&meter, &shared.report);
        #[cfg(target_os = "linux")]
        process_metrics::observe_process(&meter);
        let metrics = Self {
            shared: Arc::clone(&shared),
            meter,
            event_counts: OnceLock::new(),
            listener: Mutex::default(),
        };
        if let Some((host, port)) = &options.prometheus {
            let shared = Arc::clone(&shared);
            let text = move |accept: Option<&str>| shared.text(accept);
            let listener = ScrapeListener::start(host, *port, Box::new(text)).map_err(|error| {
                let text = format!("cannot serve metrics on {host}:{port}: {error}");
                OtelError::Listener(io::Error::new(error.kind(), text))
            })?;
            *metrics.listener.lock() = Some(listener);
        }
        thread::Builder::new()
            .name("spanwise-otel-collection".to_owned())
            .spawn(move || shared.run())
            .map_err(OtelError::Thread)?;
        Ok(metrics)
    }

    /// Returns the provider of meters.
    pub(crate) fn meter_provider(&self) -> &OtelMeterProvider {
        &self.shared.meter_provider
    }

    /// Returns an observer that measures HTTP requests.
    pub(crate) fn http(&self) -> HttpMetrics {
        HttpMetrics::new(&self.meter)
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn observe_runtime(&self, runtime: &tokio::runtime::Handle) {
        runtime_metrics::observe_runtime(&self.meter, runtime);
    }

    /// Returns a layer that counts events by level.
    pub(crate) fn event_counts(&self) -> OtelEventCounts {
        OtelEventCounts::new(self.shared_event_counts())
    }

    /// Returns a layer that counts events by level, and makes metrics of their fields.
    pub(crate) fn event_metrics(&self) -> OtelEventMetrics {
        let meter = self.shared.meter_provider.meter("spanwise.events");
        let Shared { report, policy, .. } = &*self.shared;
        OtelEventMetrics::new(
            self.shared_event_counts(),
            meter,
            report.clone(),
            policy.clone(),
        )
    }

    /// Returns the counts that all layers share. Registers them on the first call.
    fn shared_event_counts(&self) -> Arc<EventCounts> {
        let counts = self
            .event_counts
            .get_or_init(|| EventCounts::register(&self.meter));
        Arc::clone(counts)
    }

    /// Returns the content type and the metrics as text, in the format that a client with this
    /// `Accept` header prefers.
    pub(crate) fn text(&self, accept: Option<&str>) -> (&'static str, String) {
        self.shared.text(accept)
    }

    /// Returns the address of the listener for Prometheus.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.listener.lock().as_ref().map(ScrapeListener::address)
    }

    /// Returns the counts of this process.
    pub(crate) fn stats(&self) -> SignalStats {
        let exporter = self.shared.exporter.as_ref();
        let Some(process) = exporter.and_then(Exporter::existing) else {
            return SignalStats::default();
        };
        SignalStats {
            accepted: self.shared.accepted.load(Ordering::Relaxed),
            waiting_bytes: process.queue.held_bytes(),
            outcomes: process.queue.counters().stats(),
            last_failure: None,
        }
    }

    /// Starts to collect and to send, without waiting. Returns the export to wait for, or `None` if
    /// this process exports no metrics.
    pub(crate) fn hurry(&self) -> Option<RequestedExport> {
        let exporter = self.shared.exporter_with_threads()?;
        let export = self.shared.schedule.request_export();
        exporter.current().queue.hurry();
        Some(export)
    }

    /// Waits until `export` is collected, and all payloads are sent.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] if the deadline comes first or the server fails.
    pub(crate) fn flush_by(
        &self,
        export: Option<RequestedExport>,
        deadline: Instant,
    ) -> io::Result<()> {
        let (Some(exporter), Some(export)) = (self.shared.exporter_with_threads(), export) else {
            return Ok(());
        };
        let is_collected = self.shared.schedule.wait_exported(export, deadline);
        exporter.current().queue.flush(deadline)?;
        if is_collected {
            return Ok(());
        }
        let text = "not all metrics were collected";
        Err(io::Error::new(io::ErrorKind::TimedOut, text))
    }

    /// Waits until `export` is collected, sends payloads until `deadline`, and counts the remaining
    /// ones as lost.
    pub(crate) fn shutdown_by(&self, export: Option<RequestedExport>, deadline: Instant) {
        if !self.shared.has_threads() {
            return;
        }
        self.listener.lock().take();
        if let Some(exporter) = &self.shared.exporter {
            // Wait at most half of the time, so that there is time left to send if a callback
            // hangs.
            let time_left = deadline.saturating_duration_since(Instant::now());
            if let Some(export) = export {
                let schedule = &self.shared.schedule;
                schedule.wait_exported(export, Instant::now() + time_left / 2);
            }
            self.shared.schedule.end();
            exporter.shutdown_by(deadline);
        } else {
            self.shared.schedule.end();
        }
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        if self.shared.has_threads() {
            self.shared.schedule.end();
            if let Some(exporter) = &self.shared.exporter {
                exporter.shutdown_by(Instant::now());
            }
        }
    }
}

impl Shared {
    /// Runs the collecting thread until the schedule ends.
    fn run(&self) {
        while let Some(collection) = self.schedule.next() {
            self.meter_provider.observe();
            if collection.includes_export {
                // The policy may panic: it can be code of the application.
                panic_safe::catch_panic(|| self.export());
            }
            self.schedule.done(collection);
        }
    }

    /// Collects the values, and queues them as a payload.
    fn export(&self) {
        let Some(exporter) = &self.exporter else {
            return;
        };
        let snapshot = Snapshot::new(&self.readers.export.collect_all(), self.policy.as_deref());
        self.report_overflows(&snapshot);
        if snapshot.point_count() > 0 {
            let payload = MetricsPayload::new(&snapshot);
            self.accepted.fetch_add(payload.events(), Ordering::Relaxed);
            let queue = &exporter.current().queue;
            queue.push_newest(payload, self.max_waiting);
        }
    }

    fn queue_state(&self) -> Option<QueueState> {
        let queue = &self.exporter.as_ref()?.existing()?.queue;
        Some(QueueState {
            sink: SignalKind::Metrics.sink_name(),
            records: None,
            bytes: queue.held_bytes(),
            retries: queue.retries(),
        })
    }

    /// Returns the exporter, if this process has its threads.
    fn exporter_with_threads(&self) -> Option<&Exporter<MetricsPayload, ()>> {
        self.exporter.as_ref().filter(|_| self.has_threads())
    }

    /// Returns whether this is the process that has the threads. In a forked child, locks of the
    /// SDK may stay locked, because the threads that hold them do not exist there.
    fn has_threads(&self) -> bool {
        forks::generation() == self.generation
    }

    fn text(&self, accept: Option<&str>) -> (&'static str, String) {
        let format = TextFormat::accepted(accept);
        let snapshot = match &self.readers.text {
            Some(reader) if self.has_threads() => {
                let deadline = Instant::now() + SCRAPE_TIMEOUT;
                self.schedule.observe(deadline);
                Snapshot::new(&reader.collect_all(), self.policy.as_deref())
            }
            _ => Snapshot::default(),
        };
        self.report_overflows(&snapshot);
        let MetricsText { text, omitted } = metrics_text(&snapshot, &self.target_info, format);
        for name in omitted {
            self.report_once(&format!(
                "Prometheus does not see all series of the metric {name}: other series or metrics \
                 have the same names; rename the metric or its attributes"
            ));
        }
        (format.content_type(), text)
    }

    /// Reports metrics for which the SDK has reached [`MAX_SERIES`].
    fn report_overflows(&self, snapshot: &Snapshot) {
        for metric in snapshot.metrics() {
            let mut overflows = false;
            metric.points.for_each_attribute_set(|attributes| {
                overflows |= attributes
                    .iter()
                    .any(|attribute| attribute.key.as_str() == OVERFLOW_ATTRIBUTE);
            });
            if overflows {
                self.report_once(&format!(
                    "the metric {} has more than {MAX_SERIES} sets of attributes: further ones are \
                     counted as {OVERFLOW_ATTRIBUTE}",
                    metric.name
                ));
            }
        }
    }

    /// Reports a fault of a metric, unless it was reported before.
    fn report_once(&self, text: &str) {
        let is_new = self.reported_faults.lock().insert(text.to_owned());
        if is_new {
            self.report.fault_unthrottled(Fault::Setup, &text);
        }
    }
}

/// Returns the labels of the metric `target_info`.
fn target_info_labels(resource: &Resource) -> Vec<KeyValue> {
    let attributes = resource.attributes().iter();
    let labels = attributes.map(|(key, value)| match value {
        ResourceValue::Text(text) => KeyValue::new(key.clone(), text.clone()),
        ResourceValue::Int(int) => KeyValue::new(key.clone(), *int),
    });
    labels.collect()
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("exporter", &self.exporter)
            .field("schedule", &self.schedule)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

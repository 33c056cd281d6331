//! The handle of a running exporter, and its guard.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Once, Weak},
    time::{Duration, Instant, SystemTime},
};

use opentelemetry::global;
use spanwise_core::{
    Flush, Redact, SinkControl, SinkStats,
    internal::{
        carry_otel_context,
        forks::PerProcess,
        request_observer::{ObservedRequest, RequestEnd, RequestObserver, observe_requests},
        sync::Mutex,
    },
};

use crate::{
    LogOptions, LogWriter, OtelBuilder, OtelError, OtelEventCounts, OtelEventMetrics, OtelLogs,
    OtelMeterProvider, OtelSpans, OtelTracerProvider, Protocol, SignalKind, SpanOptions,
    W3cPropagator,
    carried_context::context_for_child,
    destination::Destination,
    http_spans::HttpSpans,
    metrics::{
        self, HttpMetrics, Metrics, MetricsSetup, NewTransport, OBSERVATION_TIMEOUT, ReadQueue,
        RequestedExport,
    },
    resource::Resource,
    signal::{Signal, SignalOptions},
    span_pipeline::SpanPipeline,
};

/// The handle of a running exporter. Cheap to clone.
#[derive(Clone)]
pub struct Otel {
    inner: Arc<Inner>,
}

struct Inner {
    traces: Option<Exported>,
    logs: Option<Exported>,
    metrics: Option<ExportedMetrics>,
    log_options: LogOptions,
    /// Present if traces are exported.
    spans: Option<Arc<SpanPipeline>>,
    policy: Option<Arc<dyn Redact>>,
    propagator: W3cPropagator,
    /// The export of metrics that [`SinkControl::hurry`] has requested. The shutdown waits for it.
    hurried_export: PerProcess<Mutex<Option<RequestedExport>>>,
}

/// A signal that is exported.
#[derive(Debug)]
struct Exported {
    signal: Arc<Signal>,
    destination: Arc<Destination>,
}

/// Metrics that are exported over OTLP, or available as text.
#[derive(Debug)]
struct ExportedMetrics {
    metrics: Metrics,
    /// The metrics of HTTP requests.
    http: Arc<HttpMetrics>,
    /// `None` if metrics are only available as text.
    destination: Option<Arc<Destination>>,
}

/// Shuts down the exporter when it is dropped, within two seconds. Keep it in `main`.
#[derive(Debug)]
#[must_use = "dropping it shuts down the exporter: bind it with `let _guard = …`, not `let _ = …`"]
pub struct OtelGuard {
    otel: Otel,
    has_ended: bool,
}

/// Counts of spans, log records and data points since the start of this process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OtelStats {
    /// Spans.
    pub traces: SignalStats,
    /// Log records.
    pub logs: SignalStats,
    /// Data points of metrics.
    pub metrics: SignalStats,
    /// Spans that ended and were not exported, because their traces are not sampled.
    pub unsampled_spans: u64,
    /// Events that were not exported, because their traces are not sampled: see
    /// [`LogOptions::only_sampled_traces`].
    pub unsampled_logs: u64,
    /// Spans that are open.
    pub open_spans: usize,
}

/// Counts of one signal since the start of this process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignalStats {
    /// The number of items (spans, log records or data points) that the exporter received. Items
    /// that are not yet counted in `outcomes` still wait, or are being sent.
    pub accepted: u64,
    /// The bytes of the items that wait or are being sent.
    pub waiting_bytes: usize,
    /// Counts of the items that were sent or lost, by cause.
    pub outcomes: SinkStats,
    /// The last request that failed or was refused, if there was one.
    pub last_failure: Option<SendFailure>,
}

/// A request that failed or was refused, at least in part.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SendFailure {
    /// The time of the failure.
    pub at: SystemTime,
    /// The reason.
    pub reason: String,
}

/// How long a guard waits when it is dropped.
const DROP_TIMEOUT: Duration = Duration::from_secs(2);

/// The maximum timeout of a shutdown: a year. Longer ones are shortened, because adding a very long
/// duration to an `Instant` may panic.
const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Otel {
    /// Starts the signals that have a destination.
    pub(crate) fn start(
        builder: OtelBuilder,
        traces: Option<(Arc<Destination>, SignalOptions)>,
        logs: Option<(Arc<Destination>, SignalOptions)>,
        metrics: Option<Arc<Destination>>,
        resource: Resource,
    ) -> Result<(Self, OtelGuard), OtelError> {
        let start = |(destination, options): (Arc<Destination>, SignalOptions)| {
            let destination_of_transports = Arc::clone(&destination);
            let new_transport = move || destination_of_transports.transport();
            let signal = Signal::start(destination.signal, &options, new_transport)
                .map_err(OtelError::Thread)?;
            Ok::<_, OtelError>(Exported {
                signal,
                destination,
            })
        };
        let traces = traces.map(start).transpose()?;
        let shut_down = |signal: &Option<Exported>| {
            if let Some(Exported { signal, .. }) = signal {
                signal.shutdown_by(Instant::now());
            }
        };
        let logs = logs.map(start).transpose();
        let logs = logs.inspect_err(|_| shut_down(&traces))?;
        let queues = [&traces, &logs].into_iter().flatten().map(|exported| {
            let signal = Arc::downgrade(&exported.signal);
            Arc::new(move || signal.upgrade()?.queue_state()) as ReadQueue
        });
        let queues = queues.collect();
        let exported = [&traces, &logs].into_iter().flatten();
        let destinations = exported.map(|exported| &exported.destination);
        let protocols = destinations
            .chain(&metrics)
            .map(|destination| (destination.signal, destination.protocol))
            .collect();
        let metrics = ExportedMetrics::start(&builder, metrics, resource, protocols, queues);
        let metrics = metrics.inspect_err(|_| {
            shut_down(&traces);
            shut_down(&logs);
        })?;
        let spans = traces.as_ref().map(|traces| {
            let options = SpanOptions {
                clock: builder.clock.clone(),
                report: builder.report.clone(),
                ..builder.span_options
            };
            let (signal, policy) = (Arc::clone(&traces.signal), builder.policy.clone());
            SpanPipeline::new(signal, options, policy, logs.is_some())
        });
        let inner = Inner {
            traces,
            logs,
            metrics,
            spans,
            log_options: builder.log_options.or(builder.clock, builder.report),
            policy: builder.policy,
            propagator: builder.propagator,
            hurried_export: PerProcess::new(Mutex::default()),
        };
        let otel = Self {
            inner: Arc::new(inner),
        };
        otel.register_request_observers();
        carry_otel_context(context_for_child);
        let guard = OtelGuard {
            otel: otel.clone(),
            has_ended: false,
        };
        Ok((otel, guard))
    }

    /// Creates the layer that exports events as log records, or `None` if logs are not exported.
    #[must_use]
    pub fn logs(&self) -> Option<OtelLogs> {
        let Inner {
            log_options,
            policy,
            ..
        } = &*self.inner;
        Some(OtelLogs::with_policy(
            self.log_writer()?,
            log_options.clone(),
            policy.clone(),
        ))
    }

    /// Creates the writer that exports log records, or `None` if logs are not exported. To buffer
    /// records, put a flight recorder in front of the writer, and pass the recorder to
    /// [`OtelLogs::with_writer`].
    #[must_use]
    pub fn log_writer(&self) -> Option<LogWriter> {
        let logs = self.inner.logs.as_ref()?;
        Some(LogWriter::new(Arc::clone(&logs.signal)))
    }

    /// Creates the layer that exports spans, or `None` if traces are not exported. Put it in front
    /// of the layers that write lines, because they read the ids that it assigns.
    #[must_use]
    pub fn spans(&self) -> Option<OtelSpans> {
        let pipeline = self.inner.spans.as_ref()?;
        Some(OtelSpans::new(pipeline, self.inner.policy.clone()))
    }

    /// Returns the provider of tracers for code that uses the OpenTelemetry API, or `None` if
    /// traces are not exported.
    #[must_use]
    pub fn tracer_provider(&self) -> Option<OtelTracerProvider> {
        let pipeline = self.inner.spans.as_ref()?;
        Some(OtelTracerProvider::new(pipeline))
    }

    /// Returns the provider of meters for code that uses the OpenTelemetry API, or `None` if
    /// there are no metrics.
    #[must_use]
    pub fn meter_provider(&self) -> Option<OtelMeterProvider> {
        Some(self.running_metrics()?.meter_provider().clone())
    }

    /// Creates the layer that counts events by level, as `spanwise.events`, or `None` if there are
    /// no metrics.
    #[must_use]
    pub fn event_counts(&self) -> Option<OtelEventCounts> {
        Some(self.running_metrics()?.event_counts())
    }

    /// Creates the layer that counts events by level, and makes metrics of their fields
    /// `monotonic_counter.*`, `counter.*`, `gauge.*` and `histogram.*`. Other fields that are
    /// numbers, texts or booleans become attributes of the metrics. Use this layer instead of the
    /// layer of [`event_counts`](Self::event_counts).
    #[must_use]
    pub fn metrics_of_events(&self) -> Option<OtelEventMetrics> {
        Some(self.running_metrics()?.event_metrics())
    }

    /// Returns the content type and the body for a scrape by Prometheus. `accept` is the `Accept`
    /// header of the request: the body is OpenMetrics if the header prefers that. The body has no
    /// metrics in a forked child, or if they are not [available](crate::MetricsOptions::text) as
    /// text.
    ///
    /// This method runs the callbacks of instruments, and waits for them for up to four seconds.
    #[must_use]
    pub fn metrics_text(&self, accept: Option<&str>) -> (&'static str, String) {
        match self.running_metrics() {
            Some(metrics) => metrics.text(accept),
            None => metrics::empty_text(accept),
        }
    }

    /// Measures the workers, the tasks and the global queue of a Tokio runtime. Has no effect if
    /// there are no metrics.
    #[cfg(feature = "tokio")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
    pub fn observe_runtime(&self, runtime: &tokio::runtime::Handle) {
        if let Some(metrics) = self.running_metrics() {
            metrics.observe_runtime(runtime);
        }
    }

    /// Returns the address at which metrics are served for Prometheus. `None` if they are not
    /// served, or if the exporter has been shut down.
    #[must_use]
    pub fn prometheus_address(&self) -> Option<SocketAddr> {
        self.running_metrics()?.address()
    }

    /// Makes this exporter global for the OpenTelemetry API: its providers of tracers and meters,
    /// and the [propagator](OtelBuilder::propagator). From then on, `spanwise-http` and
    /// [`child_env`](crate::child_env) use the headers of that propagator.
    pub fn install_globals(&self) {
        if let Some(tracers) = self.tracer_provider() {
            global::set_tracer_provider(tracers);
        }
        if let Some(meters) = self.meter_provider() {
            global::set_meter_provider(meters);
        }
        global::set_text_map_propagator(self.inner.propagator.clone());
        self.inner.propagator.apply_to_requests();
    }

    /// Registers the observers that measure the HTTP requests of this process and complete their
    /// spans.
    fn register_request_observers(&self) {
        static SPANS: Once = Once::new();

        // One `HttpSpans` serves all exporters of the process.
        if self.inner.spans.is_some() {
            SPANS.call_once(|| observe_requests(Arc::new(HttpSpans)));
        }
        if let Some(metrics) = &self.inner.metrics {
            observe_requests(Arc::new(MeasuredRequests(Arc::downgrade(&metrics.http))));
        }
    }

    fn running_metrics(&self) -> Option<&Metrics> {
        Some(&self.inner.metrics.as_ref()?.metrics)
    }

    /// Returns the counts since the start of this process.
    #[must_use]
    pub fn stats(&self) -> OtelStats {
        let stats = |exported: &Option<Exported>| match exported {
            Some(Exported {
                signal,
                destination,
            }) => SignalStats {
                last_failure: destination.last_failure(),
                ..signal.stats()
            },
            None => SignalStats::default(),
        };
        let metrics = match &self.inner.metrics {
            Some(ExportedMetrics {
                metrics,
                destination,
                ..
            }) => SignalStats {
                last_failure: destination
                    .as_ref()
                    .and_then(|destination| destination.last_failure()),
                ..metrics.stats()
            },
            None => SignalStats::default(),
        };
        let spans = self.inner.spans.as_deref();
        OtelStats {
            metrics,
            traces: stats(&self.inner.traces),
            logs: stats(&self.inner.logs),
            unsampled_logs: self.inner.log_options.sampled_out.total(),
            unsampled_spans: spans.map_or(0, SpanPipeline::unsampled),
            open_spans: spans.map_or(0, SpanPipeline::open_spans),
        }
    }

    /// Starts to send all waiting items. Returns the export of metrics that it requested.
    fn hurry_all(&self) -> Option<RequestedExport> {
        self.signals().for_each(Signal::hurry);
        self.running_metrics()?.hurry()
    }

    fn hurried_export(&self) -> &Mutex<Option<RequestedExport>> {
        let Inner { hurried_export, .. } = &*self.inner;
        hurried_export.for_this_process(|_| Mutex::default())
    }

    /// Returns the exported signals, except metrics.
    fn signals(&self) -> impl Iterator<Item = &Signal> {
        let Inner { traces, logs, .. } = &*self.inner;
        let exported = [traces, logs].into_iter().flatten();
        exported.map(|exported| &*exported.signal)
    }
}

impl ExportedMetrics {
    /// Starts metrics if they are exported or available as text.
    fn start(
        builder: &OtelBuilder,
        destination: Option<Arc<Destination>>,
        resource: Resource,
        protocols: Vec<(SignalKind, Protocol)>,
        queues: Vec<ReadQueue>,
    ) -> Result<Option<Self>, OtelError> {
        let options = &builder.metrics_options;
        if destination.is_none() && !options.exposes_prometheus_text() {
            return Ok(None);
        }
        let new_transport = destination
            .clone()
            .map(|destination| -> NewTransport { Box::new(move || destination.transport()) });
        let setup = MetricsSetup {
            resource,
            policy: builder.policy.clone(),
            report: builder.report.clone(),
            clock: builder.clock.clone(),
            new_transport,
            protocols,
            observation_timeout: OBSERVATION_TIMEOUT,
            queues,
        };
        let metrics = Metrics::start(options, setup)?;
        Ok(Some(Self {
            http: Arc::new(metrics.http()),
            metrics,
            destination,
        }))
    }
}

/// Measures HTTP requests until the exporter is dropped.
#[derive(Debug)]
struct MeasuredRequests(Weak<HttpMetrics>);

impl RequestObserver for MeasuredRequests {
    fn begin(&self, request: &ObservedRequest) {
        if let Some(metrics) = self.0.upgrade() {
            metrics.begin(request);
        }
    }

    fn end(&self, request: &ObservedRequest, end: &RequestEnd<'_>) {
        if let Some(metrics) = self.0.upgrade() {
            metrics.end(request, end);
        }
    }
}

impl Flush for Otel {
    /// Waits until everything is sent. It does not wait for a collector that cannot be reached.
    fn flush_by(&self, deadline: Instant) -> io::Result<()> {
        let export = self.hurry_all();
        let metrics = self
            .running_metrics()
            .map(|metrics| metrics.flush_by(export, deadline));
        let signals = self.signals().map(|signal| signal.flush_by(deadline));
        let flushed = signals.chain(metrics);
        // Collect the results first, so that an error of one signal does not end the iteration.
        let flushed: Vec<_> = flushed.collect();
        flushed.into_iter().collect()
    }
}

impl SinkControl for Otel {
    fn name(&self) -> &'static str {
        "otel"
    }

    fn hurry(&self) {
        let export = self.hurry_all();
        *self.hurried_export().lock() = export;
    }

    fn shutdown_by(&self, deadline: Instant) {
        if let Some(spans) = &self.inner.spans {
            spans.end_unfinished();
        }
        let hurried_export = self.hurried_export().lock().take();
        let export = match hurried_export {
            Some(export) => {
                // Start to send the unfinished spans, which `end_unfinished` has just added.
                self.signals().for_each(Signal::hurry);
                Some(export)
            }
            None => self.hurry_all(),
        };
        self.signals()
            .for_each(|signal| signal.shutdown_by(deadline));
        if let Some(metrics) = self.running_metrics() {
            metrics.shutdown_by(export, deadline);
        }
    }
}

impl OtelGuard {
    /// Sends all waiting items, for up to `timeout`, and counts the rest as lost.
    #[expect(
        clippy::must_use_candidate,
        reason = "most programs end here and do not need the counts"
    )]
    pub fn shutdown(mut self, timeout: Duration) -> OtelStats {
        self.has_ended = true;
        self.otel.shutdown_by(deadline_after(timeout));
        self.otel.stats()
    }

    /// Returns the handle, to flush or to read the counts.
    #[must_use]
    pub fn otel(&self) -> Otel {
        self.otel.clone()
    }
}

impl Drop for OtelGuard {
    fn drop(&mut self) {
        if !self.has_ended {
            self.otel.shutdown_by(deadline_after(DROP_TIMEOUT));
        }
    }
}

fn deadline_after(timeout: Duration) -> Instant {
    Instant::now() + timeout.min(MAX_TIMEOUT)
}

impl fmt::Debug for Otel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Otel")
            .field("traces", &self.inner.traces)
            .field("logs", &self.inner.logs)
            .field("metrics", &self.inner.metrics)
            .finish_non_exhaustive()
    }
}

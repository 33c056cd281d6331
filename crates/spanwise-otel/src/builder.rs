//! The builder of the exporter.

use std::{fmt, sync::Arc, time::Duration};

use spanwise_core::{Clock, Fault, ParseError, Redact, SelfReport, export::QueueLimits};

use crate::{
    ExportOptions, InvalidOption, LogOptions, MetricsOptions, Otel, OtelError, OtelGuard,
    SignalKind, SpanOptions, TraceSampler, W3cPropagator,
    destination::{Destination, LastFailure},
    endpoint::{Endpoint, SetFor},
    option_checks::{Checks, headers, tls},
    resource::{ENVIRONMENT, Resource, SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_VERSION},
    server_text::ServerTextFilter,
    signal::SignalOptions,
};

/// Chooses what is exported, and how. Start with [`Otel::builder`].
#[derive(Clone)]
#[must_use = "nothing is exported until `build` is called"]
pub struct OtelBuilder {
    endpoint: Option<String>,
    all_signals: ExportOptions,
    traces: ExportOptions,
    logs: ExportOptions,
    metrics: ExportOptions,
    resource_attributes: Vec<(String, String)>,
    /// Resource attributes that have setters of their own. They take precedence over
    /// `resource_attributes`.
    service_attributes: Vec<(String, String)>,
    pub(crate) span_options: SpanOptions,
    pub(crate) sampler_variables: SamplerVariables,
    pub(crate) listener_variables: ListenerVariables,
    pub(crate) log_options: LogOptions,
    pub(crate) metrics_options: MetricsOptions,
    pub(crate) propagator: W3cPropagator,
    pub(crate) policy: Option<Arc<dyn Redact>>,
    pub(crate) report: SelfReport,
    pub(crate) clock: Clock,
    invalid: Vec<InvalidOption>,
    /// Texts about valid options that the user perhaps did not intend.
    warnings: Vec<String>,
}

/// The values of `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`.
#[derive(Debug, Clone, Default)]
pub(crate) struct SamplerVariables {
    pub(crate) name: Option<String>,
    pub(crate) argument: Option<String>,
}

/// The values of `OTEL_EXPORTER_PROMETHEUS_HOST` and `OTEL_EXPORTER_PROMETHEUS_PORT`, which are the
/// address of the listener for Prometheus.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListenerVariables {
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    /// Whether `OTEL_METRICS_EXPORTER` requests the listener.
    pub(crate) is_requested: bool,
}

/// The default timeout of a request, and the longest one.
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// The default of [`ExportOptions::export_timeout`], a second timeout of a request. The shorter
/// timeout applies.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(30);

/// The default delays of a batch for each signal, and the longest delay.
const TRACES_DELAY: Duration = Duration::from_secs(5);
const LOGS_DELAY: Duration = Duration::from_secs(1);
const MAX_DELAY: Duration = Duration::from_secs(60 * 60);

/// The default maximum numbers of records in a queue and in a batch, and the largest valid number
/// for both.
const QUEUE_LEN: usize = 2048;
const BATCH_LEN: usize = 512;
const MAX_LEN: usize = 1_000_000;

/// The default of [`ExportOptions::queue_bytes`]: 16 MiB.
const QUEUE_BYTES: usize = 16 * 1024 * 1024;

impl Otel {
    /// Creates a builder that exports all signals to the collector at `endpoint`, such as
    /// `http://localhost:4318`. The exporter reads no environment variables, except that exports
    /// over HTTP read those of the HTTP proxy.
    pub fn builder(endpoint: impl Into<String>) -> OtelBuilder {
        OtelBuilder {
            endpoint: Some(endpoint.into()),
            ..Self::builder_without_endpoint()
        }
    }

    /// Creates a builder without an endpoint for all signals. It exports the signals that have an
    /// endpoint of their own.
    pub fn builder_without_endpoint() -> OtelBuilder {
        OtelBuilder {
            endpoint: None,
            all_signals: ExportOptions::default(),
            traces: ExportOptions::default(),
            logs: ExportOptions::default(),
            metrics: ExportOptions::default(),
            resource_attributes: Vec::new(),
            service_attributes: Vec::new(),
            span_options: SpanOptions::default(),
            sampler_variables: SamplerVariables::default(),
            listener_variables: ListenerVariables::default(),
            log_options: LogOptions::default(),
            metrics_options: MetricsOptions::default(),
            propagator: W3cPropagator::default(),
            policy: None,
            report: SelfReport::default(),
            clock: Clock::system(),
            invalid: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

impl OtelBuilder {
    /// Sets the address of a collector for all signals, as [`Otel::builder`] does.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// Sets the name of the service. Defaults to the name of the program.
    pub fn service_name(self, name: impl Into<String>) -> Self {
        self.service_attribute(SERVICE_NAME, name.into())
    }

    /// Sets the version of the service, such as `1.4.0`. Defaults to none.
    pub fn service_version(self, version: impl Into<String>) -> Self {
        self.service_attribute(SERVICE_VERSION, version.into())
    }

    /// Sets the id of this process among all processes of the service. Defaults to a random UUID.
    pub fn service_instance_id(self, id: impl Into<String>) -> Self {
        self.service_attribute(SERVICE_INSTANCE_ID, id.into())
    }

    /// Sets the environment. `prod` becomes `production`, and `dev` becomes `development`: the
    /// names of the semantic conventions. Defaults to none.
    pub fn environment(self, environment: impl Into<String>) -> Self {
        let environment = match environment.into() {
            short if short == "prod" => "production".to_owned(),
            short if short == "dev" => "development".to_owned(),
            other => other,
        };
        self.service_attribute(ENVIRONMENT, environment)
    }

    fn service_attribute(mut self, key: &str, value: String) -> Self {
        self.service_attributes.push((key.to_owned(), value));
        self
    }

    /// Adds an attribute to the resource of all exported data. The last value of a key counts. The
    /// value of a setter such as [`service_name`](Self::service_name) takes precedence over an
    /// attribute with the same key.
    pub fn resource_attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.resource_attributes.push((key.into(), value.into()));
        self
    }

    /// Changes the options for all signals. An option that is set for a signal alone takes
    /// precedence. An endpoint that `change` sets replaces that of [`endpoint`](Self::endpoint).
    ///
    /// ```
    /// use spanwise_otel::{ExportOptions, Otel};
    ///
    /// let with_key = |signal: ExportOptions| signal.header("api-key", "…");
    /// let builder = Otel::builder("https://otlp.example.com").all_signals(with_key);
    /// ```
    pub fn all_signals(mut self, change: impl FnOnce(ExportOptions) -> ExportOptions) -> Self {
        self.all_signals = change(self.all_signals);
        if let Some(endpoint) = self.all_signals.endpoint.take() {
            self.endpoint = Some(endpoint);
        }
        self
    }

    /// Changes how traces are exported.
    pub fn traces(mut self, change: impl FnOnce(ExportOptions) -> ExportOptions) -> Self {
        self.traces = change(self.traces);
        self
    }

    /// Changes how logs are exported.
    pub fn logs(mut self, change: impl FnOnce(ExportOptions) -> ExportOptions) -> Self {
        self.logs = change(self.logs);
        self
    }

    /// Changes how metrics are exported.
    pub fn metrics(mut self, change: impl FnOnce(ExportOptions) -> ExportOptions) -> Self {
        self.metrics = change(self.metrics);
        self
    }

    /// Changes which spans are exported, what they carry, and their limits.
    pub fn span_options(mut self, change: impl FnOnce(SpanOptions) -> SpanOptions) -> Self {
        self.span_options = change(self.span_options);
        self
    }

    /// Changes which log records are exported, what they carry, and their limits.
    pub fn log_options(mut self, change: impl FnOnce(LogOptions) -> LogOptions) -> Self {
        self.log_options = change(self.log_options);
        self
    }

    /// Changes how metrics are collected, and whether they are served for Prometheus.
    pub fn metrics_options(
        mut self,
        change: impl FnOnce(MetricsOptions) -> MetricsOptions,
    ) -> Self {
        self.metrics_options = change(self.metrics_options);
        self
    }

    /// Sets the propagator that [`Otel::install_globals`] makes global for the OpenTelemetry API.
    /// From then on, `spanwise-http` and [`child_env`](crate::child_env) pass the headers of this
    /// propagator. Defaults to `traceparent`, `tracestate` and `baggage`.
    pub fn propagator(mut self, propagator: W3cPropagator) -> Self {
        self.propagator = propagator;
        self
    }

    /// Sets the policy that redacts the values of spans, log records and metrics. It does not
    /// redact the attributes of the resource. Defaults to no redaction.
    pub fn redact(mut self, policy: Arc<dyn Redact>) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Sets where losses are counted and reported. Defaults to the process-wide [`SelfReport`].
    pub fn report(mut self, report: SelfReport) -> Self {
        self.report = report;
        self
    }

    /// Sets the clock for the times of spans and log records, and for the delays of the exporter.
    /// The times of metrics come from the system's clock. Defaults to the system's clock.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Builds the exporter, and starts its threads.
    ///
    /// # Errors
    /// * [`OtelError::Options`] if options are not valid. The error lists all of them.
    /// * [`OtelError::Thread`] if a thread cannot be started.
    /// * [`OtelError::Listener`] if metrics cannot be served at the address for Prometheus.
    pub fn build(mut self) -> Result<(Otel, OtelGuard), OtelError> {
        let mut attributes = std::mem::take(&mut self.resource_attributes);
        attributes.append(&mut self.service_attributes);
        let resource = Resource::new(attributes);
        let [traces, logs, metrics] = self.check_destinations(&resource);
        if !self.invalid.is_empty() {
            return Err(OtelError::Options(self.invalid));
        }
        for warning in &self.warnings {
            // Unthrottled, so that the first warning does not suppress the second.
            self.report.fault_unthrottled(Fault::Setup, warning);
        }
        let metrics = metrics.map(|(destination, _)| destination);
        Otel::start(self, traces, logs, metrics, resource)
    }

    /// Returns the options that [`build`](Self::build) would refuse. Starts nothing.
    #[must_use]
    pub fn invalid_options(&self) -> Vec<InvalidOption> {
        let mut checked = self.clone();
        let _ = checked.check_destinations(&Resource::new(Vec::new()));
        checked.invalid
    }

    /// Checks all options, and returns the destinations of traces, logs and metrics. Adds options
    /// that are not valid to `self.invalid`, and texts about doubtful options to `self.warnings`.
    fn check_destinations(
        &mut self,
        resource: &Resource,
    ) -> [Option<(Arc<Destination>, SignalOptions)>; 3] {
        self.check_sampler_variables();
        self.check_listener_variables();
        self.invalid.extend(self.metrics_options.invalid());
        let signals = [SignalKind::Traces, SignalKind::Logs, SignalKind::Metrics];
        let destinations = signals.map(|signal| self.check_destination(signal, resource));
        let exports_nothing = destinations.iter().all(Option::is_none);
        if exports_nothing
            && !self.metrics_options.exposes_prometheus_text()
            && self.invalid.is_empty()
        {
            self.invalid.push(InvalidOption {
                signal: None,
                option: "endpoint",
                error: ParseError::new(
                    "no signal has an endpoint: set one, or do not build the exporter",
                ),
            });
        }
        destinations
    }

    /// Changes the values of the variables, and sets or removes the listener for Prometheus.
    pub(crate) fn change_listener_variables(
        &mut self,
        change: impl FnOnce(&mut ListenerVariables),
    ) {
        const DEFAULT: (&str, u16) = ("localhost", 9464);
        let was_requested = self.listener_variables.is_requested;
        change(&mut self.listener_variables);
        let ListenerVariables {
            host,
            port,
            is_requested,
        } = &self.listener_variables;
        // Set the option now and not in `build`, so that a setter that is called later takes
        // precedence.
        if *is_requested {
            let host = host.as_deref().unwrap_or(DEFAULT.0).to_owned();
            self.metrics_options.prometheus = Some((host, port.unwrap_or(DEFAULT.1)));
        } else if was_requested {
            self.metrics_options.prometheus = None;
        }
    }

    fn check_listener_variables(&mut self) {
        let ListenerVariables {
            host,
            port,
            is_requested,
        } = &self.listener_variables;
        if !is_requested && (host.is_some() || port.is_some()) {
            self.invalid.push(InvalidOption {
                signal: Some(SignalKind::Metrics),
                option: if host.is_some() {
                    "prometheus_host"
                } else {
                    "prometheus_port"
                },
                error: ParseError::new(
                    "has no effect without a listener: set OTEL_METRICS_EXPORTER to prometheus as \
                     well, or unset it",
                ),
            });
        }
    }

    /// Changes the values of the variables, and sets the sampler that they describe.
    pub(crate) fn change_sampler_variables(&mut self, change: impl FnOnce(&mut SamplerVariables)) {
        change(&mut self.sampler_variables);
        // Set the option now and not in `build`, so that a setter that is called later takes
        // precedence.
        if let Some(Ok(sampler)) = self.sampler_variables.parse() {
            self.span_options.sampler = sampler;
        }
    }

    fn check_sampler_variables(&mut self) {
        if let Some(Err(error)) = self.sampler_variables.parse() {
            self.invalid.push(InvalidOption {
                signal: Some(SignalKind::Traces),
                // Without a name, the error is about the argument, because the default sampler
                // takes none.
                option: match self.sampler_variables.name {
                    Some(_) => "sampler",
                    None => "sampler_argument",
                },
                error,
            });
        }
    }

    fn options(&self, signal: SignalKind) -> &ExportOptions {
        match signal {
            SignalKind::Traces => &self.traces,
            SignalKind::Logs => &self.logs,
            SignalKind::Metrics => &self.metrics,
        }
    }

    /// Checks the options of a signal, and returns its destination. Returns `None` if the signal is
    /// off, if it has no endpoint, or if its options are not valid.
    pub(crate) fn check_destination(
        &mut self,
        signal: SignalKind,
        resource: &Resource,
    ) -> Option<(Arc<Destination>, SignalOptions)> {
        let options = self.options(signal).or(&self.all_signals);
        if options.is_off {
            return None;
        }
        let (url, set_for) = match (&options.endpoint, &self.endpoint) {
            (Some(url), _) => (url, SetFor::OneSignal),
            (None, Some(url)) => (url, SetFor::AllSignals),
            (None, None) => return None,
        };
        let mut checks = Checks {
            signal: (set_for == SetFor::OneSignal).then_some(signal),
            invalid: Vec::new(),
        };
        let protocol = options.protocol.unwrap_or_default();
        let compression = options.compression.unwrap_or_default();
        let insecure = options.is_insecure.unwrap_or_default();
        let endpoint = Endpoint::parse(url, signal, set_for, protocol, insecure);
        let endpoint = checks.valid("endpoint", endpoint);
        // Report the other options for this signal. `add_invalid` removes the signal from the error
        // if the option comes from `all_signals`.
        checks.signal = Some(signal);
        checks.valid("protocol", protocol.check());
        checks.valid("compression", compression.check());
        let headers = headers(&options, &mut checks);
        let tls = tls(&options, endpoint.as_ref(), &mut checks);
        let signal_options = self.signal_options(signal, &options, &mut checks);
        let is_valid = checks.invalid.is_empty();
        checks
            .invalid
            .into_iter()
            .for_each(|option| self.add_invalid(option));
        let endpoint = endpoint.filter(|_| is_valid)?;
        let warning = endpoint.warning(protocol);
        // Signals may share an endpoint: warn about it once.
        let warning = warning.filter(|warning| !self.warnings.contains(warning));
        self.warnings.extend(warning);
        let header_values = options.headers.iter().map(|(_, value)| &**value);
        let destination = Destination {
            signal,
            server_text_filter: ServerTextFilter::new(header_values, self.policy.clone()),
            endpoint,
            protocol,
            headers,
            compression,
            timeout: effective_timeout(options.timeout, TIMEOUT)
                .min(effective_timeout(options.export_timeout, EXPORT_TIMEOUT)),
            tls,
            resource: resource.clone(),
            report: self.report.clone(),
            clock: self.clock.clone(),
            last_failure: LastFailure::default(),
        };
        Some((Arc::new(destination), signal_options))
    }

    /// Adds an option that is not valid. If the signal does not set the option itself, its value
    /// comes from [`all_signals`](Self::all_signals). It is then listed once, without a signal.
    fn add_invalid(&mut self, mut invalid: InvalidOption) {
        let sets_option = |signal: &SignalKind| self.options(*signal).sets(invalid.option);
        invalid.signal = invalid.signal.filter(sets_option);
        if !self.invalid.contains(&invalid) {
            self.invalid.push(invalid);
        }
    }

    fn signal_options(
        &self,
        signal: SignalKind,
        options: &ExportOptions,
        checks: &mut Checks,
    ) -> SignalOptions {
        let queue_len = options.max_queue_len.unwrap_or(QUEUE_LEN);
        // The default batch is not larger than the queue.
        let batch_len = options.max_batch_len.unwrap_or(BATCH_LEN.min(queue_len));
        for (option, len) in [("max_queue_len", queue_len), ("max_batch_len", batch_len)] {
            if !(1..=MAX_LEN).contains(&len) {
                let hint = format!("{len} is out of range: write a number from 1 to {MAX_LEN}");
                checks.push(option, ParseError::new(hint));
            }
        }
        if batch_len > queue_len {
            let hint = format!(
                "a batch of {batch_len} records does not fit into the queue of {queue_len}: set a \
                 smaller batch or a larger queue"
            );
            checks.push("max_batch_len", ParseError::new(hint));
        }
        let default_delay = match signal {
            SignalKind::Traces => TRACES_DELAY,
            SignalKind::Logs | SignalKind::Metrics => LOGS_DELAY,
        };
        SignalOptions {
            delay: options.delay.unwrap_or(default_delay).min(MAX_DELAY),
            max_batch_len: batch_len,
            queue: QueueLimits {
                events: queue_len as u64,
                items: usize::MAX,
                bytes: options.queue_bytes.unwrap_or(QUEUE_BYTES),
                ..QueueLimits::default()
            },
            report: self.report.clone(),
            clock: self.clock.clone(),
        }
    }
}

impl SamplerVariables {
    /// Parses the sampler. Returns `None` if neither variable is set.
    fn parse(&self) -> Option<Result<TraceSampler, ParseError>> {
        const DEFAULT: &str = "parentbased_always_on";
        let Self { name, argument } = self;
        (name.is_some() || argument.is_some()).then(|| {
            let name = name.as_deref().unwrap_or(DEFAULT);
            TraceSampler::from_name(name, argument.as_deref())
        })
    }
}

/// Returns the timeout, or `default` if it is not set, limited to [`MAX_TIMEOUT`]. Zero means
/// [`MAX_TIMEOUT`].
fn effective_timeout(timeout: Option<Duration>, default: Duration) -> Duration {
    match timeout.unwrap_or(default) {
        Duration::ZERO => MAX_TIMEOUT,
        timeout => timeout.min(MAX_TIMEOUT),
    }
}

impl fmt::Debug for OtelBuilder {
    /// Omits the endpoint, the headers and other options that may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtelBuilder")
            .field("all", &self.all_signals)
            .field("traces", &self.traces)
            .field("logs", &self.logs)
            .field("metrics", &self.metrics)
            .finish_non_exhaustive()
    }
}

//! The builder of the layer and its exporter.

use std::{
    fmt, mem,
    sync::{Arc, Weak},
    time::Duration,
};

use sentry_core::{Client, ClientOptions, TracesSamplingStrategy, protocol::Event};
use spanwise_core::{
    Clock, Fault, NoRedaction, Redact, SelfReport, SettingValue, TargetLevels, TargetPattern,
    export::{Deliver, Exporter, ExporterOptions, PeriodicTasks, QueueLimits},
    internal::{MAX_TIMEOUT, consistent_sampling::Threshold},
};

use crate::{
    Dsn, InvalidLevels, NAME, Sentry, SentryError, SentryGuard, SentryLayer,
    breadcrumbs::MemoryBudget,
    connection::{self, Connection},
    envelope::{QueueTransport, QueuedEnvelope},
    event_scope::TagKeys,
    grouping::Grouping,
    http_transport::HttpTransport,
    ignore_rules::IgnoreRules,
    pipeline::Pipeline,
    process_state::ProcessState,
};

/// Configures what is sent to Sentry, and how. Start with [`Sentry::builder`].
///
/// In these settings, an *error event* is an event that [`event_levels`](Self::event_levels)
/// selects. Its *chains* are the errors in its fields, each with its causes. A *direct capture* is
/// data that `sentry::capture_message` or a similar function passes to the
/// [client](Sentry::client), without the layer.
#[must_use = "nothing is sent until `build` is called"]
pub struct SentryBuilder {
    dsn: Dsn,
    options: Options,
    client: ClientOptions,
    sample_rate: f64,
    traces_sample_rate: f64,
    timeout: Duration,
    queue_limits: QueueLimits,
    root_certificates: Vec<u8>,
    dedup_window: Duration,
    report: SelfReport,
    clock: Clock,
    static_tags: Vec<(String, String)>,
    invalid_levels: Vec<InvalidLevels>,
}

/// The options that the layer reads for each event.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub(crate) event_levels: TargetLevels,
    pub(crate) breadcrumb_levels: TargetLevels,
    /// `None` if no logs are sent.
    pub(crate) log_levels: Option<TargetLevels>,
    /// The threshold of the sampled traces. `None` if no transactions are sent.
    pub(crate) trace_threshold: Option<Threshold>,
    pub(crate) tag_keys: TagKeys,
    pub(crate) ignore_rules: IgnoreRules,
    pub(crate) grouping: Grouping,
    pub(crate) policy: Option<Arc<dyn Redact>>,
}

/// The default timeout of an HTTP request to Sentry.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// The default window of the deduplication.
const DEDUP_WINDOW: Duration = Duration::from_secs(60);

/// The maximum memory for the breadcrumbs of all units of work, in bytes.
const MAX_BREADCRUMB_MEMORY: usize = 32 * 1024 * 1024;

impl Sentry {
    /// Creates a builder that sends to the project of `dsn`. It reads no settings from environment
    /// variables, apart from the proxy: the HTTP client uses `HTTPS_PROXY` and similar variables,
    /// unless [`options`](SentryBuilder::options) sets a proxy.
    pub fn builder(dsn: Dsn) -> SentryBuilder {
        let mut client = ClientOptions::new();
        client.server_name = host_name().map(Into::into);
        SentryBuilder {
            dsn,
            options: Options::default(),
            client,
            sample_rate: 1.0,
            traces_sample_rate: 0.0,
            timeout: SEND_TIMEOUT,
            queue_limits: QueueLimits::default(),
            root_certificates: Vec::new(),
            dedup_window: DEDUP_WINDOW,
            report: SelfReport::default(),
            clock: Clock::system(),
            static_tags: Vec::new(),
            invalid_levels: Vec::new(),
        }
    }
}

impl SentryBuilder {
    /// Sets the release, such as `shop@1.4.0`. Defaults to none.
    pub fn release(mut self, release: impl Into<String>) -> Self {
        self.client.release = Some(release.into().into());
        self
    }

    /// Sets the environment, such as `staging`. Defaults to none, which Sentry shows as
    /// `production`.
    pub fn environment(mut self, environment: impl Into<String>) -> Self {
        self.client.environment = Some(environment.into().into());
        self
    }

    /// Sets which events are sent as errors. Defaults to the level `error`, which also applies to
    /// targets without a level in `levels`.
    pub fn event_levels(mut self, levels: impl Into<SettingValue<TargetLevels>>) -> Self {
        if let Some(levels) = self.parse_levels("event_levels", levels.into()) {
            self.options.event_levels = levels;
        }
        self
    }

    /// Sets which events become breadcrumbs. Defaults to the level `info`, which also applies to
    /// targets without a level in `levels`.
    pub fn breadcrumb_levels(mut self, levels: impl Into<SettingValue<TargetLevels>>) -> Self {
        if let Some(levels) = self.parse_levels("breadcrumb_levels", levels.into()) {
            self.options.breadcrumb_levels = levels;
        }
        self
    }

    /// Sets which events are also sent as logs. Defaults to none. The level `info` applies to
    /// targets without a level in `levels`.
    pub fn logs(mut self, levels: impl Into<SettingValue<TargetLevels>>) -> Self {
        let levels = self.parse_levels("logs", levels.into());
        self.options.log_levels = levels.or(self.options.log_levels);
        self
    }

    /// Returns the levels that were passed to `setter`, or `None` if the text is empty or invalid.
    /// Stores an invalid text, so that `build` reports it.
    fn parse_levels(
        &mut self,
        setter: &'static str,
        levels: SettingValue<TargetLevels>,
    ) -> Option<TargetLevels> {
        match levels.read(str::parse) {
            Ok(levels) => levels,
            Err((text, error)) => {
                self.invalid_levels.push(InvalidLevels {
                    setter,
                    text,
                    error,
                });
                None
            }
        }
    }

    /// Sets the ratio of error events that are sent, from 0 to 1. Defaults to 1.
    pub fn sample_rate(mut self, ratio: f64) -> Self {
        self.sample_rate = ratio;
        self
    }

    /// Sets the ratio of units of work that are sent as transactions, from 0 to 1. Defaults to 0.
    ///
    /// A unit of work is a root span with its descendants, such as a request. A nested span begins
    /// a unit of its own if it has the field `spanwise.unit`, or if its `request_id` differs from
    /// the outer `request_id`. A different `request_id` in a field of the span begins no unit if
    /// `spanwise-http` or `context::set` has set the outer one.
    ///
    /// The trace id decides whether a unit is sent. Without a trace id, the request id decides. So
    /// two services with the same rate send the same traces, and an event sampler with the same
    /// rate keeps the events of these traces.
    pub fn traces_sample_rate(mut self, ratio: f64) -> Self {
        self.traces_sample_rate = ratio;
        self
    }

    /// Adds a field of spans and events that becomes a tag. `request_id`, `tenant_id` and fields
    /// that begin with `tags.` always become tags.
    pub fn tag(mut self, field: impl Into<String>) -> Self {
        self.options.tag_keys.add(field.into());
        self
    }

    /// Adds a tag to every error event, transaction and log of the layer, such as the region of a
    /// service. Direct captures do not get the tag.
    ///
    /// If a tag is added twice, the last value counts. Fields cannot override a static tag. A value
    /// of more than 200 characters is truncated.
    pub fn static_tag(mut self, tag: impl Into<String>, value: impl Into<String>) -> Self {
        self.static_tags.push((tag.into(), value.into()));
        self
    }

    /// Drops error events of this target and of its submodules.
    pub fn ignore_target(mut self, target: impl Into<String>) -> Self {
        let target = TargetPattern::module(target);
        self.options.ignore_rules.targets.push(target);
        self
    }

    /// Drops error events with this text in their message, in the text of an error of their chains,
    /// or in an error that was logged as a text: `error!(%err)`, `#[instrument(err)]`.
    pub fn ignore_message(mut self, part: impl Into<String>) -> Self {
        self.options.ignore_rules.message_parts.push(part.into());
        self
    }

    /// Drops error events with an error of this type in their chains. Pass the name of the type
    /// without its path, such as `ClientGone`. For `std::io::Error`, pass `io::Error`.
    pub fn ignore_error(mut self, ty: impl Into<String>) -> Self {
        self.options.ignore_rules.error_types.push(ty.into());
        self
    }

    /// Sets the time during which repetitions of an error event are counted instead of sent.
    /// Defaults to 60 s. With zero, repetitions are sent.
    ///
    /// A repetition is an error event with the same callsite, message, chains and transaction name
    /// as an earlier one. After the window, or at a flush, one event reports the number of
    /// repetitions.
    pub fn dedup_window(mut self, window: Duration) -> Self {
        self.dedup_window = window;
        self
    }

    /// Uses Sentry's own grouping of error events into issues. The field `fingerprint` of an event
    /// still sets the fingerprint of this event.
    ///
    /// By default, error events form one issue if they have the same target, message and chains,
    /// apart from numbers, ids, addresses and paths. Panics form one issue if they have the same
    /// message, in the same function or file. The events that `spanwise-http` logs for failed
    /// requests without an error form one issue if they have the same transaction and outcome.
    pub fn without_grouping(mut self) -> Self {
        self.options.grouping = Grouping::BySentry;
        self
    }

    /// Sets a hook that may change each error event before it is sent, or discard it by returning
    /// `None`. Data that the hook adds is redacted, too. Defaults to none.
    pub fn before_send<F>(mut self, hook: F) -> Self
    where
        F: Fn(Event<'static>) -> Option<Event<'static>> + Send + Sync + 'static,
    {
        self.client.before_send = Some(Arc::new(hook));
        self
    }

    /// Changes further options of Sentry's client, such as integrations, a proxy or the name of the
    /// server. The builder always sets the DSN, the transport and the sample rates. Options for
    /// breadcrumbs and logs apply only to direct captures.
    pub fn options(mut self, change: impl FnOnce(ClientOptions) -> ClientOptions) -> Self {
        self.client = change(self.client);
        self
    }

    /// Sets the policy that redacts messages, fields and errors, data that hooks and integrations
    /// add, and direct captures. Defaults to no redaction.
    ///
    /// In the data of the layer, the policy does not apply to names of spans, targets, source
    /// locations, the release, the environment, the name of the server and
    /// [static tags](Self::static_tag).
    pub fn redact(mut self, policy: Arc<dyn Redact>) -> Self {
        self.options.policy = Some(policy);
        self
    }

    /// Sets the timeout of an HTTP request to Sentry, from the name resolution to the end of the
    /// response. Defaults to 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the maximum number of waiting envelopes, and their maximum total bytes. Defaults to
    /// 4,096 and 32 MiB.
    ///
    /// Errors may use the whole queue, other envelopes half of it.
    pub fn queue(mut self, envelopes: usize, bytes: usize) -> Self {
        self.queue_limits.items = envelopes;
        self.queue_limits.bytes = bytes;
        self
    }

    /// Sets the only trusted root certificates, in PEM, for your own Sentry server. Defaults to the
    /// root certificates of Mozilla.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates = pem.into();
        self
    }

    /// Sets where losses are counted and reported. Defaults to the process-wide [`SelfReport`].
    pub fn report(mut self, report: SelfReport) -> Self {
        self.report = report;
        self
    }

    /// Sets the clock. Defaults to the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Builds the layer, and starts the sender thread.
    ///
    /// # Errors
    /// * [`SentryError::Levels`] if a text does not parse as levels.
    /// * [`SentryError::SampleRate`] if a rate is not between 0 and 1.
    /// * [`SentryError::Tag`] if Sentry does not accept a static tag.
    /// * [`SentryError::Certificates`] if the root certificates cannot be read.
    /// * [`SentryError::Proxy`] if the proxy is not an address.
    /// * [`SentryError::Thread`] if the sender thread cannot be started.
    pub fn build(mut self) -> Result<(SentryLayer, SentryGuard), SentryError> {
        self.check_and_apply_options()?;
        let connection = self.connection()?;
        let exporter = Arc::new(self.exporter(connection));
        let policy = self.options.policy.clone();
        let transport = QueueTransport {
            exporter: Arc::clone(&exporter),
            policy: policy.clone(),
        };
        let mut client = self.client;
        client.dsn = Some(self.dsn.0);
        // `Arc<QueueTransport>` implements `TransportFactory`, which the client takes in an `Arc`.
        client.transport = Some(Arc::new(Arc::new(transport)));
        let pipeline = Arc::new(Pipeline {
            client: Arc::new(Client::with_options(client)),
            exporter: Arc::clone(&exporter),
            options: self.options,
            breadcrumb_memory: MemoryBudget::new(MAX_BREADCRUMB_MEMORY),
            clock: self.clock,
        });
        let tasks: Weak<dyn PeriodicTasks> = Arc::<Pipeline>::downgrade(&pipeline);
        exporter.start(Some(tasks)).map_err(SentryError::Thread)?;
        let policy = policy.unwrap_or_else(|| Arc::new(NoRedaction));
        let layer = SentryLayer::new(&pipeline, policy);
        Ok((layer, SentryGuard::new(pipeline)))
    }

    /// Checks levels, tags and rates. Stores the static tags and the ratio of transactions for the
    /// layer. Sets the client's rate of events, and disables the client's own transactions.
    fn check_and_apply_options(&mut self) -> Result<(), SentryError> {
        if !self.invalid_levels.is_empty() {
            return Err(SentryError::Levels(mem::take(&mut self.invalid_levels)));
        }
        for (tag, value) in mem::take(&mut self.static_tags) {
            if !self.options.tag_keys.add_static(&tag, &value.into()) {
                return Err(SentryError::Tag(tag));
            }
        }
        let threshold =
            |name, ratio| Threshold::from_ratio(ratio).ok_or(SentryError::SampleRate(name, ratio));
        let error_events = threshold("sample rate", self.sample_rate)?;
        self.client = mem::take(&mut self.client).sample_rate(error_events.ratio() as f32);
        self.client.traces_sampling_strategy = TracesSamplingStrategy::Disabled;
        let traces = threshold("traces sample rate", self.traces_sample_rate)?;
        self.options.trace_threshold = (traces.ratio() > 0.0).then_some(traces);
        Ok(())
    }

    /// Returns the options of the connection. Reports warnings about likely mistakes.
    fn connection(&self) -> Result<Connection, SentryError> {
        let root_certificates = connection::read_certificates(&self.root_certificates)?;
        let proxy = connection::proxy_for(&self.dsn, &self.client)?;
        for warning in connection::warnings(&self.dsn, proxy.as_ref()) {
            // Unthrottled, so that the first warning does not suppress the second.
            self.report.fault_unthrottled(Fault::Setup, &warning);
        }
        Ok(Connection {
            dsn: self.dsn.0.clone(),
            user_agent: self.client.user_agent.to_string(),
            timeout: self.timeout.min(MAX_TIMEOUT),
            proxy,
            root_certificates,
        })
    }

    fn exporter(&self, connection: Connection) -> Exporter<QueuedEnvelope, ProcessState> {
        let mut options = ExporterOptions::new(NAME, "Sentry");
        options.limits = self.queue_limits;
        options.report = self.report.clone();
        options.clock = self.clock.clone();
        let clock = self.clock.clone();
        let window = self.dedup_window.min(MAX_TIMEOUT);
        Exporter::new(
            options,
            move || -> Box<dyn Deliver<_>> {
                Box::new(HttpTransport::new(&connection, clock.clone()))
            },
            move || ProcessState::new(window),
        )
    }
}

#[cfg(unix)]
fn host_name() -> Option<String> {
    let name = rustix::system::uname();
    name.nodename().to_str().ok().map(str::to_owned)
}

#[cfg(not(unix))]
fn host_name() -> Option<String> {
    None
}

impl fmt::Debug for SentryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentryBuilder")
            .field("dsn", &self.dsn)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

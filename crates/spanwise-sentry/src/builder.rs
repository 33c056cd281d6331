//! From choices to a layer that sends.

use std::{
    fmt, io,
    net::IpAddr,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use sentry_core::{Client, ClientOptions, Hub, protocol::Event, types::Scheme};
use spanwise_core::{
    Clock, Fault, Flush, NoRedaction, ParseError, Redact, SelfReport, SettingValue, SinkControl,
    SinkStats, TargetLevels, internal::consistent_sampling::Threshold,
};
use ureq::{
    Proxy,
    tls::{Certificate, PemItem},
};

use crate::{
    Dsn, SentryLayer,
    breadcrumbs::MemoryBudget,
    event_scope::TagKeys,
    grouping::Grouping,
    ignore_rules::IgnoreRules,
    outbox::Bounds,
    pipeline::{Pipeline, QueueTransport, is_thread_exiting},
    process_state::{Counts, ProcessStates},
    sender::{Connection, PeriodicTasks},
};

/// A project of Sentry's, while events are sent to it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sentry {
    pipeline: Arc<Pipeline>,
}

/// Ends the sending when it is dropped: hold it in `main`.
#[derive(Debug)]
#[must_use = "dropping it ends the sending: bind it with `let _guard = …`, not `let _ = …`"]
pub struct SentryGuard {
    sentry: Sentry,
    has_ended: bool,
}

/// Chooses what is sent to Sentry, and how. Start with [`Sentry::builder`].
#[must_use = "nothing is sent until `build` is called"]
pub struct SentryBuilder {
    dsn: Dsn,
    pub(crate) options: Options,
    client: ClientOptions,
    sample_rate: f64,
    traces_sample_rate: f64,
    timeout: Duration,
    bounds: Bounds,
    root_certificates: Vec<u8>,
    dedup_window: Duration,
    report: SelfReport,
    clock: Clock,
    static_tags: Vec<(String, String)>,
    invalid_levels: Vec<InvalidLevels>,
}

/// What is asked while events are made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub(crate) events: TargetLevels,
    pub(crate) breadcrumbs: TargetLevels,
    pub(crate) logs: Option<TargetLevels>,
    pub(crate) traces: Option<Threshold>,
    pub(crate) keys: TagKeys,
    pub(crate) ignore: IgnoreRules,
    pub(crate) grouping: Grouping,
    pub(crate) policy: Option<Arc<dyn Redact>>,
}

/// Why nothing is sent to Sentry.
#[derive(Debug)]
#[non_exhaustive]
pub enum SentryError {
    /// A share that is not between 0 and 1: of what, and the share.
    SampleRate(&'static str, f64),
    /// The texts of levels that are wrong.
    Levels(Vec<InvalidLevels>),
    /// A static tag that Sentry does not take.
    Tag(String),
    /// The certificates are not in the form of PEM.
    Certificates,
    /// The proxy of the [`SentryBuilder::options`] is no address of one. It is not shown: it may hold a password.
    Proxy,
    /// No thread could be started that sends.
    Thread(io::Error),
}

/// A text that stands for no levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidLevels {
    /// The name of the setter of [`SentryBuilder`] that it was given to.
    pub setter: &'static str,
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub error: ParseError,
}

/// What became of the events that reached the layer, besides those that [`SinkStats`] counts: they were not to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SentryStats {
    /// What was sent, and what was lost and why: events, transactions and logs.
    pub sent: SinkStats,
    /// Errors that came again within a minute: one event tells how many.
    pub repeated: u64,
    /// Errors that a rule ignores.
    pub ignored: u64,
    /// Errors that the sample rate or a hook of the program's left out.
    pub discarded: u64,
    /// Tags that Sentry would not take, by their name or because they are empty. They are fields of
    /// the event instead.
    pub refused_tags: u64,
}

/// An envelope waits for so long, all in all.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// For the breadcrumbs of all units.
const BREADCRUMB_MEMORY: usize = 32 * 1024 * 1024;

/// What is asked to last for longer lasts for so long: not every duration can be added to a time.
const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The guard, when it is dropped, waits for so long.
const DROP_TIMEOUT: Duration = Duration::from_secs(2);

impl Sentry {
    /// Begins to choose. Nothing is read from the environment.
    pub fn builder(dsn: Dsn) -> SentryBuilder {
        let mut client = ClientOptions::new();
        client.server_name = host_name().map(Into::into);
        SentryBuilder {
            dsn,
            options: Options::default(),
            static_tags: Vec::new(),
            invalid_levels: Vec::new(),
            client,
            sample_rate: 1.0,
            traces_sample_rate: 0.0,
            timeout: SEND_TIMEOUT,
            bounds: Bounds {
                parcels: 4096,
                bytes: 32 * 1024 * 1024,
            },
            root_certificates: Vec::new(),
            dedup_window: Duration::from_secs(60),
            report: SelfReport::default(),
            clock: Clock::system(),
        }
    }

    /// What became of everything so far, in this process.
    #[must_use]
    pub fn stats(&self) -> SentryStats {
        let load = |counter: &std::sync::atomic::AtomicU64| {
            counter.load(std::sync::atomic::Ordering::Relaxed)
        };
        let Some(queue) = self.pipeline.states.existing() else {
            return SentryStats::default();
        };
        let Counts {
            ignored,
            repeated,
            discarded,
            refused_tags,
        } = &queue.counts;
        SentryStats {
            sent: queue.outbox.counters.stats(),
            repeated: load(repeated),
            ignored: load(ignored),
            discarded: load(discarded),
            refused_tags: load(refused_tags),
        }
    }

    /// The client of sentry's. Bound to a [`Hub`], `sentry::capture_message` and the like go the same way: read by the policy,
    /// queued, counted.
    #[must_use]
    pub fn client(&self) -> Arc<Client> {
        Arc::clone(&self.pipeline.client)
    }

    /// Binds the client to the main hub and to that of this thread.
    pub fn bind(&self) {
        Hub::main().bind_client(Some(self.client()));
        if !is_thread_exiting() {
            Hub::current().bind_client(Some(self.client()));
        }
    }
}

impl Flush for Sentry {
    /// Waits for what is on its way to Sentry. A server that cannot be reached is not waited for.
    fn flush(&self, deadline: Instant) -> io::Result<()> {
        self.pipeline.drain(deadline);
        let queue = self.pipeline.states.existing();
        if queue.is_none_or(|queue| queue.outbox.flush(deadline)) {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "not all events are with Sentry",
        ))
    }
}

impl SinkControl for Sentry {
    fn name(&self) -> &'static str {
        "sentry"
    }

    fn shutdown_by(&self, deadline: Instant) {
        self.pipeline.drain(deadline);
        self.pipeline.end_deferred();
        self.pipeline.states.end(deadline);
    }
}

impl SentryGuard {
    /// Sends what is left, waiting at most `deadline` for it.
    #[expect(
        clippy::must_use_candidate,
        reason = "most programs end here and ask no more"
    )]
    pub fn shutdown(mut self, deadline: Duration) -> SentryStats {
        self.has_ended = true;
        self.sentry.shutdown_by(after(deadline));
        self.sentry.stats()
    }

    /// The project, to flush or to ask about.
    #[must_use]
    pub fn sentry(&self) -> Sentry {
        self.sentry.clone()
    }
}

impl Drop for SentryGuard {
    fn drop(&mut self) {
        if !self.has_ended {
            self.sentry.shutdown_by(after(DROP_TIMEOUT));
        }
    }
}

fn after(duration: Duration) -> Instant {
    Instant::now() + duration.min(MAX_TIMEOUT)
}

impl SentryBuilder {
    /// Sets the release, such as `shop@1.4.0`. Default: none.
    pub fn release(mut self, release: impl Into<String>) -> Self {
        self.client.release = Some(release.into().into());
        self
    }

    /// Sets the environment, such as `production`. Default: none, which Sentry takes for `production`.
    pub fn environment(mut self, environment: impl Into<String>) -> Self {
        self.client.environment = Some(environment.into().into());
        self
    }

    /// Sets which events are errors. Default: `error`.
    pub fn event_levels(mut self, levels: impl Into<SettingValue<TargetLevels>>) -> Self {
        if let Some(levels) = self.levels("event_levels", levels.into()) {
            self.options.events = levels;
        }
        self
    }

    /// Sets which events are breadcrumbs. Default: `info`.
    pub fn breadcrumb_levels(mut self, levels: impl Into<SettingValue<TargetLevels>>) -> Self {
        if let Some(levels) = self.levels("breadcrumb_levels", levels.into()) {
            self.options.breadcrumbs = levels;
        }
        self
    }

    /// Sends events of these levels as logs, too. Default: none.
    pub fn logs(mut self, levels: impl Into<SettingValue<TargetLevels>>) -> Self {
        let levels = self.levels("logs", levels.into());
        self.options.logs = levels.or(self.options.logs);
        self
    }

    /// Returns the levels that a setter is given; nothing if they are empty, or wrong.
    fn levels(
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

    /// Sets the share of errors that are sent, from 0 to 1. Default: 1.
    pub fn sample_rate(mut self, share: f64) -> Self {
        self.sample_rate = share;
        self
    }

    /// Sets the share of units of work that are sent as transactions, from 0 to 1. Default: 0.
    ///
    /// Decided by the trace id: of two services with the same rate both send a trace, or neither does; and a sampler of lines with the
    /// same rate keeps the lines of the traces that are sent.
    pub fn traces_sample_rate(mut self, share: f64) -> Self {
        self.traces_sample_rate = share;
        self
    }

    /// Makes a tag of one more span field, besides `request_id` and `tenant_id`; so is each field whose name begins with `tags.`.
    pub fn tag(mut self, field: impl Into<String>) -> Self {
        self.options.keys.add(field.into());
        self
    }

    /// Adds a tag to every event, transaction and log, such as the region of a service. The last
    /// value of a tag counts. A field of the same name has no effect on it. A value of more than 200
    /// characters is cut.
    pub fn static_tag(mut self, tag: impl Into<String>, value: impl Into<String>) -> Self {
        self.static_tags.push((tag.into(), value.into()));
        self
    }

    /// Sends no errors of this target, nor of those below it.
    pub fn ignore_target(mut self, target: impl Into<String>) -> Self {
        self.options.ignore.target(target.into());
        self
    }

    /// Sends no errors that say this, in their message or in an error of their chain.
    pub fn ignore_message(mut self, part: impl Into<String>) -> Self {
        self.options.ignore.message(part.into());
        self
    }

    /// Sends no errors that have an error of this type in their chain: its name alone, such as `ClientGone`. An error of `std::io` is an
    /// `io::Error`.
    pub fn ignore_error(mut self, ty: impl Into<String>) -> Self {
        self.options.ignore.error(ty.into());
        self
    }

    /// Sets for how long an error that comes again, from the same place with the same message and the same chain, in the same
    /// transaction, is only counted: then
    /// one event tells how often. Default: 60 s; with zero each of them is sent.
    pub fn dedup_window(mut self, window: Duration) -> Self {
        self.dedup_window = window;
        self
    }

    /// Leaves it to Sentry which errors are one issue. By default those are that come from the same
    /// target and say the same, but for numbers, ids, addresses and paths.
    pub fn without_grouping(mut self) -> Self {
        self.options.grouping = Grouping::BySentry;
        self
    }

    /// Calls `hook` with each error that is about to be sent: it changes it, or returns nothing and so leaves it out. What it puts in is
    /// read by the policy as well.
    pub fn before_send<F>(mut self, hook: F) -> Self
    where
        F: Fn(Event<'static>) -> Option<Event<'static>> + Send + Sync + 'static,
    {
        self.client.before_send = Some(Arc::new(hook));
        self
    }

    /// Changes what else sentry's client can be told: integrations, a proxy, the name of the server. Its DSN, its transport and its
    /// rates are set from here.
    pub fn options(mut self, change: impl FnOnce(ClientOptions) -> ClientOptions) -> Self {
        self.client = change(self.client);
        self
    }

    /// Hides what `policy` hides, in all that is sent. Default: nothing is hidden.
    pub fn redact(mut self, policy: Arc<dyn Redact>) -> Self {
        self.options.policy = Some(policy);
        self
    }

    /// Sets how long sending one envelope may take, from the look-up of the name to the end of the answer. Default: 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how much may wait to be sent: envelopes, and bytes in all. Default: 4,096 and 32 MiB. Errors may take all of it, what is
    /// not an error half.
    pub fn queue(mut self, envelopes: usize, bytes: usize) -> Self {
        self.bounds = Bounds {
            parcels: envelopes,
            bytes,
        };
        self
    }

    /// Trusts these certificates, in PEM, and no others: for a Sentry of one's own. Default: those of Mozilla.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates = pem.into();
        self
    }

    /// Sets where it is counted and told what is lost. Default: the report of the process.
    pub fn report(mut self, report: SelfReport) -> Self {
        self.report = report;
        self
    }

    /// Sets the clock. Default: the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Starts the thread that sends.
    ///
    /// # Errors
    /// [`SentryError`] if the text of levels is wrong, if a share is not between 0 and 1, if Sentry does not take a static tag, if
    /// the certificates or the proxy cannot be read, or if there is no thread to be had.
    pub fn build(self) -> Result<(SentryLayer, SentryGuard), SentryError> {
        let Self {
            dsn,
            mut options,
            static_tags,
            invalid_levels,
            mut client,
            sample_rate,
            traces_sample_rate,
            timeout,
            bounds,
            root_certificates,
            dedup_window,
            report,
            clock,
        } = self;
        if !invalid_levels.is_empty() {
            return Err(SentryError::Levels(invalid_levels));
        }
        for (tag, value) in static_tags {
            if !options.keys.add_static(&tag, &value.into()) {
                return Err(SentryError::Tag(tag));
            }
        }
        let certificates = read_certificates(&root_certificates)?;
        let proxy = proxy_of(&dsn, &client)?;
        for warning in setup_warnings(&dsn, proxy.as_ref()) {
            // Each by itself: the first does not keep back the second.
            report.fault_unthrottled(Fault::Setup, &warning);
        }
        let connection = Connection {
            proxy,
            dsn: dsn.0.clone(),
            user_agent: client.user_agent.to_string(),
            timeout: timeout.min(MAX_TIMEOUT),
            root_certificates: certificates,
        };
        client.dsn = Some(dsn.0);
        let share =
            |what, share| Threshold::from_ratio(share).ok_or(SentryError::SampleRate(what, share));
        client = client.sample_rate(share("sample rate", sample_rate)?.ratio() as f32);
        let traces = share("traces sample rate", traces_sample_rate)?;
        options.traces = (traces.ratio() > 0.0).then_some(traces);
        client.traces_sampling_strategy = sentry_core::TracesSamplingStrategy::Disabled;
        let window = dedup_window.min(MAX_TIMEOUT);
        let states = Arc::new(ProcessStates::new(connection, bounds, window, report));
        let transport = QueueTransport {
            states: Arc::clone(&states),
            policy: options.policy.clone(),
        };
        client.transport = Some(Arc::new(Arc::new(transport)));
        let policy: Arc<dyn Redact> = match &options.policy {
            Some(policy) => Arc::clone(policy),
            None => Arc::new(NoRedaction),
        };
        let pipeline = Arc::new(Pipeline {
            client: Arc::new(Client::with_options(client)),
            states: Arc::clone(&states),
            options,
            memory: MemoryBudget::new(BREADCRUMB_MEMORY),
            clock,
        });
        let tasks: Arc<dyn PeriodicTasks> = Arc::<Pipeline>::clone(&pipeline);
        let tasks: Weak<dyn PeriodicTasks> = Arc::downgrade(&tasks);
        states.start(tasks).map_err(SentryError::Thread)?;
        let layer = SentryLayer::new(&pipeline, policy);
        let guard = SentryGuard {
            sentry: Sentry { pipeline },
            has_ended: false,
        };
        Ok((layer, guard))
    }
}

fn read_certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>, SentryError> {
    if pem.is_empty() {
        return Ok(Vec::new());
    }
    let items: Result<Vec<PemItem<'static>>, _> = ureq::tls::parse_pem(pem).collect();
    let items = items.map_err(|_| SentryError::Certificates)?;
    let certificates: Vec<_> = items
        .into_iter()
        .filter_map(|item| match item {
            PemItem::Certificate(certificate) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(SentryError::Certificates);
    }
    Ok(certificates)
}

fn proxy_of(dsn: &Dsn, client: &ClientOptions) -> Result<Option<Proxy>, SentryError> {
    let proxy = match dsn.0.scheme() {
        Scheme::Http => &client.http_proxy,
        Scheme::Https => &client.https_proxy,
    };
    let proxy = proxy.as_ref().map(|proxy| Proxy::new(proxy));
    proxy.transpose().map_err(|_| SentryError::Proxy)
}

/// Whether `host` is this machine.
fn is_local(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    host == "localhost" || host.ends_with(".localhost") || host.parse().is_ok_and(is_loopback)
}

/// What of the way to Sentry was perhaps not meant.
fn setup_warnings(dsn: &Dsn, proxy: Option<&Proxy>) -> Vec<String> {
    let host = dsn.0.host();
    let mut setup_warnings = Vec::new();
    let is_https = match dsn.0.scheme() {
        Scheme::Http => false,
        Scheme::Https => true,
    };
    if !is_https && !is_local(host) {
        setup_warnings.push(format!(
            "events and the key of the DSN go to {host} as anybody on the way can read them: the DSN begins with http; \
             use https"
        ));
    }
    // As the HTTP client looks for one.
    let from_env = || {
        Proxy::try_from_env()
            .filter(|_| !names_a_proxy(&["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"]))
    };
    if is_https
        && proxy.is_none()
        && let Some(proxy) = from_env()
        && !dsn
            .0
            .envelope_api_url()
            .as_str()
            .parse()
            .is_ok_and(|url| proxy.is_no_proxy(&url))
    {
        let (by, port) = (proxy.host(), proxy.port());
        setup_warnings.push(format!(
            "events go to {host} by the proxy {by}:{port} of HTTP_PROXY, though over https: set HTTPS_PROXY if that is meant, or \
             NO_PROXY={host}"
        ));
    }
    setup_warnings
}

/// Whether one of the variables holds an address that the HTTP client takes for a proxy.
fn names_a_proxy(names: &[&str]) -> bool {
    #[expect(
        clippy::disallowed_methods,
        reason = "the HTTP client reads them, and they are no settings of ours"
    )]
    let value = |name: &&str| std::env::var(name).ok();
    let mut values = names.iter().filter_map(value);
    values.any(|value| Proxy::new(&value).is_ok())
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

impl fmt::Display for SentryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SampleRate(what, share) => {
                write!(f, "the {what} {share} is out of range: it lies between 0 and 1; use 1 to send everything")
            }
            Self::Levels(wrong) => {
                let texts = wrong.iter().map(|InvalidLevels { setter, text, error }| {
                    format!("{setter}({text:?}): {error}")
                });
                f.write_str(&texts.collect::<Vec<_>>().join("; "))
            }
            Self::Tag(tag) => write!(
                f,
                "`{tag}` is no tag that Sentry takes: write 1 to 32 ASCII letters, digits, `_`, `.`, `:` and `-`, but not release, dist, user, \
                 filename or function"
            ),
            Self::Certificates => f.write_str("the root certificates cannot be read: they are to be in PEM, with `-----BEGIN CERTIFICATE-----`"),
            Self::Proxy => f.write_str("the proxy is no address of one: it looks like `http://<host>:<port>`"),
            Self::Thread(error) => write!(f, "no thread can be started that sends to Sentry: {error}; raise the limit of threads"),
        }
    }
}

impl std::error::Error for SentryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Thread(error) => Some(error),
            Self::SampleRate(..)
            | Self::Levels(_)
            | Self::Tag(_)
            | Self::Certificates
            | Self::Proxy => None,
        }
    }
}

//! From choices to a layer that sends.

use std::{
    fmt, io,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use sentry_core::{Client, ClientOptions, Hub, protocol::Event};
use spanwise_core::{
    Clock, Flush, NoRedaction, Redact, SelfReport, SinkStats, TargetLevels, chance::Threshold,
};
use ureq::{
    Proxy,
    tls::{Certificate, PemItem},
};

use crate::{
    Dsn, SentryLayer,
    around::Keys,
    ignore::Ignore,
    logs::Logs,
    outbox::{Bounds, Outbox},
    repeats::Repeats,
    sender::{self, Chores, Connection},
    sink::{Counts, Post, Sink},
    trail::Room,
};

/// A project of Sentry's, while events are sent to it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sentry {
    sink: Arc<Sink>,
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
pub struct Builder {
    dsn: Dsn,
    pub(crate) options: Options,
    client: ClientOptions,
    sample_rate: f64,
    traces_sample_rate: f64,
    timeout: Duration,
    bounds: Bounds,
    root_certificates: Vec<u8>,
    repeats_within: Duration,
    report: SelfReport,
    clock: Clock,
}

/// What is asked while events are made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub(crate) events: TargetLevels,
    pub(crate) breadcrumbs: TargetLevels,
    pub(crate) logs: Option<TargetLevels>,
    pub(crate) traces: Option<Threshold>,
    pub(crate) keys: Keys,
    pub(crate) ignore: Ignore,
    pub(crate) policy: Option<Arc<dyn Redact>>,
}

/// Why nothing is sent to Sentry.
#[derive(Debug)]
#[non_exhaustive]
pub enum SentryError {
    /// A share that is not between 0 and 1: of what, and the share.
    Share(&'static str, f64),
    /// The certificates are not in the form of PEM.
    Certificates,
    /// The proxy of the [`Builder::options`] is no address of one. It is not shown: it may hold a password.
    Proxy,
    /// No thread could be started that sends.
    Thread(io::Error),
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
    pub left_out: u64,
}

/// An envelope waits for so long, all in all.
const TIMEOUT: Duration = Duration::from_secs(5);

/// For the breadcrumbs of all units.
const ROOM: usize = 32 * 1024 * 1024;

/// What is asked to last for longer lasts for so long: not every duration can be added to a time.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The guard, when it is dropped, waits for so long.
const DROP_DEADLINE: Duration = Duration::from_secs(2);

impl Sentry {
    /// Begins to choose. Nothing is read from the environment.
    pub fn builder(dsn: Dsn) -> Builder {
        let mut client = ClientOptions::new();
        client.server_name = host_name().map(Into::into);
        Builder {
            dsn,
            options: Options::default(),
            client,
            sample_rate: 1.0,
            traces_sample_rate: 0.0,
            timeout: TIMEOUT,
            bounds: Bounds {
                parcels: 4096,
                bytes: 32 * 1024 * 1024,
            },
            root_certificates: Vec::new(),
            repeats_within: Duration::from_secs(60),
            report: SelfReport::default(),
            clock: Clock::system(),
        }
    }

    /// What became of everything so far.
    #[must_use]
    pub fn stats(&self) -> SentryStats {
        let load = |counter: &std::sync::atomic::AtomicU64| {
            counter.load(std::sync::atomic::Ordering::Relaxed)
        };
        let Counts {
            ignored,
            repeated,
            left_out,
        } = &self.sink.counts;
        SentryStats {
            sent: self.sink.outbox.counters.stats(),
            repeated: load(repeated),
            ignored: load(ignored),
            left_out: load(left_out),
        }
    }

    /// The client of sentry's. Bound to a [`Hub`], `sentry::capture_message` and the like go the same way: read by the policy,
    /// queued, counted.
    #[must_use]
    pub fn client(&self) -> Arc<Client> {
        Arc::clone(&self.sink.client)
    }

    /// Binds the client to the main hub and to that of this thread.
    pub fn bind(&self) {
        Hub::main().bind_client(Some(self.client()));
        Hub::current().bind_client(Some(self.client()));
    }

    /// Sends what can be sent until `deadline`, and ends. What could not be sent is counted as lost. Events that come later are lost, too.
    pub fn end(&self, deadline: Instant) {
        self.sink.let_go();
        self.sink.outbox.end(deadline);
    }
}

impl Flush for Sentry {
    /// Waits for what is on its way to Sentry. A server that cannot be reached is not waited for.
    fn flush(&self, deadline: Instant) -> io::Result<()> {
        self.sink.let_go();
        if self.sink.outbox.flush(deadline) {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "not all events are with Sentry",
        ))
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
        self.sentry.end(after(deadline));
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
            self.sentry.end(after(DROP_DEADLINE));
        }
    }
}

fn after(duration: Duration) -> Instant {
    Instant::now() + duration.min(LONGEST)
}

impl Builder {
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
    pub fn event_levels(mut self, levels: impl Into<TargetLevels>) -> Self {
        self.options.events = levels.into();
        self
    }

    /// Sets which events are breadcrumbs. Default: `info`.
    pub fn breadcrumb_levels(mut self, levels: impl Into<TargetLevels>) -> Self {
        self.options.breadcrumbs = levels.into();
        self
    }

    /// Sends events of these levels as logs, too. Default: none.
    pub fn logs(mut self, levels: impl Into<TargetLevels>) -> Self {
        self.options.logs = Some(levels.into());
        self
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
    pub fn repeats_within(mut self, window: Duration) -> Self {
        self.repeats_within = window;
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
    /// [`SentryError`] if a share is not between 0 and 1, if the certificates or the proxy cannot be read, or if there is no thread to be had.
    pub fn build(self) -> Result<(SentryLayer, SentryGuard), SentryError> {
        let Self {
            dsn,
            mut options,
            mut client,
            sample_rate,
            traces_sample_rate,
            timeout,
            bounds,
            root_certificates,
            repeats_within,
            report,
            clock,
        } = self;
        let certificates = read_certificates(&root_certificates)?;
        let counters = report.sink("sentry");
        let outbox = Arc::new(Outbox::new(bounds, counters, report));
        let connection = Connection {
            proxy: proxy_of(&dsn, &client)?,
            dsn: dsn.0.clone(),
            user_agent: client.user_agent.to_string(),
            timeout: timeout.min(LONGEST),
            root_certificates: certificates,
        };
        client.dsn = Some(dsn.0);
        let share = |what, share| Threshold::of(share).ok_or(SentryError::Share(what, share));
        client = client.sample_rate(share("sample rate", sample_rate)?.share() as f32);
        let traces = share("traces sample rate", traces_sample_rate)?;
        options.traces = (traces.share() > 0.0).then_some(traces);
        client.traces_sampling_strategy = sentry_core::TracesSamplingStrategy::Disabled;
        let post = Post {
            outbox: Arc::clone(&outbox),
            policy: options.policy.clone(),
        };
        client.transport = Some(Arc::new(Arc::new(post)));
        let policy: Arc<dyn Redact> = match &options.policy {
            Some(policy) => Arc::clone(policy),
            None => Arc::new(NoRedaction),
        };
        let sink = Arc::new(Sink {
            client: Arc::new(Client::with_options(client)),
            outbox: Arc::clone(&outbox),
            options,
            repeats: Repeats::new(repeats_within.min(LONGEST)),
            logs: Logs::default(),
            room: Room::new(ROOM),
            clock,
            counts: Counts::default(),
        });
        let chores: Arc<dyn Chores> = Arc::<Sink>::clone(&sink);
        let chores: Weak<dyn Chores> = Arc::downgrade(&chores);
        sender::start(outbox, connection, chores).map_err(SentryError::Thread)?;
        let layer = SentryLayer::new(&sink, policy);
        let guard = SentryGuard {
            sentry: Sentry { sink },
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
        sentry_core::types::Scheme::Http => &client.http_proxy,
        sentry_core::types::Scheme::Https => &client.https_proxy,
    };
    let proxy = proxy.as_ref().map(|proxy| Proxy::new(proxy));
    proxy.transpose().map_err(|_| SentryError::Proxy)
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

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("dsn", &self.dsn)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for SentryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(what, share) => {
                write!(f, "the {what} {share} is out of range: it lies between 0 and 1; use 1 to send everything")
            }
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
            Self::Share(..) | Self::Certificates | Self::Proxy => None,
        }
    }
}

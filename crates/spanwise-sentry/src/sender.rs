//! The thread that sends.

use std::{
    cell::Cell,
    io,
    sync::{Arc, Weak},
    thread,
    time::{Duration, Instant},
};

use sentry_core::types;
use spanwise_core::{
    Fault, REDACTED,
    internal::{SinkCounters, panic_safe},
};
use ureq::{
    Agent, Proxy,
    tls::{Certificate, RootCerts, TlsConfig},
};

use crate::{
    outbox::{Next, Outbox, Parcel, pause},
    rate_limits::RateLimits,
};

/// How a server is talked to.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) dsn: types::Dsn,
    pub(crate) user_agent: String,
    pub(crate) timeout: Duration,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) root_certificates: Vec<Certificate<'static>>,
}

/// What else the thread does, at the times it says.
pub(crate) trait PeriodicTasks: Send + Sync + 'static {
    /// When there is something to do next.
    fn next(&self) -> Option<Instant>;
    fn run(&self, now: Instant);
}

/// What a thread does for Sentry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    None,
    /// It talks to the server.
    Sending,
    /// It sends, and now calls what the program has given us.
    RunsTasks,
}

thread_local! {
    static ROLE: Cell<Role> = const { Cell::new(Role::None) };
}

fn role() -> Role {
    // A thread that has none any more is none of ours.
    ROLE.try_with(Cell::get).unwrap_or(Role::None)
}

/// Whether this is a thread that sends: what is logged there is about sending, and sending it would have no end.
pub(crate) fn is_this_thread() -> bool {
    role() != Role::None
}

/// Whether this thread talks to the server right now: what is logged shows requests, whose headers
/// hold the key of the DSN.
#[inline]
pub(crate) fn is_sending() -> bool {
    role() == Role::Sending
}

/// An envelope that was not sent by then is given up: nobody looks for it any more.
const MAX_AGE: Duration = Duration::from_secs(10 * 60);

/// Of an answer no more is read.
const MAX_ANSWER_LEN: u64 = 16 * 1024;

pub(crate) fn start(
    outbox: Arc<Outbox>,
    connection: Connection,
    tasks: Weak<dyn PeriodicTasks>,
) -> io::Result<()> {
    thread::Builder::new()
        .name("spanwise-sentry".to_owned())
        .spawn(move || {
            ROLE.set(Role::Sending);
            Sender::new(outbox, connection).run(&tasks);
        })
        .map(drop)
}

struct Sender {
    outbox: Arc<Outbox>,
    agent: Agent,
    url: String,
    auth: String,
    /// The keys of the DSN, which nobody is told.
    keys: Vec<String>,
    limits: RateLimits,
    failures: u32,
    not_before: Option<Instant>,
}

/// What became of a parcel.
enum Outcome {
    Taken,
    /// The server does not want it, and never will.
    Refused(String),
    /// The server cannot be reached, or is not well.
    Failed(String),
}

impl Sender {
    fn new(outbox: Arc<Outbox>, connection: Connection) -> Self {
        let Connection {
            dsn,
            user_agent,
            timeout,
            proxy,
            root_certificates,
        } = connection;
        let mut config = Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(1)
            .user_agent(user_agent.as_str());
        if let Some(proxy) = proxy {
            config = config.proxy(Some(proxy));
        }
        if !root_certificates.is_empty() {
            let roots = RootCerts::new_with_certs(&root_certificates);
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        Self {
            outbox,
            agent: config.build().into(),
            url: dsn.envelope_api_url().to_string(),
            auth: dsn.to_auth(Some(&user_agent)).to_string(),
            keys: [Some(dsn.public_key()), dsn.secret_key()]
                .into_iter()
                .flatten()
                .filter(|key| !key.is_empty())
                .map(str::to_owned)
                .collect(),
            limits: RateLimits::default(),
            failures: 0,
            not_before: None,
        }
    }

    fn run(mut self, tasks: &Weak<dyn PeriodicTasks>) {
        loop {
            let tick = tasks.upgrade().and_then(|tasks| tasks.next());
            match self.outbox.next(tick, self.not_before) {
                Next::Send(parcel) => self.send(parcel),
                Next::Tick => {
                    if let Some(tasks) = tasks.upgrade() {
                        ROLE.set(Role::RunsTasks);
                        tasks.run(Instant::now());
                        drop(tasks);
                        ROLE.set(Role::Sending);
                    }
                }
                Next::End => return,
            }
        }
    }

    fn send(&mut self, parcel: Parcel) {
        let now = Instant::now();
        if !self.limits.allow(parcel.category, now) {
            return self.refused(&"Sentry takes no more for now: a rate limit");
        }
        // What a resolver or a TLS library does is not ours: the thread lives on.
        let panicked = || Outcome::Failed("the HTTP client panicked".to_owned());
        match panic_safe::catch_panic(|| self.post(&parcel)).unwrap_or_else(panicked) {
            Outcome::Taken => {
                self.failures = 0;
                self.not_before = None;
                self.outbox.settle(SinkCounters::add_delivered);
            }
            Outcome::Refused(why) => {
                self.failures = 0;
                self.not_before = None;
                self.refused(&why);
            }
            Outcome::Failed(why) => {
                self.failures += 1;
                self.not_before = Some(Instant::now() + pause(self.failures));
                if now.saturating_duration_since(parcel.queued) > MAX_AGE {
                    return self.refused(&why);
                }
                self.outbox.put_back(parcel);
                if !self.outbox.is_ended() {
                    let why = format_args!("cannot send to Sentry, which is tried again: {why}");
                    self.outbox.report.fault(Fault::FlushFailed, &why);
                }
            }
        }
    }

    fn refused(&self, why: &dyn std::fmt::Display) {
        if self.outbox.settle(SinkCounters::add_write_failed) {
            self.outbox.report.fault(Fault::WriteFailed, why);
        }
    }

    fn without_keys(&self, text: &str) -> String {
        let keys = self.keys.iter();
        keys.fold(text.to_owned(), |text, key| text.replace(key, REDACTED))
    }

    fn post(&mut self, parcel: &Parcel) -> Outcome {
        let request = self
            .agent
            .post(&self.url)
            .header("Content-Type", "application/x-sentry-envelope")
            .header("X-Sentry-Auth", &self.auth);
        let mut response = match request.send(&parcel.bytes[..]) {
            Ok(response) => response,
            Err(error) => return Outcome::Failed(self.without_keys(&error.to_string())),
        };
        let status = response.status().as_u16();
        let header = |name| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let (retry_after, limits) = (header("retry-after"), header("x-sentry-rate-limits"));
        self.limits.update(
            status,
            retry_after.as_deref(),
            limits.as_deref(),
            Instant::now(),
        );
        // Read to its end, so that the connection can be used again.
        let body = response.body_mut().with_config().limit(MAX_ANSWER_LEN);
        let answer = body.read_to_string().unwrap_or_default();
        let said = |answer: &str| {
            let answer: String = answer.chars().take(200).collect();
            // A proxy may repeat what it was sent.
            let answer = self.without_keys(answer.trim());
            format!("Sentry answers {status}: {answer}")
        };
        match status {
            200..300 => Outcome::Taken,
            429 => Outcome::Refused("Sentry takes no more for now: a rate limit".to_owned()),
            500.. => Outcome::Failed(said(&answer)),
            _ => Outcome::Refused(said(&answer)),
        }
    }
}

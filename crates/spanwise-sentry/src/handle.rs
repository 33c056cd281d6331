//! The handle of a running exporter, and its guard.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use sentry_core::{Client, Hub};
use spanwise_core::{Flush, SinkControl, SinkStats, internal::deadline_after};

use crate::{capture_scope::is_thread_exiting, pipeline::Pipeline};

/// A handle of the exporter to a Sentry project. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sentry {
    pub(crate) pipeline: Arc<Pipeline>,
}

/// A guard that shuts down the exporter when it is dropped. The drop takes at most two seconds.
/// Keep the guard in `main`.
#[derive(Debug)]
#[must_use = "dropping it shuts down the exporter: bind it with `let _guard = …`, not `let _ = …`"]
pub struct SentryGuard {
    sentry: Sentry,
    has_ended: bool,
}

/// Counts of events since the start of this process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SentryStats {
    /// Counts of sent and lost events, transactions and logs.
    pub sent: SinkStats,
    /// Error events that repeated another one within the window. One event reports their number.
    /// Also counts the events that `spanwise-http` logs for failed requests, if they only repeat an
    /// earlier error of the request.
    pub repeated: u64,
    /// Error events that an ignore rule dropped.
    pub ignored: u64,
    /// Error events that the sample rate, a hook or an integration discarded.
    pub discarded: u64,
    /// Tags of error events that Sentry would refuse because of their name, or because they are
    /// empty. They stay fields of the event or the span.
    pub refused_tags: u64,
}

/// The timeout of the shutdown when a guard is dropped.
const DROP_TIMEOUT: Duration = Duration::from_secs(2);

impl Sentry {
    /// Returns the counts of this process so far.
    #[must_use]
    pub fn stats(&self) -> SentryStats {
        let Some(process) = self.pipeline.exporter.existing() else {
            return SentryStats::default();
        };
        let counts = &process.state.counts;
        SentryStats {
            sent: process.queue.counters().stats(),
            repeated: counts.repeated.get(),
            ignored: counts.ignored.get(),
            discarded: counts.discarded.get(),
            refused_tags: counts.refused_tags.get(),
        }
    }

    /// Returns Sentry's client. If it is bound to a [`Hub`], it also sends the captures of
    /// `sentry::capture_message` and similar functions. Such captures are redacted, queued and
    /// counted, too.
    #[must_use]
    pub fn client(&self) -> Arc<Client> {
        Arc::clone(&self.pipeline.client)
    }

    /// Binds the client to the main hub and to the hub of this thread.
    pub fn bind(&self) {
        Hub::main().bind_client(Some(self.client()));
        if !is_thread_exiting() {
            Hub::current().bind_client(Some(self.client()));
        }
    }
}

impl Flush for Sentry {
    /// Waits until everything is sent. Does not wait for an unreachable server.
    fn flush_by(&self, deadline: Instant) -> io::Result<()> {
        self.pipeline.drain(deadline);
        match self.pipeline.exporter.existing() {
            Some(process) => process.queue.flush(deadline),
            None => Ok(()),
        }
    }
}

impl SinkControl for Sentry {
    fn name(&self) -> &'static str {
        crate::NAME
    }

    fn hurry(&self) {
        self.pipeline.hurry();
    }

    fn shutdown_by(&self, deadline: Instant) {
        self.pipeline.drain(deadline);
        self.pipeline.end_deferred();
        self.pipeline.exporter.shutdown_by(deadline);
    }
}

impl SentryGuard {
    pub(crate) fn new(pipeline: Arc<Pipeline>) -> Self {
        Self {
            sentry: Sentry { pipeline },
            has_ended: false,
        }
    }

    /// Sends the queued events for up to `timeout`, and counts the rest as lost.
    #[expect(
        clippy::must_use_candidate,
        reason = "most programs end here and do not need the counts"
    )]
    pub fn shutdown(mut self, timeout: Duration) -> SentryStats {
        self.has_ended = true;
        self.sentry.shutdown_by(deadline_after(timeout));
        self.sentry.stats()
    }

    /// Returns the handle of the exporter, which can flush and read the counts.
    #[must_use]
    pub fn sentry(&self) -> Sentry {
        self.sentry.clone()
    }
}

impl Drop for SentryGuard {
    fn drop(&mut self) {
        if !self.has_ended {
            self.sentry.shutdown_by(deadline_after(DROP_TIMEOUT));
        }
    }
}

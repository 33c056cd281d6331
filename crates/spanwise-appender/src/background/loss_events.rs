//! Events that report lines missing from the log.

use std::{
    mem,
    time::{Duration, Instant},
};

use spanwise_core::{ShedCounts, internal::SinkCounters};

/// An event at WARN with the target `spanwise`. The application's layers format it like any event.
#[derive(Debug)]
pub(crate) enum LossEvent {
    SheddingStarted,
    SheddingEnded {
        counts: ShedCounts,
        after: Duration,
    },
    /// The output works again.
    Recovered(Recovery),
}

/// The end of one or more failures since the last event.
#[derive(Debug)]
pub(crate) struct Recovery {
    /// The number of records that were lost during the failures.
    pub(crate) lost: u64,
    /// The total duration of the failures.
    pub(crate) after: Duration,
    /// The first error of the last failure.
    pub(crate) error: String,
}

impl LossEvent {
    pub(crate) fn log(&self, output: &str) {
        match self {
            Self::SheddingStarted => {
                tracing::warn!(target: "spanwise", output, "the output is behind: lines are dropped");
            }
            Self::SheddingEnded { counts, after } => tracing::warn!(
                target: "spanwise",
                output,
                shed.error = counts.error,
                shed.warn = counts.warn,
                shed.info = counts.info,
                shed.debug = counts.debug,
                shed.trace = counts.trace,
                duration_ms = millis(*after),
                "the output was behind: lines were dropped"
            ),
            Self::Recovered(Recovery { lost, after, error }) => tracing::warn!(
                target: "spanwise",
                output,
                lost,
                error = error.as_str(),
                duration_ms = millis(*after),
                "the output accepts lines again"
            ),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Loss events that were not logged yet.
#[derive(Debug, Default)]
pub(crate) struct PendingLossEvents {
    shedding: Option<Shedding>,
    recovery: Option<Recovery>,
    recovery_logged_at: Option<Instant>,
    /// The lines shed from the start until the last [`LossEvent::SheddingEnded`].
    logged_counts: ShedCounts,
    /// The time of the last [`LossEvent::SheddingEnded`].
    shedding_logged_at: Option<Instant>,
    /// The time at which another thread began to log an event.
    logging_since: Option<Instant>,
}

#[derive(Debug)]
struct Shedding {
    since: Instant,
    start_logged: bool,
}

/// The minimum time between two events of a kind, except for the end of shedding at a shutdown.
///
/// Each event is itself a line. So an output that refuses every second write would otherwise refuse
/// the event, recover, and cause the next event, endlessly.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// How long the next event and the shutdown wait for an event that is being logged.
const LOG_TIMEOUT: Duration = Duration::from_millis(200);

impl PendingLossEvents {
    /// Notes a shed line. Returns whether it is the first one since shedding last ended.
    pub(crate) fn shed(&mut self) -> bool {
        let is_first = self.shedding.is_none();
        self.shedding.get_or_insert_with(|| Shedding {
            since: Instant::now(),
            start_logged: false,
        });
        is_first
    }

    pub(crate) fn recovered(&mut self, recovery: Recovery) {
        let (lost, after) = match self.recovery.take() {
            Some(before) => (before.lost, before.after),
            None => (0, Duration::ZERO),
        };
        self.recovery = Some(Recovery {
            lost: lost + recovery.lost,
            after: after + recovery.after,
            error: recovery.error,
        });
    }

    pub(crate) const fn are_pending(&self) -> bool {
        self.shedding.is_some() || self.recovery.is_some()
    }

    /// Notes that another thread now logs an event.
    pub(crate) fn log_started(&mut self) {
        self.logging_since = Some(Instant::now());
    }

    pub(crate) const fn log_ended(&mut self) {
        self.logging_since = None;
    }

    /// Returns whether another thread is logging an event and is within [`LOG_TIMEOUT`].
    pub(crate) fn is_logging(&self) -> bool {
        let is_recent = |since: Instant| since.elapsed() < LOG_TIMEOUT;
        self.logging_since.is_some_and(is_recent)
    }

    /// Returns the event that is due, if any. `is_calm` means that no level is shed now, and that
    /// the buffer is less than half full. `is_last` means that this is the last chance to log.
    pub(crate) fn due(
        &mut self,
        counters: &SinkCounters,
        is_calm: bool,
        is_last: bool,
    ) -> Option<LossEvent> {
        let is_recent = |at: Option<Instant>| at.is_some_and(|at| at.elapsed() < MIN_INTERVAL);
        if !is_recent(self.recovery_logged_at) {
            if let Some(recovery) = self.recovery.take() {
                self.recovery_logged_at = Some(Instant::now());
                return Some(LossEvent::Recovered(recovery));
            }
        } else if is_last {
            // Too soon after the previous event, and there is no later chance.
            self.recovery = None;
        }
        let shedding = self.shedding.as_mut()?;
        let may_log = !is_recent(self.shedding_logged_at);
        if is_last || is_calm && may_log {
            let (after, start_logged) = (shedding.since.elapsed(), shedding.start_logged);
            self.shedding = None;
            self.shedding_logged_at = Some(Instant::now());
            let all = counters.stats().shed;
            let counts = difference(all, mem::replace(&mut self.logged_counts, all));
            let is_news = start_logged || counts.total() > 0;
            return is_news.then_some(LossEvent::SheddingEnded { counts, after });
        }
        let starts = !is_calm && may_log && !mem::replace(&mut shedding.start_logged, true);
        starts.then_some(LossEvent::SheddingStarted)
    }
}

fn difference(all: ShedCounts, before: ShedCounts) -> ShedCounts {
    ShedCounts {
        error: all.error - before.error,
        warn: all.warn - before.warn,
        info: all.info - before.info,
        debug: all.debug - before.debug,
        trace: all.trace - before.trace,
    }
}

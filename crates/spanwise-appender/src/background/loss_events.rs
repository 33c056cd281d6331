//! Events that report lines missing from the log, so that a reader of the log notices the gap.

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
        duration: Duration,
    },
    /// The output works again.
    Recovered(Recovery),
}

/// The end of a failure of the output. Failures that end before the next event is logged are added
/// up.
#[derive(Debug)]
pub(crate) struct Recovery {
    /// The number of records that were lost during the failures.
    pub(crate) lost: u64,
    /// The total duration of the failures.
    pub(crate) duration: Duration,
    /// The first error of the last failure.
    pub(crate) error: String,
}

impl LossEvent {
    pub(crate) fn log(&self, output: &str) {
        match self {
            Self::SheddingStarted => {
                tracing::warn!(target: "spanwise", output, "the output is behind: lines are dropped");
            }
            Self::SheddingEnded { counts, duration } => tracing::warn!(
                target: "spanwise",
                output,
                shed.error = counts.error,
                shed.warn = counts.warn,
                shed.info = counts.info,
                shed.debug = counts.debug,
                shed.trace = counts.trace,
                duration_ms = millis(*duration),
                "the output was behind: lines were dropped"
            ),
            Self::Recovered(Recovery {
                lost,
                duration,
                error,
            }) => tracing::warn!(
                target: "spanwise",
                output,
                lost,
                error = error.as_str(),
                duration_ms = millis(*duration),
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
    /// The total of shed lines at the last [`LossEvent::SheddingEnded`].
    logged_counts: ShedCounts,
    /// The time of the last [`LossEvent::SheddingEnded`].
    shedding_logged_at: Option<Instant>,
    /// The time at which another thread began to log an event, while it does so.
    logging_since: Option<Instant>,
}

/// A period of shedding that no [`LossEvent::SheddingEnded`] has reported.
#[derive(Debug)]
struct Shedding {
    since: Instant,
    /// Whether [`LossEvent::SheddingStarted`] was logged.
    is_start_logged: bool,
}

/// The minimum time between two events of a kind, except for the end of shedding at a shutdown.
///
/// Each event is itself a line. Without this interval, an output that refuses every second write
/// would refuse the event, recover, and cause the next event, endlessly.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// The longest time for which the next event and the shutdown wait for an event that another thread
/// is logging.
const LOG_TIMEOUT: Duration = Duration::from_millis(200);

impl PendingLossEvents {
    /// Notes that a line was shed. Returns whether it is the first one since shedding last ended.
    pub(crate) fn note_shed(&mut self) -> bool {
        let is_first = self.shedding.is_none();
        self.shedding.get_or_insert_with(|| Shedding {
            since: Instant::now(),
            is_start_logged: false,
        });
        is_first
    }

    pub(crate) fn note_recovery(&mut self, recovery: Recovery) {
        let (lost, duration) = match self.recovery.take() {
            Some(earlier) => (earlier.lost, earlier.duration),
            None => (0, Duration::ZERO),
        };
        self.recovery = Some(Recovery {
            lost: lost + recovery.lost,
            duration: duration + recovery.duration,
            error: recovery.error,
        });
    }

    pub(crate) const fn are_pending(&self) -> bool {
        self.shedding.is_some() || self.recovery.is_some()
    }

    /// Notes that another thread now logs an event.
    pub(crate) fn note_log_started(&mut self) {
        self.logging_since = Some(Instant::now());
    }

    pub(crate) const fn note_log_ended(&mut self) {
        self.logging_since = None;
    }

    /// Returns whether another thread is logging an event, and began less than [`LOG_TIMEOUT`] ago.
    pub(crate) fn is_logging(&self) -> bool {
        let is_recent = |since: Instant| since.elapsed() < LOG_TIMEOUT;
        self.logging_since.is_some_and(is_recent)
    }

    /// Removes and returns the event that is due, if any. `is_calm` means that no level is shed
    /// now, and that the buffer is less than half full. `is_last` means that this is the last
    /// chance to log.
    pub(crate) fn take_due(
        &mut self,
        counters: &SinkCounters,
        is_calm: bool,
        is_last: bool,
    ) -> Option<LossEvent> {
        let is_recent = |time: Option<Instant>| time.is_some_and(|at| at.elapsed() < MIN_INTERVAL);
        if !is_recent(self.recovery_logged_at) {
            if let Some(recovery) = self.recovery.take() {
                self.recovery_logged_at = Some(Instant::now());
                return Some(LossEvent::Recovered(recovery));
            }
        } else if is_last {
            // It is too soon after the previous event, and there is no later chance to log.
            self.recovery = None;
        }
        let shedding = self.shedding.as_mut()?;
        let may_log = !is_recent(self.shedding_logged_at);
        if is_last || is_calm && may_log {
            let (duration, is_start_logged) = (shedding.since.elapsed(), shedding.is_start_logged);
            self.shedding = None;
            self.shedding_logged_at = Some(Instant::now());
            let total = counters.stats().shed;
            let counts = difference(total, mem::replace(&mut self.logged_counts, total));
            let is_news = is_start_logged || counts.total() > 0;
            return is_news.then_some(LossEvent::SheddingEnded { counts, duration });
        }
        let must_log_start =
            !is_calm && may_log && !mem::replace(&mut shedding.is_start_logged, true);
        must_log_start.then_some(LossEvent::SheddingStarted)
    }
}

fn difference(total: ShedCounts, earlier: ShedCounts) -> ShedCounts {
    ShedCounts {
        error: total.error - earlier.error,
        warn: total.warn - earlier.warn,
        info: total.info - earlier.info,
        debug: total.debug - earlier.debug,
        trace: total.trace - earlier.trace,
    }
}

//! What the log itself says about lines that are missing from it.

use std::time::{Duration, Instant};

use spanwise_core::{ShedCounts, internal::SinkCounters};

/// Something to say, as an event at WARN of the target `spanwise`, in the format of whatever layers there are.
#[derive(Debug)]
pub(crate) enum LossEvent {
    /// Lines begin to be left out.
    Shedding,
    /// No lines are left out any more.
    Shed { counts: ShedCounts, after: Duration },
    /// The output takes lines again.
    Recovered {
        failed: u64,
        after: Duration,
        error: String,
    },
}

impl LossEvent {
    pub(crate) fn log(&self, output: &str) {
        match self {
            Self::Shedding => {
                tracing::warn!(target: "spanwise", output, "the output is behind: lines are left out");
            }
            Self::Shed { counts, after } => tracing::warn!(
                target: "spanwise",
                output,
                shed.error = counts.error,
                shed.warn = counts.warn,
                shed.info = counts.info,
                shed.debug = counts.debug,
                shed.trace = counts.trace,
                duration_ms = millis(*after),
                "the output was behind: lines were left out"
            ),
            Self::Recovered {
                failed,
                after,
                error,
            } => tracing::warn!(
                target: "spanwise",
                output,
                lost = failed,
                error = error.as_str(),
                duration_ms = millis(*after),
                "the output takes lines again"
            ),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What there is to say.
#[derive(Debug, Default)]
pub(crate) struct PendingLossEvents {
    shedding: Option<Shedding>,
    recovered: Option<Recovery>,
    recovery_told_at: Option<Instant>,
    /// What was said about lines left out.
    told: ShedCounts,
    told_at: Option<Instant>,
}

/// An output that took lines again, perhaps more than once.
#[derive(Debug)]
struct Recovery {
    failed: u64,
    after: Duration,
    error: String,
}

#[derive(Debug)]
struct Shedding {
    since: Instant,
    told: bool,
}

/// Between two reports of one kind. A report is a line itself: an output that refuses every other write would refuse it, take it and be
/// reported again, without end.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

impl PendingLossEvents {
    /// A line is left out. True if it is the first.
    pub(crate) fn shed(&mut self) -> bool {
        let first = self.shedding.is_none();
        self.shedding.get_or_insert_with(|| Shedding {
            since: Instant::now(),
            told: false,
        });
        first
    }

    pub(crate) fn recovered(&mut self, after: Duration, failed: u64, error: String) {
        let before = self.recovered.take();
        let (failed_before, after_before) = before.map_or((0, Duration::ZERO), |recovery| {
            (recovery.failed, recovery.after)
        });
        self.recovered = Some(Recovery {
            failed: failed + failed_before,
            after: after + after_before,
            error,
        });
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.shedding.is_some() || self.recovered.is_some()
    }

    /// What is to be said now. `calm` means that lines are no longer left out, `last` that this is the last chance.
    pub(crate) fn due(
        &mut self,
        counters: &SinkCounters,
        calm: bool,
        last: bool,
    ) -> Option<LossEvent> {
        let is_recent = |at: Option<Instant>| at.is_some_and(|at| at.elapsed() < MIN_INTERVAL);
        let tells = !is_recent(self.recovery_told_at);
        if (tells || last)
            && let Some(recovery) = self.recovered.take()
            && tells
        {
            self.recovery_told_at = Some(Instant::now());
            let Recovery {
                failed,
                after,
                error,
            } = recovery;
            return Some(LossEvent::Recovered {
                failed,
                after,
                error,
            });
        }
        let shedding = self.shedding.as_mut()?;
        let quiet = || is_recent(self.told_at);
        if last || calm && !quiet() {
            let (after, told) = (shedding.since.elapsed(), shedding.told);
            self.shedding = None;
            self.told_at = Some(Instant::now());
            let all = counters.stats().shed;
            let counts = since(all, self.told);
            self.told = all;
            return (told || counts.total() > 0).then_some(LossEvent::Shed { counts, after });
        }
        if !shedding.told && !calm && !quiet() {
            shedding.told = true;
            return Some(LossEvent::Shedding);
        }
        None
    }
}

fn since(all: ShedCounts, before: ShedCounts) -> ShedCounts {
    ShedCounts {
        error: all.error - before.error,
        warn: all.warn - before.warn,
        info: all.info - before.info,
        debug: all.debug - before.debug,
        trace: all.trace - before.trace,
    }
}

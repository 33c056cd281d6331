//! Logging while it runs, and its end.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use spanwise_core::{Fault, Flush, LevelHandle, Levels, LevelsError, SelfReport, Stats};

/// Keeps logging whole until the program ends: hold it in `main`. Dropping it shuts down, in at most five seconds.
///
/// Events after the shutdown are still written, but nobody waits for them.
#[derive(Debug)]
#[must_use = "dropping it shuts logging down: bind it with `let _telemetry = …`, not `let _ = …`"]
pub struct Telemetry {
    handle: Handle,
}

/// Reads and changes what is logged while the program runs. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    levels: LevelHandle,
    report: SelfReport,
    outputs: Arc<Vec<Box<dyn Flush>>>,
    shut_down: Arc<AtomicBool>,
}

/// What became of all lines, as counted when logging was shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Lines that the outputs took.
    pub delivered: u64,
    /// Lines that an output refused.
    pub lost: u64,
}

const DROP_DEADLINE: Duration = Duration::from_secs(5);

impl Telemetry {
    pub(crate) fn new(
        levels: LevelHandle,
        report: SelfReport,
        outputs: Vec<Box<dyn Flush>>,
    ) -> Self {
        let outputs = Arc::new(outputs);
        Self {
            handle: Handle {
                levels,
                report,
                outputs,
                shut_down: Arc::default(),
            },
        }
    }

    /// The handle by which logging is read and changed while the program runs.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Hands on all that is held, waiting at most `deadline` for it, and says what became of all lines.
    #[expect(
        clippy::must_use_candidate,
        reason = "most programs end here and ask no more"
    )]
    pub fn shutdown(self, deadline: Duration) -> Report {
        self.handle.shut_down(deadline)
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        self.handle.shut_down(DROP_DEADLINE);
    }
}

impl Handle {
    /// The levels in force.
    #[must_use]
    pub fn levels(&self) -> Levels {
        self.levels.levels()
    }

    /// Sets the levels, as `RUST_LOG` writes them, and ends a temporary setting. Without a bare level the one from the start remains for
    /// the rest.
    ///
    /// # Errors
    /// Every directive that is malformed; nothing is changed then.
    pub fn set_levels(&self, levels: &str) -> Result<(), LevelsError> {
        self.levels.set_levels(levels)
    }

    /// Sets the levels for a while; then those last set for good come back by themselves. Setting levels again, for a while or for good,
    /// ends this setting.
    ///
    /// # Errors
    /// Every directive that is malformed; nothing is changed then.
    pub fn set_levels_for(&self, duration: Duration, levels: &str) -> Result<(), LevelsError> {
        self.levels.set_levels_for(duration, levels)
    }

    /// What became of the events so far, and what went wrong.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.report.stats()
    }

    /// Hands on all that is held, waiting at most `deadline` for it; false if something could not be handed on.
    #[expect(clippy::must_use_candidate, reason = "a fault is reported in any case")]
    pub fn flush(&self, deadline: Duration) -> bool {
        let now = Instant::now();
        let end = now.checked_add(deadline).unwrap_or(now + DROP_DEADLINE);
        let mut flushed = true;
        for output in self.outputs.iter() {
            if let Err(error) = output.flush(end) {
                flushed = false;
                self.report.fault(Fault::FlushFailed, &error);
            }
        }
        flushed
    }

    fn shut_down(&self, deadline: Duration) -> Report {
        if !self.shut_down.swap(true, Ordering::AcqRel) {
            self.flush(deadline);
        }
        let sinks = self.stats().sinks;
        Report {
            delivered: sinks.iter().map(|sink| sink.delivered).sum(),
            lost: sinks.iter().map(|sink| sink.write_failed).sum(),
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("levels", &self.levels)
            .finish_non_exhaustive()
    }
}

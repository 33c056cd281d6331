//! What waits to be sent, in each process that sends.

use std::{
    fmt, io,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use spanwise_core::{Fault, SelfReport, internal::forks::PerProcess};

use crate::{
    dedup::Deduplicator,
    exiting_threads::DeferredItems,
    log_batch::LogBatch,
    outbox::{Bounds, Outbox},
    sender::{self, Connection, PeriodicTasks},
};

/// The [`ProcessState`] of this process, and what a child needs to begin one.
pub(crate) struct ProcessStates {
    state: PerProcess<ProcessState>,
    connection: Connection,
    bounds: Bounds,
    window: Duration,
    pub(crate) report: SelfReport,
    tasks: OnceLock<Weak<dyn PeriodicTasks>>,
    /// Nothing is sent any more, by any child either.
    has_ended: AtomicBool,
}

/// Everything between the log and the thread that sends.
pub(crate) struct ProcessState {
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) dedup: Deduplicator,
    pub(crate) logs: LogBatch,
    pub(crate) deferred: DeferredItems,
    pub(crate) counts: Counts,
}

/// What became of events that are not sent.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) ignored: AtomicU64,
    pub(crate) repeated: AtomicU64,
    pub(crate) discarded: AtomicU64,
    pub(crate) refused_tags: AtomicU64,
}

impl ProcessStates {
    pub(crate) fn new(
        connection: Connection,
        bounds: Bounds,
        window: Duration,
        report: SelfReport,
    ) -> Self {
        Self {
            state: PerProcess::new(ProcessState::new(bounds, window, &report)),
            connection,
            bounds,
            window,
            report,
            tasks: OnceLock::new(),
            has_ended: AtomicBool::new(false),
        }
    }

    /// Starts the thread that sends, which does `tasks` too.
    pub(crate) fn start(&self, tasks: Weak<dyn PeriodicTasks>) -> io::Result<()> {
        let tasks = self.tasks.get_or_init(|| tasks);
        let outbox = Arc::clone(&self.current().outbox);
        sender::start(outbox, self.connection.clone(), tasks.clone())
    }

    /// The one of this process. In a child it is empty at first, and has a thread of its own; what
    /// the parent has is the parent's.
    pub(crate) fn current(&self) -> &ProcessState {
        self.state.here(|_| self.fork())
    }

    #[cold]
    fn fork(&self) -> ProcessState {
        let queue = ProcessState::new(self.bounds, self.window, &self.report);
        let started = match self.tasks.get() {
            Some(tasks) if !self.has_ended.load(Ordering::Relaxed) => {
                let outbox = Arc::clone(&queue.outbox);
                sender::start(outbox, self.connection.clone(), tasks.clone())
            }
            _ => Err(io::Error::other("the sending has ended")),
        };
        if let Err(error) = started {
            queue.outbox.end(Instant::now());
            let why = format_args!("a forked process sends nothing to Sentry: {error}");
            self.report.fault(Fault::Lost, &why);
        }
        queue
    }

    /// The one of this process, if something was to be sent from here.
    pub(crate) fn existing(&self) -> Option<&ProcessState> {
        self.state.here_if_any()
    }

    /// Sends what can be sent until `deadline`, and counts the rest, and what comes later, as lost.
    pub(crate) fn end(&self, deadline: Instant) {
        self.has_ended.store(true, Ordering::Relaxed);
        if let Some(queue) = self.existing() {
            queue.outbox.end(deadline);
        }
    }
}

impl ProcessState {
    fn new(bounds: Bounds, window: Duration, report: &SelfReport) -> Self {
        let counters = report.sink("sentry");
        Self {
            outbox: Arc::new(Outbox::new(bounds, counters, report.clone())),
            dedup: Deduplicator::new(window),
            logs: LogBatch::default(),
            deferred: DeferredItems::default(),
            counts: Counts::default(),
        }
    }
}

impl fmt::Debug for ProcessStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessStates").finish_non_exhaustive()
    }
}

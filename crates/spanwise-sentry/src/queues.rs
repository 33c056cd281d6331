//! What waits to be sent, in each process that sends.

use std::{
    fmt, io,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use spanwise_core::{Fault, SelfReport, forks::PerProcess};

use crate::{
    late::Late,
    logs::Logs,
    outbox::{Bounds, Outbox},
    repeats::Repeats,
    sender::{self, Chores, Connection},
};

/// The [`Queue`] of this process, and what a child needs to begin one.
pub(crate) struct Queues {
    queue: PerProcess<Queue>,
    connection: Connection,
    bounds: Bounds,
    window: Duration,
    pub(crate) report: SelfReport,
    chores: OnceLock<Weak<dyn Chores>>,
    /// Nothing is sent any more, by any child either.
    has_ended: AtomicBool,
}

/// Everything between the log and the thread that sends.
pub(crate) struct Queue {
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) repeats: Repeats,
    pub(crate) logs: Logs,
    pub(crate) late: Late,
    pub(crate) counts: Counts,
}

/// What became of events that are not sent.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) ignored: AtomicU64,
    pub(crate) repeated: AtomicU64,
    pub(crate) left_out: AtomicU64,
    pub(crate) refused_tags: AtomicU64,
}

impl Queues {
    pub(crate) fn new(
        connection: Connection,
        bounds: Bounds,
        window: Duration,
        report: SelfReport,
    ) -> Self {
        Self {
            queue: PerProcess::new(Queue::new(bounds, window, &report)),
            connection,
            bounds,
            window,
            report,
            chores: OnceLock::new(),
            has_ended: AtomicBool::new(false),
        }
    }

    /// Starts the thread that sends, which does `chores` too.
    pub(crate) fn start(&self, chores: Weak<dyn Chores>) -> io::Result<()> {
        let chores = self.chores.get_or_init(|| chores);
        let outbox = Arc::clone(&self.here().outbox);
        sender::start(outbox, self.connection.clone(), chores.clone())
    }

    /// The one of this process. In a child it is empty at first, and has a thread of its own; what
    /// the parent has is the parent's.
    pub(crate) fn here(&self) -> &Queue {
        self.queue.here(|_| self.fork())
    }

    #[cold]
    fn fork(&self) -> Queue {
        let queue = Queue::new(self.bounds, self.window, &self.report);
        let started = match self.chores.get() {
            Some(chores) if !self.has_ended.load(Ordering::Relaxed) => {
                let outbox = Arc::clone(&queue.outbox);
                sender::start(outbox, self.connection.clone(), chores.clone())
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
    pub(crate) fn here_if_any(&self) -> Option<&Queue> {
        self.queue.here_if_any()
    }

    /// Sends what can be sent until `deadline`, and counts the rest, and what comes later, as lost.
    pub(crate) fn end(&self, deadline: Instant) {
        self.has_ended.store(true, Ordering::Relaxed);
        if let Some(queue) = self.here_if_any() {
            queue.outbox.end(deadline);
        }
    }
}

impl Queue {
    fn new(bounds: Bounds, window: Duration, report: &SelfReport) -> Self {
        let counters = report.sink("sentry");
        Self {
            outbox: Arc::new(Outbox::new(bounds, counters, report.clone())),
            repeats: Repeats::new(window),
            logs: Logs::default(),
            late: Late::default(),
            counts: Counts::default(),
        }
    }
}

impl fmt::Debug for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queues").finish_non_exhaustive()
    }
}

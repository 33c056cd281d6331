//! The traces or logs of a process on their way to the server: open batches, then a queue.

use std::{
    fmt, io, mem,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use spanwise_core::{
    Clock, SelfReport,
    export::{Deliver, ExportItem as _, Exporter, ExporterOptions, PeriodicTasks, QueueLimits},
    internal::sync::{Condvar, Mutex},
};
use tracing_core::Level;

use crate::{
    SignalKind, SignalStats,
    batch::{Batch, Importance},
    metrics::QueueState,
};

/// When a batch is sent, how much may wait, and where losses are reported.
#[derive(Debug, Clone)]
pub(crate) struct SignalOptions {
    /// A batch that is not full is sent after this time.
    pub(crate) delay: Duration,
    /// A batch with this number of records is full.
    pub(crate) max_batch_len: usize,
    pub(crate) queue: QueueLimits,
    pub(crate) report: SelfReport,
    pub(crate) clock: Clock,
}

/// Sends encoded records of one kind in batches.
///
/// Each record that is [pushed](Self::push) is counted exactly once: as delivered, as shed, as
/// refused or too old, or as lost at the shutdown. A forked child starts without records.
pub(crate) struct Signal {
    kind: SignalKind,
    /// [`Signal::push`] uses [`current`](Exporter::current), which starts a sender thread in a
    /// forked child. All other methods use [`existing`](Exporter::existing): a child that has
    /// pushed nothing has nothing to send or to count.
    exporter: Exporter<Batch, OpenBatches>,
    max_batch_len: usize,
    /// A batch is queued before its request exceeds this length.
    max_request_len: usize,
    /// The capacity of the queue, in records.
    max_records: u64,
    delay: Duration,
    clock: Clock,
}

/// Batches that wait for further records.
#[derive(Debug)]
struct OpenBatches {
    inner: Mutex<State>,
    /// Notified when a batch that was taken is in the queue.
    move_ended: Condvar,
}

#[derive(Debug)]
struct State {
    /// One open batch for each [`Importance`], by the index of [`Signal::lane`].
    lanes: [OpenBatch; 2],
    /// The number of records that were pushed, including lost ones.
    accepted: u64,
    /// The number of batches that were taken from `lanes` and are not in the queue yet. A flush
    /// waits for them.
    moving: usize,
    has_ended: bool,
}

#[derive(Debug)]
struct OpenBatch {
    batch: Batch,
    /// When the batch moves to the queue at the latest. `None` if it is empty.
    due: Option<Instant>,
}

/// The result of adding a record.
enum Pushed {
    /// The record is the first of its batch, and waits for others.
    Started,
    /// The record waits in a batch with others.
    Waiting,
    /// This batch is full, and the caller must queue it. It may lack the record, which is then the
    /// first of the next batch.
    Full(Batch),
    /// The signal has ended, so the record is lost.
    Ended,
}

/// The maximum length of a request, which is the limit of most gRPC servers.
const MAX_REQUEST_LEN: usize = 4 * 1024 * 1024;

/// The length in a request that is reserved for the resource.
const RESOURCE_LEN: usize = 64 * 1024;

impl Signal {
    /// Creates an empty signal and starts its sender thread.
    ///
    /// # Errors
    /// The error of the operating system if the thread cannot be started.
    pub(crate) fn start(
        kind: SignalKind,
        options: &SignalOptions,
        new_transport: impl Fn() -> Box<dyn Deliver<Batch>> + Send + Sync + 'static,
    ) -> io::Result<Arc<Self>> {
        let mut exporter = ExporterOptions::new(kind.sink_name(), kind.collector());
        exporter.limits = options.queue;
        exporter.report = options.report.clone();
        exporter.clock = options.clock.clone();
        let signal = Arc::new(Self {
            kind,
            exporter: Exporter::new(exporter, new_transport, OpenBatches::new),
            max_batch_len: options.max_batch_len,
            // A batch must fit into the queue: otherwise it is shed as a whole. Ordinary batches
            // may take half of the queue, and a batch takes more memory than its request.
            max_request_len: (MAX_REQUEST_LEN - RESOURCE_LEN).min(options.queue.bytes / 4),
            max_records: options.queue.events,
            delay: options.delay,
            clock: options.clock.clone(),
        });
        let tasks: Weak<dyn PeriodicTasks> = Arc::<Self>::downgrade(&signal);
        signal.exporter.start(Some(tasks))?;
        Ok(signal)
    }

    /// Adds an encoded `Span` or `LogRecord` to the open batch, and queues the batch if it is full.
    /// `record` has the consecutive parts of the record. `scope` is its encoded
    /// `InstrumentationScope`.
    pub(crate) fn push<const N: usize>(&self, scope: &[u8], record: [&[u8]; N], level: Level) {
        let process = self.exporter.current();
        let mut state = process.state.inner.lock();
        let pushed = self.push_into(&mut state, scope, record, level);
        state.moving += usize::from(matches!(pushed, Pushed::Full(_)));
        drop(state);
        match pushed {
            Pushed::Waiting => {}
            Pushed::Started => process.queue.wake(),
            Pushed::Full(batch) => {
                process.queue.push(batch);
                process.state.end_move();
            }
            Pushed::Ended => process.queue.counters().add_lost_at_shutdown(1),
        }
    }

    #[inline]
    fn push_into<const N: usize>(
        &self,
        state: &mut State,
        scope: &[u8],
        record: [&[u8]; N],
        level: Level,
    ) -> Pushed {
        state.accepted += 1;
        if state.has_ended {
            return Pushed::Ended;
        }
        let open = &mut state.lanes[self.lane(level)];
        let mut full = None;
        if open.batch.request_len_with(scope, record) > self.max_request_len {
            full = open.take();
        }
        open.batch.push(scope, record, level);
        // If `full` is set already, this record did not fit into that batch. It is alone in the
        // next batch, which is not full.
        if full.is_none() && open.batch.len() >= self.max_batch_len {
            full = open.take();
        } else if open.due.is_none() {
            open.due = Some(self.clock.instant() + self.delay);
            if full.is_none() {
                return Pushed::Started;
            }
        }
        full.map_or(Pushed::Waiting, Pushed::Full)
    }

    /// Returns the index in [`State::lanes`] for records of a level. Lane 0 has high importance. If
    /// the queue is full, log records at INFO and below are dropped before those at WARN and ERROR.
    fn lane(&self, level: Level) -> usize {
        match self.kind {
            SignalKind::Logs => usize::from(level > Level::WARN),
            SignalKind::Traces | SignalKind::Metrics => 0,
        }
    }

    /// Returns how full the queue of this process is. Records in open batches count, too.
    pub(crate) fn queue_state(&self) -> Option<QueueState> {
        let process = self.exporter.existing()?;
        let stats = self.stats();
        let settled = stats.outcomes.delivered + stats.outcomes.lost();
        Some(QueueState {
            sink: self.kind.sink_name(),
            records: Some((stats.accepted.saturating_sub(settled), self.max_records)),
            bytes: stats.waiting_bytes,
            retries: process.queue.retries(),
        })
    }

    /// Returns the counts of this process.
    pub(crate) fn stats(&self) -> SignalStats {
        let Some(process) = self.exporter.existing() else {
            return SignalStats::default();
        };
        let state = process.state.inner.lock();
        let open_bytes: usize = state.lanes.iter().map(|open| open.batch.bytes()).sum();
        SignalStats {
            accepted: state.accepted,
            waiting_bytes: open_bytes + process.queue.held_bytes(),
            outcomes: process.queue.counters().stats(),
            last_failure: None,
        }
    }

    /// Starts to send everything that was pushed, and does not wait.
    pub(crate) fn hurry(&self) {
        self.queue_batches(|_| true);
        if let Some(process) = self.exporter.existing() {
            process.queue.hurry();
        }
    }

    /// Waits until everything that was pushed is sent. If the server failed before, the sender
    /// thread tries again at once, without waiting for the back-off.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] if the deadline comes first, or if the server fails.
    pub(crate) fn flush_by(&self, deadline: Instant) -> io::Result<()> {
        self.queue_batches(|_| true);
        match self.exporter.existing() {
            Some(process) => {
                process.state.wait_for_moves(deadline);
                process.queue.flush(deadline)
            }
            None => Ok(()),
        }
    }

    /// Sends waiting records until `deadline`, and counts the rest as lost.
    pub(crate) fn shutdown_by(&self, deadline: Instant) {
        if let Some(process) = self.exporter.existing() {
            process.state.inner.lock().has_ended = true;
        }
        self.queue_batches(|_| true);
        if let Some(process) = self.exporter.existing() {
            process.state.wait_for_moves(deadline);
        }
        self.exporter.shutdown_by(deadline);
    }

    /// Moves open batches into the queue: those for whose due time `is_due` returns true.
    fn queue_batches(&self, is_due: impl Fn(Instant) -> bool) {
        let Some(process) = self.exporter.existing() else {
            return;
        };
        let mut state = process.state.inner.lock();
        let batches = state.lanes.each_mut().map(|open| match open.due {
            Some(due) if is_due(due) => open.take(),
            _ => None,
        });
        state.moving += batches.iter().flatten().count();
        drop(state);
        for batch in batches.into_iter().flatten() {
            process.queue.push(batch);
            process.state.end_move();
        }
    }
}

impl OpenBatches {
    fn new() -> Self {
        let open = |importance| OpenBatch {
            batch: Batch::new(importance),
            due: None,
        };
        let inner = Mutex::new(State {
            lanes: [Importance::High, Importance::Ordinary].map(open),
            accepted: 0,
            moving: 0,
            has_ended: false,
        });
        Self {
            inner,
            move_ended: Condvar::new(),
        }
    }

    /// Records that a batch that was taken is in the queue.
    fn end_move(&self) {
        self.inner.lock().moving -= 1;
        self.move_ended.notify_all();
    }

    /// Waits until the batches that other threads have taken are in the queue, or until `deadline`.
    fn wait_for_moves(&self, deadline: Instant) {
        let timeout = deadline.saturating_duration_since(Instant::now());
        let is_moving = |state: &mut State| state.moving > 0;
        let state = self.inner.lock();
        drop(
            self.move_ended
                .wait_timeout_while(state, timeout, is_moving),
        );
    }
}

impl OpenBatch {
    /// Takes the batch, unless it is empty, and starts a new one.
    fn take(&mut self) -> Option<Batch> {
        self.due = None;
        let next = self.batch.successor();
        Some(mem::replace(&mut self.batch, next)).filter(|batch| batch.len() > 0)
    }
}

impl PeriodicTasks for Signal {
    fn next_run(&self) -> Option<Instant> {
        let state = self.exporter.existing()?.state.inner.lock();
        state.lanes.iter().filter_map(|open| open.due).min()
    }

    fn run(&self, now: Instant) {
        self.queue_batches(|due| due <= now);
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

//! Collects the encoded spans or log records of a process in batches, and queues them for sending.
//!
//! A record waits in an *open batch* for further records. When the batch is full or due, it *moves*
//! to the queue: a thread takes it from the open batches under a lock, and queues it without the
//! lock.

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
    /// The time after which a batch is sent even if it is not full.
    pub(crate) delay: Duration,
    /// The number of records in a full batch.
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
    /// forked child. All other methods use [`existing`](Exporter::existing), because a child that
    /// has pushed nothing has nothing to send or to count.
    exporter: Exporter<Batch, OpenBatches>,
    max_batch_len: usize,
    /// The maximum length of a request in bytes. A batch is queued before its request exceeds it.
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
    /// Notified when a batch has moved to the queue.
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
    moving_batches: usize,
    /// Whether the shutdown has begun. Records that are pushed from then on are lost.
    has_ended: bool,
}

#[derive(Debug)]
struct OpenBatch {
    batch: Batch,
    /// The latest time at which the batch moves to the queue. `None` if the batch is empty.
    due: Option<Instant>,
}

/// The result of adding a record.
enum Pushed {
    /// The record is the first of an open batch.
    Started,
    /// The record is in an open batch with earlier records.
    Waiting,
    /// The caller must queue this full batch. If the record did not fit into it, the record is the
    /// first of the next batch.
    Full(Batch),
    /// The record is lost, because the shutdown has begun.
    Ended,
}

/// The maximum length of a request in bytes: the limit of most gRPC servers, 4 MiB.
const MAX_REQUEST_LEN: usize = 4 * 1024 * 1024;

/// The number of bytes in a request that are reserved for the resource.
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
            // A batch that does not fit into the queue is shed as a whole. A quarter of the queue
            // leaves a margin: ordinary batches may take half of the queue, and a batch takes more
            // memory than its request.
            max_request_len: (MAX_REQUEST_LEN - RESOURCE_LEN).min(options.queue.bytes / 4),
            max_records: options.queue.events,
            delay: options.delay,
            clock: options.clock.clone(),
        });
        let tasks: Weak<dyn PeriodicTasks> = Arc::<Self>::downgrade(&signal);
        signal.exporter.start(Some(tasks))?;
        Ok(signal)
    }

    /// Adds an encoded `Span` or `LogRecord` to an open batch, and queues the batch if it is full.
    /// `record` has the consecutive parts of the record. `scope` is its encoded
    /// `InstrumentationScope`.
    pub(crate) fn push<const N: usize>(&self, scope: &[u8], record: [&[u8]; N], level: Level) {
        let process = self.exporter.current();
        let mut state = process.state.inner.lock();
        let pushed = self.push_into(&mut state, scope, record, level);
        state.moving_batches += usize::from(matches!(pushed, Pushed::Full(_)));
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
        // If `full` is set already, the record did not fit into that batch. It is alone in the next
        // batch, which is never full.
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

    /// Returns the index in [`State::lanes`] for records of a level. Lane 0 has high importance: if
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

    /// Starts to send everything that was pushed. Does not wait until it is sent.
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

    /// Moves each open batch to the queue if `is_due` returns true for its due time.
    fn queue_batches(&self, is_due: impl Fn(Instant) -> bool) {
        let Some(process) = self.exporter.existing() else {
            return;
        };
        let mut state = process.state.inner.lock();
        let batches = state.lanes.each_mut().map(|open| match open.due {
            Some(due) if is_due(due) => open.take(),
            _ => None,
        });
        state.moving_batches += batches.iter().flatten().count();
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
            moving_batches: 0,
            has_ended: false,
        });
        Self {
            inner,
            move_ended: Condvar::new(),
        }
    }

    /// Records that a batch has moved to the queue.
    fn end_move(&self) {
        self.inner.lock().moving_batches -= 1;
        self.move_ended.notify_all();
    }

    /// Waits until no batch is moving, or until `deadline`.
    fn wait_for_moves(&self, deadline: Instant) {
        let timeout = deadline.saturating_duration_since(Instant::now());
        let has_moving_batches = |state: &mut State| state.moving_batches > 0;
        let state = self.inner.lock();
        drop(
            self.move_ended
                .wait_timeout_while(state, timeout, has_moving_batches),
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

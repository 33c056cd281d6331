//! What the threads that log and the thread that writes have in common.

use std::{
    io,
    sync::{Arc, OnceLock, Weak},
    time::{Duration, Instant},
};

use spanwise_core::{
    Fault, SelfReport,
    internal::{
        LayerId, SinkCounters, panic_safe,
        sync::{Condvar, Mutex, MutexGuard},
    },
};
use tracing::Level;

mod direct;
mod drain;
mod shutdown;
mod sink_call;

pub(crate) use drain::Next;
pub(crate) use sink_call::{GuardedSink, Role};

use super::{
    Options,
    admission::{Admission, AdmissionControl},
    buffer::Buffer,
    loss_events::{LossEvent, PendingLossEvents},
    worker,
};
use crate::{
    process_hooks::{self, ProcessHooks},
    record_sink::{RecordSink, StopFlag},
    writer_sink::WriterSink,
};
use sink_call::is_writing_thread;

/// One buffer, one writer, one thread. After a fork the child makes one of its own.
pub(crate) struct LineQueue {
    this: Weak<Self>,
    id: LayerId,
    /// That of the process this was made in.
    generation: u32,
    pub(crate) options: Options,
    pub(crate) counters: Arc<SinkCounters>,
    pub(crate) report: SelfReport,
    output: Arc<Mutex<GuardedSink>>,
    state: Mutex<State>,
    /// For the thread that writes.
    work: Condvar,
    /// For those who wait for room, or for lines to be settled.
    progress: Condvar,
    /// For the sink, while the thread that writes is in it.
    pub(crate) stop: StopFlag,
    forked: OnceLock<Arc<Self>>,
}

pub(crate) struct State {
    buffer: Buffer,
    admission: AdmissionControl,
    /// Bytes in the buffer and on their way to the sink.
    held: usize,
    /// Records taken so far.
    accepted: u64,
    /// Records of those whose fate is known, the oldest first.
    settled: u64,
    /// Records of those that were lost.
    failed: u64,
    worker: Worker,
    /// Somebody wants all of it written now.
    urgent: bool,
    /// How many wait for progress.
    waiters: usize,
    /// When they were last told of lines that were settled.
    progress_at: Option<Instant>,
    /// The sink refuses lines.
    failing: Option<Failing>,
    /// How many records were settled when somebody waited for room in vain: until there is one more, nobody else waits.
    last_failed_wait: Option<u64>,
    /// The same of a panic that waited for its flush.
    last_failed_panic_flush: Option<u64>,
    /// The last error of the sink.
    last_error: Option<io::ErrorKind>,
    loss_events: PendingLossEvents,
    /// Since when a notice is being logged.
    telling: Option<Instant>,
    /// How many lines were lost when the total was last reported.
    reported_lost: u64,
    phase: Phase,
    /// There is a thread that writes, though it may be stuck in the sink.
    has_worker: bool,
    /// Rises when what is held is given up: lines taken out of the buffer before that were counted then.
    epoch: u64,
    /// The sink was told that there is nothing more.
    finished: bool,
    /// A fork is under way: nothing new may begin.
    forking: bool,
    /// Somebody has the turn: is in the sink, or about to be.
    writing: bool,
}

/// What the thread that writes is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worker {
    /// It writes, or has been told to.
    Busy,
    /// It lets lines gather for a moment.
    Lingering,
    /// It waits for a line.
    Asleep,
}

/// A sink that refuses lines.
#[derive(Debug)]
struct Failing {
    since: Instant,
    attempts: u64,
    failed: u64,
    error: String,
    /// The wait before the next attempt, and when that is.
    delay: Duration,
    retry_at: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// The thread is to end once nothing is left.
    Closing,
    /// There is no thread that writes: each caller does.
    Direct,
}

impl State {
    /// Takes a record.
    #[inline]
    fn take(&mut self, record: &[u8]) {
        self.buffer.push(record);
        self.held += record.len();
        self.accepted += 1;
        let held = self.held;
        self.admission.filled(held);
    }

    /// Whether room will not come soon: the output refuses everything, or somebody waited in vain and nothing was taken since.
    fn is_stalled(&self) -> bool {
        self.failing.is_some() || self.last_failed_wait == Some(self.settled)
    }

    /// Whether the output refused lines, and is not to be tried again yet.
    fn is_backing_off(&self) -> bool {
        let is_ahead = |failing: &Failing| failing.retry_at > Instant::now();
        self.failing.as_ref().is_some_and(is_ahead)
    }

    /// What the log should say now about lines that are missing from it; `last` if this is the last chance.
    fn due_loss_event(
        &mut self,
        counters: &SinkCounters,
        capacity: usize,
        last: bool,
    ) -> Option<LossEvent> {
        let calm = !self.admission.is_shedding() && self.held < capacity / 2;
        self.loss_events.due(counters, calm, last)
    }
}

/// With this much, or a quarter of a small buffer, the thread that writes is woken early. It may take the core of the caller who
/// wakes it, so not with less.
const EARLY_WAKE_LEN: usize = 256 * 1024;

/// Whoever waits for room looks this often by itself.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// How long lines gather.
const LINGER: Duration = Duration::from_millis(1);

/// Longest wait of a caller for a line that must be in the kernel when it returns.
const SYNC_TIMEOUT: Duration = Duration::from_secs(1);

impl LineQueue {
    pub(crate) fn start(
        options: Options,
        sink: Box<dyn RecordSink>,
        counters: Arc<SinkCounters>,
        report: SelfReport,
    ) -> io::Result<Arc<Self>> {
        let output = Arc::new(GuardedSink::new(sink));
        let queue = Self::new(options, output, counters, report);
        if !queue.options.direct {
            queue.spawn_worker(&mut queue.lock())?;
        }
        let watched: Weak<dyn ProcessHooks> = Arc::<Self>::downgrade(&queue);
        process_hooks::watch(watched);
        Ok(queue)
    }

    /// One that has no thread yet.
    fn new(
        options: Options,
        output: Arc<Mutex<GuardedSink>>,
        counters: Arc<SinkCounters>,
        report: SelfReport,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            id: LayerId::unique(),
            generation: process_hooks::generation(),
            state: Mutex::new(State {
                buffer: Buffer::new(options.capacity),
                admission: AdmissionControl::new(options.when_full, options.capacity),
                held: 0,
                accepted: 0,
                settled: 0,
                failed: 0,
                worker: Worker::Busy,
                urgent: false,
                waiters: 0,
                progress_at: None,
                failing: None,
                last_failed_wait: None,
                last_failed_panic_flush: None,
                last_error: None,
                loss_events: PendingLossEvents::default(),
                telling: None,
                reported_lost: 0,
                phase: Phase::Direct,
                has_worker: false,
                epoch: 0,
                finished: false,
                forking: false,
                writing: false,
            }),
            options,
            counters,
            report,
            output,
            work: Condvar::new(),
            progress: Condvar::new(),
            stop: StopFlag::default(),
            forked: OnceLock::new(),
        })
    }

    /// Starts the thread that writes.
    fn spawn_worker(&self, state: &mut State) -> io::Result<()> {
        let this = self.this.upgrade();
        worker::spawn(&this.ok_or_else(|| io::Error::other("nobody logs any more"))?)?;
        state.has_worker = true;
        state.phase = Phase::Running;
        Ok(())
    }

    /// The one of this process.
    #[inline]
    pub(crate) fn here(&self) -> &Self {
        if self.generation == process_hooks::generation() {
            return self;
        }
        self.in_child()
    }

    #[cold]
    fn in_child(&self) -> &Self {
        self.forked.get_or_init(|| self.fork()).here()
    }

    /// The one of this process, if it has one.
    fn here_if_any(&self) -> Option<&Self> {
        if self.generation == process_hooks::generation() {
            return Some(self);
        }
        self.forked.get()?.here_if_any()
    }

    /// An empty one with a thread of its own; what the parent holds, the parent writes.
    fn fork(&self) -> Arc<Self> {
        let output = match self.output.try_lock() {
            Some(_) => Arc::clone(&self.output),
            None => {
                // The parent's thread was inside of it, and is not here to come out.
                let why = format_args!(
                    "{}: it was being written to when the process forked; the child writes to stderr",
                    self.options.name
                );
                self.report.fault(Fault::Setup, &why);
                Arc::new(GuardedSink::new(crate::background::stderr_sink()))
            }
        };
        let options = self.options.clone();
        let counters = self.report.sink(options.name.clone());
        let child = Self::new(options, output, counters, self.report.clone());
        if !child.options.direct {
            // Without a thread, those who log write.
            let _ = child.spawn_worker(&mut child.lock());
        }
        child
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Takes a record, or leaves it out and counts it.
    pub(crate) fn append(&self, level: Level, record: &[u8]) {
        let mut state = self.lock();
        if state.writing && self.is_inside_sink() {
            return self.refuse_reentrant(state);
        }
        let mut waits_until = None;
        loop {
            if state.phase == Phase::Direct {
                return self.append_direct(state, level, record);
            }
            let stalled = state.is_stalled();
            match state.admission.admit(level, state.held, stalled) {
                Admission::Accept => break,
                Admission::Shed => return self.shed(state, level),
                Admission::Wait(_) if is_writing_thread() => return self.shed(state, level),
                Admission::Wait(at_most) => {
                    let (until, settled) = *waits_until
                        .get_or_insert_with(|| (deadline_after(at_most), state.settled));
                    if Instant::now() >= until {
                        if state.settled == settled {
                            state.last_failed_wait = Some(settled);
                        }
                        return self.shed(state, level);
                    }
                    // Not every bit of room is told.
                    state = self.wait_for_progress(state, until.min(deadline_after(POLL_INTERVAL)));
                }
            }
        }
        state.take(record);
        let mine = state.accepted;
        let urgent = level == Level::ERROR;
        let wake = match state.worker {
            Worker::Busy => false,
            Worker::Lingering => urgent || self.is_worth_waking(state.held),
            Worker::Asleep => true,
        };
        state.urgent |= urgent;
        if wake {
            state.worker = Worker::Busy;
        }
        if self.options.sync_on.is_some_and(|sync_on| level <= sync_on) {
            self.sync(state, wake, mine);
        } else {
            drop(state);
            if wake {
                self.work.notify_one();
            }
        }
    }

    fn is_worth_waking(&self, held: usize) -> bool {
        held >= EARLY_WAKE_LEN.min(self.options.capacity / 4)
    }

    #[cold]
    fn shed(&self, mut state: MutexGuard<'_, State>, level: Level) {
        let first = state.loss_events.shed();
        let held = state.held;
        // Before anybody can tell how many they were.
        self.counters.shed(level);
        drop(state);
        if !first {
            return;
        }
        let why = format_args!(
            "{}: the writer is behind by {held} bytes of {}: lines are left out by their level",
            self.options.name, self.options.capacity,
        );
        self.report.fault(Fault::Shed, &why);
    }

    /// Refuses a line that the writer logs inside a write: to write it would be to log the next.
    #[cold]
    fn refuse_reentrant(&self, state: MutexGuard<'_, State>) {
        self.counters.write_failed();
        drop(state);
        let why = format_args!(
            "{}: a line is lost that was logged by the writer itself, inside a write",
            self.options.name
        );
        self.report.fault(Fault::WriteFailed, &why);
    }

    /// Waits until the record with this number is settled.
    #[cold]
    fn sync(&self, mut state: MutexGuard<'_, State>, wake: bool, number: u64) {
        state.urgent = true;
        if wake || state.worker == Worker::Lingering {
            state.worker = Worker::Busy;
            self.work.notify_one();
        }
        let until = deadline_after(SYNC_TIMEOUT);
        while !is_writing_thread()
            && state.settled < number
            && state.failing.is_none()
            && Instant::now() < until
        {
            state = self.wait_for_progress(state, until);
        }
    }

    /// Waits for progress of whatever kind.
    fn wait_for_progress<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        until: Instant,
    ) -> MutexGuard<'a, State> {
        state.waiters += 1;
        let left = until.saturating_duration_since(Instant::now());
        let (mut state, _) = self.progress.wait_timeout(state, left);
        state.waiters -= 1;
        state
    }
}

impl Drop for LineQueue {
    fn drop(&mut self) {
        if self.generation != process_hooks::generation() {
            // The lines are the parent's, and its locks may be held by a thread that is not here.
            return;
        }
        if self.lock().held > 0 {
            self.shutdown(deadline_after(self.options.when_full.max_wait()));
        }
        let nowhere = Arc::new(GuardedSink::new(Box::new(WriterSink::new(io::sink()))));
        let output = std::mem::replace(&mut self.output, nowhere);
        // The writer is somebody else's, and may panic when it is dropped.
        let _ = panic_safe::catch_panic(|| drop(output));
    }
}

/// A point in time, or one that is far enough away.
pub(crate) fn deadline_after(duration: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365);
    Instant::now() + duration.min(FAR)
}

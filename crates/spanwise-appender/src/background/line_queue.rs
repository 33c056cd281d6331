//! The queue between the logging threads and the writer thread.
//!
//! One lock protects the buffer and all counts. No code of the application runs under this lock,
//! such as its writer, its layers or the `Display` of its errors.

use std::{
    io, mem,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use spanwise_core::{
    Fault, SelfReport,
    internal::{
        LayerId, SinkCounters, deadline_after,
        forks::{self, PerProcess},
        panic_safe,
        sync::{Condvar, Mutex, MutexGuard},
    },
};
use tracing::Level;

mod direct;
mod drain;
mod shutdown;
mod sink_call;
mod state;

pub(crate) use drain::Job;

use super::{
    Options,
    admission::{Admission, WhenFull},
    stderr_sink, worker,
};
use crate::{
    process_hooks::{self, ProcessHooks},
    record_sink::{RecordSink, Retry, StopFlag},
    writer_sink::WriterSink,
};
use sink_call::{GuardedSink, is_writing_thread};
use state::{Phase, State, WorkerState};

/// The queue of this process. After a fork, the child creates its own on first use.
pub(crate) type ProcessQueue = PerProcess<LineQueue>;

/// One buffer, one sink, and at most one writer thread.
pub(crate) struct LineQueue {
    /// The handle that contains this queue. The writer thread needs a strong reference to it.
    root: Weak<ProcessQueue>,
    /// Identifies this output while its sink runs: see `reentrancy::guarded_write`.
    id: LayerId,
    /// The generation of the process that owns the queue: see [`forks`].
    generation: u32,
    pub(crate) options: Options,
    pub(crate) counters: Arc<SinkCounters>,
    pub(crate) report: SelfReport,
    sink: Arc<Mutex<GuardedSink>>,
    state: Mutex<State>,
    /// Notifies the writer thread.
    work: Condvar,
    /// Notifies threads that wait for room, or for records to be delivered or lost.
    progress: Condvar,
    /// Makes the sink return from a blocking write.
    pub(crate) stop: StopFlag,
}

/// If the buffer has this many bytes, or is a quarter full, the writer thread is woken before
/// [`LINGER_INTERVAL`] has passed. For fewer bytes it is not woken early, because the scheduler
/// could suspend the caller to run it.
const EARLY_WAKE_LEN: usize = 256 * 1024;

/// The time for which the writer thread collects lines before it writes them.
const LINGER_INTERVAL: Duration = Duration::from_millis(1);

/// The poll interval of a thread that waits for room, because not every release of room notifies
/// it.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The longest wait for a line with `sync_on`.
const SYNC_TIMEOUT: Duration = Duration::from_secs(1);

/// The result of [`LineQueue::wait_for_admission`].
enum Admitted<'a> {
    /// The buffer has room for the record.
    WithRoom(MutexGuard<'a, State>),
    /// There is no writer thread, and this thread has accepted the record.
    Directly,
    Shed,
}

impl LineQueue {
    /// Creates the queue and starts its writer thread, unless
    /// [`direct`](crate::BackgroundBuilder::direct) is set.
    pub(crate) fn start(
        options: Options,
        sink: Box<dyn RecordSink>,
        counters: Arc<SinkCounters>,
        report: SelfReport,
    ) -> io::Result<Arc<ProcessQueue>> {
        let queue = Arc::new_cyclic(|root| {
            let sink = Arc::new(GuardedSink::new(sink));
            let root = Weak::clone(root);
            PerProcess::new(Self::new(root, options, sink, counters, report))
        });
        let line_queue = queue.for_this_process(Self::for_child);
        if !line_queue.options.direct {
            line_queue.spawn_worker(&mut line_queue.state.lock())?;
        }
        let hooks: Weak<dyn ProcessHooks> = Arc::<ProcessQueue>::downgrade(&queue);
        process_hooks::register(hooks);
        Ok(queue)
    }

    fn new(
        root: Weak<ProcessQueue>,
        options: Options,
        sink: Arc<Mutex<GuardedSink>>,
        counters: Arc<SinkCounters>,
        report: SelfReport,
    ) -> Self {
        Self {
            root,
            id: LayerId::unique(),
            generation: forks::generation(),
            state: Mutex::new(State::new(&options)),
            options,
            counters,
            report,
            sink,
            work: Condvar::new(),
            progress: Condvar::new(),
            stop: StopFlag::default(),
        }
    }

    /// Creates an empty queue for a child process. The parent writes the records in its own queue.
    pub(crate) fn for_child(parent: &Self) -> Self {
        let options = parent.options.clone();
        let report = parent.report.clone();
        let is_free = parent.sink.try_lock().is_some();
        let sink = if is_free {
            Arc::clone(&parent.sink)
        } else {
            // At the fork, a thread of the parent had locked the sink. That thread does not exist
            // in the child.
            let why = format_args!(
                "{}: the output was being written to at the fork; this child writes to stderr",
                options.name
            );
            report.fault(Fault::Setup, &why);
            Arc::new(GuardedSink::new(stderr_sink()))
        };
        let counters = report.sink(options.name.clone());
        let mut child = Self::new(Weak::clone(&parent.root), options, sink, counters, report);
        child.state.get_mut().lifecycle.starts_worker = !child.options.direct;
        child
    }

    /// Starts the writer thread.
    fn spawn_worker(&self, state: &mut State) -> io::Result<()> {
        let root = self.root.upgrade();
        worker::spawn(root.ok_or_else(|| io::Error::other("no handle is left"))?)?;
        state.lifecycle.has_worker = true;
        state.lifecycle.phase = Phase::Running;
        Ok(())
    }

    /// Accepts a record, or sheds and counts it.
    pub(crate) fn append(&self, level: Level, record: &[u8]) {
        let mut state = self.state.lock();
        if state.lifecycle.writing && self.is_in_sink() {
            return self.refuse_reentrant(state);
        }
        if state.lifecycle.phase == Phase::Direct || state.admit(level) != Admission::Accept {
            match self.wait_for_admission(state, level, record) {
                Admitted::WithRoom(locked) => state = locked,
                Admitted::Directly | Admitted::Shed => return,
            }
        }
        state.push(record);
        let is_enough = self.is_worth_a_write(state.counts.held);
        let wakes = state.wakeups.line_added(level == Level::ERROR, is_enough);
        if self.options.sync_on.is_some_and(|sync_on| level <= sync_on) {
            return self.sync(state, wakes);
        }
        drop(state);
        if wakes {
            self.work.notify_one();
        }
    }

    /// Waits until the buffer has room for the record, or sheds it. If there is no writer thread,
    /// accepts the record here.
    #[cold]
    fn wait_for_admission<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        level: Level,
        record: &[u8],
    ) -> Admitted<'a> {
        let mut wait_start = None;
        loop {
            let is_direct = state.lifecycle.phase == Phase::Direct;
            if is_direct && mem::take(&mut state.lifecycle.starts_worker) {
                // If the thread cannot be started, the logging threads write.
                let _ = self.spawn_worker(&mut state);
                continue;
            }
            let timeout = match state.admit(level) {
                Admission::Accept if is_direct => {
                    self.accept_direct(state, record);
                    return Admitted::Directly;
                }
                Admission::Accept => return Admitted::WithRoom(state),
                Admission::Wait(timeout) if !is_writing_thread() => timeout,
                Admission::Wait(_) | Admission::Shed => break,
            };
            let settled = state.counts.settled;
            let (until, settled_before) =
                *wait_start.get_or_insert_with(|| (deadline_after(timeout), settled));
            if is_direct {
                state = self.write_until(state, settled + 1, until, Retry::AfterBackoff);
                if state.counts.settled == settled || Instant::now() >= until {
                    break;
                }
            } else if Instant::now() >= until {
                if settled == settled_before {
                    state.health.last_failed_wait = Some(settled);
                }
                break;
            } else {
                // Polls, because not every release of room notifies.
                let until = until.min(deadline_after(POLL_INTERVAL));
                state = self.wait_for_progress(state, until);
            }
        }
        self.shed(state, level);
        Admitted::Shed
    }

    fn is_worth_a_write(&self, held: usize) -> bool {
        held >= EARLY_WAKE_LEN.min(self.options.capacity / 4)
    }

    #[cold]
    fn shed(&self, mut state: MutexGuard<'_, State>, level: Level) {
        let is_first = state.loss_events.shed();
        let held = state.counts.held;
        // Counts under the lock, so that a loss event has the correct count.
        self.counters.shed(level);
        drop(state);
        if is_first {
            let order = match self.options.when_full {
                WhenFull::ShedByLevel(_) => ", least severe first",
                WhenFull::Block(_) | WhenFull::Shed => "",
            };
            let why = format_args!(
                "{}: the buffer is filling ({held} of {} bytes): dropping lines{order}",
                self.options.name, self.options.capacity,
            );
            self.report.fault(Fault::Shed, &why);
        }
    }

    /// Refuses a line that the sink logs during a write, and counts it as failed. Writing it would
    /// make the sink log another line.
    #[cold]
    fn refuse_reentrant(&self, state: MutexGuard<'_, State>) {
        self.counters.add_write_failed(1);
        drop(state);
        let why = format_args!(
            "{}: lost a line that the writer itself logged while writing",
            self.options.name
        );
        self.report.fault(Fault::WriteFailed, &why);
    }

    /// Waits until all accepted records are delivered or lost, or until the output fails, for at
    /// most [`SYNC_TIMEOUT`]. If `wakes` is set, also notifies the writer thread.
    #[cold]
    fn sync(&self, mut state: MutexGuard<'_, State>, wakes: bool) {
        let target = state.counts.accepted;
        state.wakeups.urgent = true;
        if wakes || state.wakeups.worker == WorkerState::Lingering {
            state.wakeups.worker = WorkerState::Busy;
            self.work.notify_one();
        }
        let until = deadline_after(SYNC_TIMEOUT);
        while !is_writing_thread()
            && state.counts.settled < target
            && state.health.failing.is_none()
            && Instant::now() < until
        {
            state = self.wait_for_progress(state, until);
        }
    }

    /// Waits for any progress.
    fn wait_for_progress<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        until: Instant,
    ) -> MutexGuard<'a, State> {
        state.wakeups.waiters += 1;
        let time_left = until.saturating_duration_since(Instant::now());
        let (mut state, _) = self.progress.wait_timeout(state, time_left);
        state.wakeups.waiters -= 1;
        state
    }
}

impl Drop for LineQueue {
    fn drop(&mut self) {
        if self.generation != forks::generation() {
            // This process inherited the queue at a fork, and the parent writes its records. At the
            // fork, a thread of the parent may have held a lock. Here, it is never released.
            return;
        }
        if self.state.get_mut().counts.held > 0 {
            self.shutdown(deadline_after(self.options.when_full.max_wait()));
        }
        let nowhere = GuardedSink::new(Box::new(WriterSink::new(io::sink())));
        let sink = mem::replace(&mut self.sink, Arc::new(nowhere));
        // The drop of the writer may panic.
        let _ = panic_safe::catch_panic(|| drop(sink));
    }
}

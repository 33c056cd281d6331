//! The queue between the logging threads and the writer thread.
//!
//! A *record* is one line. A record is *settled* when it is delivered or lost. The *turn* is the
//! right to call the sink, and only one thread has it at a time. If there is no writer thread, the
//! logging threads take turns: see [`direct`].
//!
//! One lock protects the buffer and all counts. Code of the application, such as its writer, its
//! layers or the `Display` of its errors, never runs under this lock.

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

/// The queue of the current process. After a fork, the child creates a queue of its own on first
/// use.
pub(crate) type ProcessQueue = PerProcess<LineQueue>;

/// One buffer, one sink, and at most one writer thread.
pub(crate) struct LineQueue {
    /// The handle that contains this queue. The writer thread needs a strong reference to the
    /// handle.
    process_queue: Weak<ProcessQueue>,
    /// Identifies this output while its sink runs: see `reentrancy::guarded_write`.
    id: LayerId,
    /// The fork generation of the process that owns the queue: see [`forks::generation`].
    generation: u32,
    pub(crate) options: Options,
    pub(crate) counters: Arc<SinkCounters>,
    pub(crate) report: SelfReport,
    sink: Arc<Mutex<GuardedSink>>,
    state: Mutex<State>,
    /// Notifies the writer thread of work.
    worker_wakeup: Condvar,
    /// Notifies threads that wait for room, or for records to be settled.
    progress: Condvar,
    /// Makes the sink return from a blocking write.
    pub(crate) stop: StopFlag,
}

/// If this many bytes are held, or a quarter of the capacity, the writer thread is woken before
/// [`LINGER_INTERVAL`] has passed. For fewer bytes it is not woken early, because the scheduler
/// could suspend the logging thread to run the writer thread.
const EARLY_WAKE_LEN: usize = 256 * 1024;

/// The time for which the writer thread collects lines before it writes them.
const LINGER_INTERVAL: Duration = Duration::from_millis(1);

/// The interval at which a thread that waits for room checks for it, because not every release of
/// room notifies the thread.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The longest wait for a line with `sync_on`.
const SYNC_TIMEOUT: Duration = Duration::from_secs(1);

/// The result of [`LineQueue::wait_for_admission`].
enum WaitOutcome<'a> {
    /// The buffer has room for the record, and the caller must add it.
    Room(MutexGuard<'a, State>),
    /// The record was already accepted, because there is no writer thread.
    AcceptedDirectly,
    /// The record was shed and counted.
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
        let queue = Arc::new_cyclic(|process_queue| {
            let sink = Arc::new(GuardedSink::new(sink));
            let process_queue = Weak::clone(process_queue);
            PerProcess::new(Self::new(process_queue, options, sink, counters, report))
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
        process_queue: Weak<ProcessQueue>,
        options: Options,
        sink: Arc<Mutex<GuardedSink>>,
        counters: Arc<SinkCounters>,
        report: SelfReport,
    ) -> Self {
        Self {
            process_queue,
            id: LayerId::unique(),
            generation: forks::generation(),
            state: Mutex::new(State::new(&options)),
            options,
            counters,
            report,
            sink,
            worker_wakeup: Condvar::new(),
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
            // in the child, so the sink stays locked.
            let why = format_args!(
                "{}: the output was being written to at the fork; this child writes to stderr",
                options.name
            );
            report.fault(Fault::Setup, &why);
            Arc::new(GuardedSink::new(stderr_sink()))
        };
        let counters = report.sink(options.name.clone());
        let process_queue = Weak::clone(&parent.process_queue);
        let mut child = Self::new(process_queue, options, sink, counters, report);
        child.state.get_mut().lifecycle.starts_worker = !child.options.direct;
        child
    }

    /// Starts the writer thread.
    fn spawn_worker(&self, state: &mut State) -> io::Result<()> {
        let process_queue = self.process_queue.upgrade();
        worker::spawn(process_queue.ok_or_else(|| io::Error::other("no handle is left"))?)?;
        state.lifecycle.has_worker = true;
        state.lifecycle.phase = Phase::Running;
        Ok(())
    }

    /// Accepts a record, or sheds and counts it.
    pub(crate) fn append(&self, level: Level, record: &[u8]) {
        let mut state = self.state.lock();
        if state.lifecycle.is_turn_taken && self.is_in_sink() {
            return self.refuse_reentrant(state);
        }
        if state.lifecycle.phase == Phase::Direct || state.admit(level) != Admission::Accept {
            match self.wait_for_admission(state, level, record) {
                WaitOutcome::Room(locked) => state = locked,
                WaitOutcome::AcceptedDirectly | WaitOutcome::Shed => return,
            }
        }
        state.push(record);
        let is_worth_waking = self.is_worth_a_write(state.counts.held_bytes);
        let must_wake = state
            .wakeups
            .note_line_added(level == Level::ERROR, is_worth_waking);
        if self.options.sync_on.is_some_and(|sync_on| level <= sync_on) {
            return self.sync(state, must_wake);
        }
        drop(state);
        if must_wake {
            self.worker_wakeup.notify_one();
        }
    }

    /// Waits until the buffer has room for the record. After a timeout, sheds the record. If there
    /// is no writer thread, also accepts the record.
    #[cold]
    fn wait_for_admission<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        level: Level,
        record: &[u8],
    ) -> WaitOutcome<'a> {
        let mut wait_start = None;
        loop {
            let is_direct = state.lifecycle.phase == Phase::Direct;
            if is_direct && mem::take(&mut state.lifecycle.starts_worker) {
                // If the writer thread cannot be started, the logging threads write.
                let _ = self.spawn_worker(&mut state);
                continue;
            }
            let timeout = match state.admit(level) {
                Admission::Accept if is_direct => {
                    self.accept_direct(state, record);
                    return WaitOutcome::AcceptedDirectly;
                }
                Admission::Accept => return WaitOutcome::Room(state),
                Admission::Wait(timeout) if !is_writing_thread() => timeout,
                Admission::Wait(_) | Admission::Shed => break,
            };
            let settled = state.counts.settled;
            let (deadline, settled_before) =
                *wait_start.get_or_insert_with(|| (deadline_after(timeout), settled));
            if is_direct {
                state = self.write_until(state, settled + 1, deadline, Retry::AfterBackoff);
                if state.counts.settled == settled || Instant::now() >= deadline {
                    break;
                }
            } else if Instant::now() >= deadline {
                if settled == settled_before {
                    state.health.settled_at_failed_wait = Some(settled);
                }
                break;
            } else {
                let next_check = deadline.min(deadline_after(POLL_INTERVAL));
                state = self.wait_for_progress(state, next_check);
            }
        }
        self.shed(state, level);
        WaitOutcome::Shed
    }

    fn is_worth_a_write(&self, held_bytes: usize) -> bool {
        held_bytes >= EARLY_WAKE_LEN.min(self.options.capacity / 4)
    }

    #[cold]
    fn shed(&self, mut state: MutexGuard<'_, State>, level: Level) {
        let is_first = state.loss_events.note_shed();
        let held = state.counts.held_bytes;
        // Counts under the lock, so that a loss event reads the correct count.
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

    /// Waits until all accepted records are settled, or until the output fails, for at most
    /// [`SYNC_TIMEOUT`]. `must_wake` means that the writer thread has to be notified of the last
    /// record.
    #[cold]
    fn sync(&self, mut state: MutexGuard<'_, State>, must_wake: bool) {
        let target = state.counts.accepted;
        state.wakeups.urgent = true;
        if must_wake || state.wakeups.worker == WorkerState::Lingering {
            state.wakeups.worker = WorkerState::Busy;
            self.worker_wakeup.notify_one();
        }
        let deadline = deadline_after(SYNC_TIMEOUT);
        while !is_writing_thread()
            && state.counts.settled < target
            && state.health.failing.is_none()
            && Instant::now() < deadline
        {
            state = self.wait_for_progress(state, deadline);
        }
    }

    /// Waits until [`progress`](Self::progress) is notified.
    fn wait_for_progress<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        deadline: Instant,
    ) -> MutexGuard<'a, State> {
        state.wakeups.waiters += 1;
        let time_left = deadline.saturating_duration_since(Instant::now());
        let (mut state, _) = self.progress.wait_timeout(state, time_left);
        state.wakeups.waiters -= 1;
        state
    }
}

impl Drop for LineQueue {
    fn drop(&mut self) {
        if self.generation != forks::generation() {
            // This process inherited the queue at a fork, and the parent writes its records. A
            // thread of the parent may have held a lock at the fork. That lock stays locked here.
            return;
        }
        if self.state.get_mut().counts.held_bytes > 0 {
            self.shutdown(deadline_after(self.options.when_full.max_wait()));
        }
        let null_sink = GuardedSink::new(Box::new(WriterSink::new(io::sink())));
        let sink = mem::replace(&mut self.sink, Arc::new(null_sink));
        // Dropping the application's writer may panic.
        let _ = panic_safe::catch_panic(|| drop(sink));
    }
}

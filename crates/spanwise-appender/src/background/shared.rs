//! What the threads that log and the thread that writes have in common.

use std::{
    cell::Cell,
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak,
        atomic::AtomicBool,
    },
    time::{Duration, Instant},
};

use spanwise_core::{Fault, SelfReport, SinkCounters};
use tracing::Level;

mod ending;
mod writing;

pub(crate) use writing::Next;

use super::{
    Options,
    buffer::Buffer,
    ladder::{Admission, Ladder},
    notice::Notices,
    worker,
};
use crate::{
    process::{self, Lives},
    sink::Sink,
};

/// One buffer, one writer, one thread. After a fork the child makes one of its own.
pub(crate) struct Shared {
    /// That of the process this was made in.
    generation: u32,
    pub(crate) options: Options,
    pub(crate) counters: Arc<SinkCounters>,
    pub(crate) report: SelfReport,
    pub(crate) sink: Arc<Mutex<Box<dyn Sink>>>,
    state: Mutex<State>,
    /// For the thread that writes.
    work: Condvar,
    /// For those who wait for room, or for lines to be settled.
    progress: Condvar,
    /// Told to a sink that waits for its reader.
    pub(crate) stop: AtomicBool,
    forked: OnceLock<Arc<Self>>,
}

pub(crate) struct State {
    buffer: Buffer,
    ladder: Ladder,
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
    watchers: usize,
    /// When they were last told of lines that were settled.
    told_progress: Option<Instant>,
    /// The sink refuses lines.
    failing: Option<Failing>,
    /// How many records were settled when somebody waited for room in vain: until there is one more, nobody else waits.
    in_vain: Option<u64>,
    /// The last error of the sink.
    last_error: Option<io::ErrorKind>,
    notices: Notices,
    /// Since when a notice is being logged.
    telling: Option<Instant>,
    /// What became of all lines was told.
    summed_up: bool,
    phase: Phase,
    /// The sink was told that there is nothing more.
    finished: bool,
    /// A fork is under way: nothing new may begin.
    forking: bool,
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
    error: io::Error,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// The thread is to end once nothing is left.
    Closing,
    /// There is no thread, and nothing was given up: whoever logs writes.
    Direct,
    /// Lines were given up, and so are those that follow: what is missing is the end.
    GivenUp,
}

impl Phase {
    fn is_over(self) -> bool {
        matches!(self, Self::Direct | Self::GivenUp)
    }
}

/// With this much, or a quarter of a small buffer, the thread that writes is woken early. It may take the core of the caller who
/// wakes it, so not with less.
const WORTH_A_WRITE: usize = 256 * 1024;

/// Whoever waits for room looks this often by itself.
const LOOKS_EVERY: Duration = Duration::from_millis(10);

/// How long lines gather.
const LINGER: Duration = Duration::from_millis(1);

/// Longest wait of a caller for a line that must be in the kernel when it returns.
const SYNC_AT_MOST: Duration = Duration::from_secs(1);

thread_local! {
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

/// Marks this thread as one that writes, which must never wait for itself.
pub(crate) fn this_is_the_worker() {
    IS_WORKER.set(true);
}

fn is_worker() -> bool {
    // The thread may be ending.
    IS_WORKER.try_with(Cell::get).unwrap_or(false)
}

impl Shared {
    pub(crate) fn start(
        options: Options,
        sink: Arc<Mutex<Box<dyn Sink>>>,
        counters: Arc<SinkCounters>,
        report: SelfReport,
    ) -> io::Result<Arc<Self>> {
        let shared = Arc::new(Self::new(options, sink, counters, report));
        worker::spawn(&shared)?;
        let watched: Weak<dyn Lives> = Arc::<Self>::downgrade(&shared);
        process::watch(watched);
        Ok(shared)
    }

    fn new(
        options: Options,
        sink: Arc<Mutex<Box<dyn Sink>>>,
        counters: Arc<SinkCounters>,
        report: SelfReport,
    ) -> Self {
        Self {
            generation: process::generation(),
            state: Mutex::new(State {
                buffer: Buffer::new(options.capacity),
                ladder: Ladder::new(options.when_full, options.capacity),
                held: 0,
                accepted: 0,
                settled: 0,
                failed: 0,
                worker: Worker::Busy,
                urgent: false,
                watchers: 0,
                told_progress: None,
                failing: None,
                in_vain: None,
                last_error: None,
                notices: Notices::default(),
                telling: None,
                summed_up: false,
                phase: Phase::Running,
                finished: false,
                forking: false,
                writing: false,
            }),
            options,
            counters,
            report,
            sink,
            work: Condvar::new(),
            progress: Condvar::new(),
            stop: AtomicBool::new(false),
            forked: OnceLock::new(),
        }
    }

    /// The one of this process.
    #[inline]
    pub(crate) fn here(&self) -> &Self {
        if self.generation == process::generation() {
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
        if self.generation == process::generation() {
            return Some(self);
        }
        self.forked.get()?.here_if_any()
    }

    /// An empty one with a thread of its own; what the parent holds, the parent writes.
    fn fork(&self) -> Arc<Self> {
        let sink = match self.sink.try_lock() {
            Ok(_) | Err(TryLockError::Poisoned(_)) => Arc::clone(&self.sink),
            Err(TryLockError::WouldBlock) => {
                // The parent's thread was inside of it, and is not here to come out.
                let why = format_args!(
                    "{}: it was being written to when the process forked; the child writes to stderr",
                    self.options.name
                );
                self.report.fault(Fault::Setup, &why);
                Arc::new(Mutex::new(crate::background::stderr_sink()))
            }
        };
        let options = self.options.clone();
        let counters = self.report.sink(options.name.clone());
        let child = Arc::new(Self::new(options, sink, counters, self.report.clone()));
        if worker::spawn(&child).is_err() {
            child.lock().phase = Phase::Direct;
        }
        child
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a record, or leaves it out and counts it.
    pub(crate) fn append(&self, level: Level, record: &[u8]) {
        let mut state = self.lock();
        let mut waits_until = None;
        loop {
            match state.phase {
                Phase::Running | Phase::Closing => {}
                Phase::Direct => {
                    drop(state);
                    return self.write_directly(record);
                }
                Phase::GivenUp => return self.counters.add_lost_at_shutdown(1),
            }
            let hopeless = state.failing.is_some() || state.in_vain == Some(state.settled);
            match state.ladder.admit(level, state.held, hopeless) {
                Admission::Accept => break,
                Admission::Shed => return self.shed(state, level),
                Admission::Wait(_) if is_worker() => return self.shed(state, level),
                Admission::Wait(at_most) => {
                    let (until, settled) = *waits_until
                        .get_or_insert_with(|| (deadline_after(at_most), state.settled));
                    if Instant::now() >= until {
                        if state.settled == settled {
                            state.in_vain = Some(settled);
                        }
                        return self.shed(state, level);
                    }
                    // Not every bit of room is told.
                    state = self.watch_until(state, until.min(deadline_after(LOOKS_EVERY)));
                }
            }
        }
        state.buffer.push(record);
        state.held += record.len();
        state.accepted += 1;
        let mine = state.accepted;
        let begins_to_shed = {
            let held = state.held;
            state.ladder.filled(held)
        };
        let urgent = level == Level::ERROR;
        let wake = match state.worker {
            Worker::Busy => false,
            Worker::Lingering => urgent || self.is_worth_a_write(state.held),
            Worker::Asleep => true,
        };
        state.urgent |= urgent;
        if wake {
            state.worker = Worker::Busy;
        }
        if begins_to_shed {
            state.notices.shed();
        }
        let held = state.held;
        if self.options.sync_on.is_some_and(|sync_on| level <= sync_on) {
            self.sync(state, wake, mine);
        } else {
            drop(state);
            if wake {
                self.work.notify_one();
            }
        }
        if begins_to_shed {
            self.tell_shedding(held);
        }
    }

    fn is_worth_a_write(&self, held: usize) -> bool {
        held >= WORTH_A_WRITE.min(self.options.capacity / 4)
    }

    #[cold]
    fn shed(&self, mut state: MutexGuard<'_, State>, level: Level) {
        let first = state.notices.shed();
        // Before anybody can tell how many they were.
        self.counters.shed(level);
        drop(state);
        if !first {
            return;
        }
        let why = format_args!(
            "{}: the buffer is full, a line is left out",
            self.options.name
        );
        self.report.fault(Fault::Shed, &why);
    }

    #[cold]
    fn tell_shedding(&self, held: usize) {
        let why = format_args!(
            "{}: the writer is behind by {held} bytes of {}: lines are left out by their level",
            self.options.name, self.options.capacity,
        );
        self.report.fault(Fault::Shed, &why);
    }

    /// Waits until the record with this number is settled.
    #[cold]
    fn sync(&self, mut state: MutexGuard<'_, State>, wake: bool, number: u64) {
        state.urgent = true;
        if wake || state.worker == Worker::Lingering {
            state.worker = Worker::Busy;
            self.work.notify_one();
        }
        let until = deadline_after(SYNC_AT_MOST);
        while !is_worker()
            && state.settled < number
            && state.failing.is_none()
            && Instant::now() < until
        {
            state = self.watch_until(state, until);
        }
    }

    /// Waits for progress of whatever kind.
    fn watch_until<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        until: Instant,
    ) -> MutexGuard<'a, State> {
        state.watchers += 1;
        let left = until.saturating_duration_since(Instant::now());
        let (mut state, _) = self
            .progress
            .wait_timeout(state, left)
            .unwrap_or_else(PoisonError::into_inner);
        state.watchers -= 1;
        state
    }
}

/// A point in time, or one that is far enough away.
pub(crate) fn deadline_after(duration: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365);
    Instant::now() + duration.min(FAR)
}

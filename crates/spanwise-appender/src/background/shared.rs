//! What the threads that log and the thread that writes have in common.

use std::{
    cell::Cell,
    io, mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use spanwise_core::{Fault, SelfReport, SinkCounters, guarded};
use tracing::Level;

use super::{
    Options, Report,
    buffer::{Buffer, Chunk},
    ladder::{Admission, Ladder},
    notice::{Notice, Notices},
    worker,
};
use crate::{
    process::{self, Lives},
    sink::{Records, Sink, Written},
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
    /// Records that were given up at the shutdown, of which nobody was told yet.
    abandoned: u64,
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

/// What the thread that writes is to do next.
pub(crate) enum Next {
    Write(Chunk),
    Tell(Notice),
    Finish,
    End,
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

/// After so many empty lingers the thread that writes goes to sleep.
const EMPTY_LINGERS: u32 = 16;

/// Longest wait of a caller for a line that must be in the kernel when it returns.
const SYNC_AT_MOST: Duration = Duration::from_secs(1);

/// The end waits this long for a notice that is being logged.
const TELL_AT_MOST: Duration = Duration::from_millis(200);

/// A shutdown ends this much before its deadline, or less if there is little time, for a sink that waits to notice.
const NOTICE: Duration = Duration::from_millis(50);

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
                abandoned: 0,
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
        let info = state.ladder.sheds_info();
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
            self.tell_shedding(held, info);
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
    fn tell_shedding(&self, held: usize, info: bool) {
        let why = format_args!(
            "{}: the writer is behind by {held} bytes of {}: {}TRACE and DEBUG are left out",
            self.options.name,
            self.options.capacity,
            if info { "INFO, " } else { "" },
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

    pub(crate) fn flush(&self, deadline: Instant) -> io::Result<()> {
        if is_worker() {
            return Err(io::Error::other("the writer cannot wait for itself"));
        }
        let mut state = self.lock();
        let (target, failed) = (state.accepted, state.failed);
        let attempts = state.failing.as_ref().map(|failing| failing.attempts);
        self.hurry(&mut state);
        while state.settled < target && Instant::now() < deadline {
            // A sink that refuses lines is tried once more, and not waited for.
            if let Some(failing) = &state.failing
                && attempts.is_none_or(|before| failing.attempts > before)
            {
                return Err(self.refused(&state));
            }
            state = self.watch_until(state, deadline);
        }
        if state.settled < target {
            let left = target - state.settled;
            let why = format!("{}: {left} lines are still held", self.options.name);
            return Err(io::Error::new(io::ErrorKind::TimedOut, why));
        }
        if state.failed > failed {
            return Err(self.refused(&state));
        }
        Ok(())
    }

    fn refused(&self, state: &State) -> io::Error {
        let kind = state.last_error.unwrap_or(io::ErrorKind::Other);
        io::Error::new(kind, format!("{}: {kind}", self.options.name))
    }

    fn hurry(&self, state: &mut State) {
        state.urgent = true;
        state.worker = Worker::Busy;
        self.work.notify_one();
    }

    /// Writes what is held, and ends the thread. What is left at the deadline is lost.
    pub(crate) fn shutdown(&self, deadline: Instant) -> Report {
        let mut state = self.lock();
        // Somebody may be at it already: the program does not end before it is done.
        if !state.phase.is_over() && !is_worker() {
            state.phase = Phase::Closing;
            self.hurry(&mut state);
            let left = deadline.saturating_duration_since(Instant::now());
            let notice = NOTICE.min(left / 4);
            let last_call = deadline.checked_sub(notice).unwrap_or(deadline);
            while !state.phase.is_over() && Instant::now() < last_call {
                state = self.watch_until(state, last_call);
            }
            self.stop.store(true, Ordering::Relaxed);
            self.hurry(&mut state);
            while !state.phase.is_over() && Instant::now() < deadline {
                state = self.watch_until(state, deadline);
            }
            self.abandon(&mut state);
            let lost = mem::take(&mut state.abandoned);
            drop(state);
            if lost > 0 {
                let why = format_args!(
                    "{}: {lost} lines could not be written before the deadline",
                    self.options.name
                );
                self.report.fault(Fault::LostAtShutdown, &why);
            }
        }
        let stats = self.counters.stats();
        Report {
            delivered: stats.delivered,
            lost: stats.lost(),
        }
    }

    /// Gives up what is held.
    fn abandon(&self, state: &mut State) {
        if state.phase.is_over() {
            return;
        }
        let lost = state.accepted - state.settled;
        state.settled = state.accepted;
        if lost > 0 {
            state.failed += lost;
            state.last_error.get_or_insert(io::ErrorKind::TimedOut);
        }
        state.held = 0;
        state.buffer.clear();
        state.phase = if lost == 0 {
            Phase::Direct
        } else {
            Phase::GivenUp
        };
        state.abandoned += lost;
        self.counters.add_lost_at_shutdown(lost);
        self.progress.notify_all();
    }

    /// There is no thread any more: the record is written here, if the sink takes it without waiting.
    #[cold]
    fn write_directly(&self, record: &[u8]) {
        let records = Records {
            bytes: record,
            ends: &[record.len()],
        };
        // Of others who do the same.
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let written = guarded::catch(|| sink.write(records, &self.stop));
        if written.is_some_and(|written| written.delivered == 1) {
            self.counters.delivered();
        } else {
            self.lock().phase = Phase::GivenUp;
            self.counters.add_lost_at_shutdown(1);
        }
    }
}

/// For the thread that writes.
impl Shared {
    /// Waits until there is something to write, and for a moment more for what comes right behind it.
    pub(crate) fn next(&self) -> Next {
        let mut state = self.lock();
        state.writing = false;
        if state.forking {
            self.progress.notify_all();
        }
        let mut lingers = 0;
        loop {
            let closing = state.phase != Phase::Running;
            let empty = state.buffer.is_empty();
            if closing && self.stop.load(Ordering::Relaxed) {
                self.abandon(&mut state);
                return Next::End;
            }
            let telling = state
                .telling
                .is_some_and(|since| since.elapsed() < TELL_AT_MOST);
            let calm = !state.ladder.is_shedding() && state.held < self.options.capacity / 2;
            if !telling
                && let Some(notice) = state.notices.due(&self.counters, calm, closing && empty)
            {
                state.telling = Some(Instant::now());
                return Next::Tell(notice);
            }
            if closing && empty && !telling && !mem::replace(&mut state.finished, true) {
                return Next::Finish;
            }
            if closing && empty && !telling {
                // Nothing is left: this only says that there is no thread any more.
                self.abandon(&mut state);
                return Next::End;
            }
            if !state.forking && !empty {
                let worth = self.is_worth_a_write(state.held) || state.urgent || closing;
                if (worth || lingers > 0)
                    && let Some(chunk) = state.buffer.pop()
                {
                    state.writing = true;
                    return Next::Write(chunk);
                }
            }
            if empty {
                let surplus = state.buffer.surplus();
                if !surplus.is_empty() {
                    drop(state);
                    drop(surplus);
                    state = self.lock();
                    continue;
                }
            }
            state.urgent &= !empty;
            let pending = closing || state.notices.are_pending();
            if empty && lingers >= EMPTY_LINGERS && !pending {
                state.worker = Worker::Asleep;
                state = self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                lingers = 0;
            } else {
                state.worker = Worker::Lingering;
                (state, _) = self
                    .work
                    .wait_timeout(state, LINGER)
                    .unwrap_or_else(PoisonError::into_inner);
                lingers += 1;
            }
            state.worker = Worker::Busy;
        }
    }

    /// The fate of the oldest records, which are `bytes` long. True if the sink is to be tried again with what is left of them.
    pub(crate) fn settle(&self, bytes: usize, written: Written, left: usize) -> bool {
        let mut state = self.lock();
        if state.phase.is_over() {
            // They were given up and counted while this was being written.
            return false;
        }
        let Written {
            delivered,
            failed,
            error,
        } = written;
        self.counters.add_delivered(delivered as u64);
        self.counters.add_write_failed(failed as u64);
        state.held -= bytes;
        state.settled += (delivered + failed) as u64;
        state.failed += failed as u64;
        let held = state.held;
        state.ladder.drained(held);
        match error {
            Some(error) => {
                state.last_error = Some(error.kind());
                let failing = state.failing.get_or_insert_with(|| Failing {
                    since: Instant::now(),
                    attempts: 0,
                    failed: 0,
                    error,
                });
                failing.attempts += 1;
                failing.failed += failed as u64;
            }
            None => {
                if let Some(failing) = state.failing.take() {
                    let Failing {
                        since,
                        failed,
                        error,
                        ..
                    } = failing;
                    state.notices.recovered(since.elapsed(), failed, &error);
                }
            }
        }
        if state.watchers > 0 && self.is_worth_telling(&state) {
            state.told_progress = Some(Instant::now());
            self.progress.notify_all();
        }
        left > 0 && !self.stop.load(Ordering::Relaxed)
    }

    /// Those who wait for room are not woken for every chunk of it, which they would fill and wait again at once; with a slow sink
    /// they are.
    fn is_worth_telling(&self, state: &State) -> bool {
        let is_long_ago = |at: Instant| at.elapsed() >= LINGER;
        state.held <= self.options.capacity / 4 * 3
            || state.urgent
            || state.failing.is_some()
            || state.told_progress.is_none_or(is_long_ago)
    }

    /// Waits before the sink is tried again; not as long if somebody wants it now, or a fork needs it out of the way.
    pub(crate) fn back_off(&self, delay: Duration) {
        let mut state = self.lock();
        state.writing = false;
        state.urgent = false;
        if state.forking {
            self.progress.notify_all();
        }
        let until = deadline_after(delay);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let hurried = left.is_zero() || state.urgent || self.stop.load(Ordering::Relaxed);
            if hurried && !state.forking {
                break;
            }
            // Lines that come meanwhile are no reason to wake it.
            state.worker = Worker::Busy;
            (state, _) = self
                .work
                .wait_timeout(state, left.max(LINGER))
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.writing = true;
    }

    /// The notice is logged.
    pub(crate) fn told(&self) {
        let mut state = self.lock();
        state.telling = None;
        if state.phase == Phase::Closing {
            self.work.notify_one();
        }
    }

    /// Takes a chunk back that is written.
    pub(crate) fn recycle(&self, chunk: Chunk) {
        self.lock().buffer.recycle(chunk);
    }
}

impl Lives for Shared {
    fn hold_still(&self, deadline: Instant) {
        let Some(here) = self.here_if_any() else {
            return;
        };
        let mut state = here.lock();
        if is_worker() {
            state.forking = true;
            return;
        }
        // A parent that ends at once, as that of a daemon does, would take what it holds with it.
        let left = deadline.saturating_duration_since(Instant::now());
        let half = Instant::now() + left / 2;
        let target = state.accepted;
        if state.settled < target {
            here.hurry(&mut state);
        }
        while state.settled < target && state.failing.is_none() && Instant::now() < half {
            state = here.watch_until(state, half);
        }
        state.forking = true;
        while state.writing && Instant::now() < deadline {
            state = here.watch_until(state, deadline);
        }
    }

    fn go_on(&self) {
        if let Some(here) = self.here_if_any() {
            here.lock().forking = false;
        }
    }

    fn begin_to_finish(&self) {
        if let Some(here) = self.here_if_any() {
            let mut state = here.lock();
            if state.phase == Phase::Running {
                state.phase = Phase::Closing;
                here.hurry(&mut state);
            }
        }
    }

    fn finish(&self, deadline: Instant) {
        if let Some(here) = self.here_if_any() {
            here.shutdown(deadline);
        }
    }
}

/// A point in time, or one that is far enough away.
pub(crate) fn deadline_after(duration: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365);
    Instant::now() + duration.min(FAR)
}

//! A unit of work: what is kept of it, and whether it is written.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use spanwise_core::Fault;
use tracing_core::{Level, span::Id};

use super::{
    memory::Held,
    reason::Reason,
    ring::{Head, Ring},
    shared::Shared,
};

/// One unit of one sink.
#[derive(Debug)]
pub(crate) struct Unit {
    shared: Arc<Shared>,
    /// `None` where events are kept that are in no unit.
    span: Option<Id>,
    /// Where its age counts.
    started: Option<Instant>,
    /// What code asked for, as a number; 0 if nothing.
    asked: AtomicU8,
    /// Whether it is among the units that show their events though nothing happens.
    choice: AtomicU8,
    /// And whether that follows the id of its trace or request, not chance.
    is_by_id: AtomicBool,
    /// With tail sampling: it is so old that its events are shown at once.
    is_old: AtomicBool,
    /// Nothing is kept any more. A copy of what the phase says, to be read without the lock.
    through: AtomicBool,
    /// Held for as long as a line takes to copy, and no longer: nothing is formatted or written under it.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    ring: Ring,
    held: Held,
    /// Records that left for others, or were too long; for the header.
    evicted: u64,
    /// It is being written, and something more happened than that it is old.
    has_failed: bool,
}

/// What becomes of an event that the sink shows, with tail sampling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Shown,
    /// Shown, and it stands for those of the units that were not chosen.
    Chosen,
    Held,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Choice {
    /// Nobody had to know.
    Open,
    Chosen,
    Held,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing happened: lines are kept.
    #[default]
    Quiet,
    /// What was kept is being written. Lines of other threads are kept, so that they come after it.
    Writing,
    /// Lines are written at once.
    Through,
    Ended,
}

/// A line that is to be kept: the number of its callsite, and a bit. In one number, since it goes through a cell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct What(u32);

impl What {
    const HELD: u32 = 1 << 31;

    /// It is below what is shown.
    pub(crate) fn captured(callsite: u32) -> Self {
        Self(callsite)
    }

    /// It would be shown, were it not for tail sampling.
    pub(crate) fn held(callsite: u32) -> Self {
        Self(callsite | Self::HELD)
    }

    #[inline]
    fn is_held(self) -> bool {
        self.0 & Self::HELD != 0
    }

    #[inline]
    pub(crate) fn callsite(self) -> u32 {
        self.0 & !Self::HELD
    }
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It was taken.
    Taken,
    /// Meanwhile the unit writes through.
    Through,
}

/// How often a line that finds the memory full takes some of the oldest unit's.
const ATTEMPTS: usize = 64;

/// How long a unit is held for tail sampling.
const LONGEST: Duration = Duration::from_secs(30);

/// How many lines that other threads kept meanwhile are written before the unit writes through in any case: they may log for ever, and faster
/// than the output takes it.
const LATE: u64 = 2000;

impl Unit {
    pub(crate) fn new(shared: &Arc<Shared>, span: Option<Id>) -> Arc<Self> {
        Arc::new(Self {
            shared: Arc::clone(shared),
            span,
            started: shared.is_timed.then(|| shared.options.clock.instant()),
            asked: AtomicU8::new(0),
            choice: AtomicU8::new(Choice::Open as u8),
            is_by_id: AtomicBool::new(false),
            is_old: AtomicBool::new(false),
            through: AtomicBool::new(false),
            state: Mutex::default(),
        })
    }

    pub(crate) fn span(&self) -> Option<&Id> {
        self.span.as_ref()
    }

    #[inline]
    pub(crate) fn is_through(&self) -> bool {
        self.through.load(Ordering::Acquire)
    }

    /// Has the unit written with its next event or when it ends.
    pub(crate) fn ask(&self, reason: Reason) {
        let number = reason as u8;
        let asked = &self.asked;
        let first = asked.compare_exchange(0, number, Ordering::AcqRel, Ordering::Relaxed);
        if first.is_ok() {
            self.shared.asked.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Why the unit is to be written, if it is: at an event of `level` in it, or when it ends.
    pub(crate) fn reason(&self, level: Option<Level>) -> Option<Reason> {
        if self.is_through() {
            return None;
        }
        if level == Some(Level::ERROR) {
            return Some(if thread::panicking() {
                Reason::Panic
            } else {
                Reason::Error
            });
        }
        self.span.as_ref()?;
        if let Some(asked) = Reason::from_number(self.asked.load(Ordering::Acquire)) {
            return Some(asked);
        }
        let slow = self.shared.options.slow;
        let is_held = self.choice.load(Ordering::Acquire) == Choice::Held as u8
            && !self.is_old.load(Ordering::Acquire);
        if slow.is_none() && !is_held {
            return None;
        }
        let age = self.age();
        if slow.is_some_and(|slow| age >= slow) {
            Some(Reason::Slow)
        } else if is_held && age >= LONGEST {
            Some(Reason::Old)
        } else {
            None
        }
    }

    fn age(&self) -> Duration {
        self.started.map_or(Duration::ZERO, |started| {
            let now = self.shared.options.clock.instant();
            now.saturating_duration_since(started)
        })
    }

    /// What becomes of an event that the sink shows: `choose` says, once a unit, whether it is among those that are shown in any case.
    pub(crate) fn fate(&self, choose: impl FnOnce() -> bool) -> Fate {
        if self.is_through() || self.is_old.load(Ordering::Acquire) {
            return Fate::Shown;
        }
        let (open, chosen) = (Choice::Open as u8, Choice::Chosen as u8);
        let mut choice = self.choice.load(Ordering::Acquire);
        if choice == open {
            // An old one has nothing to wait for.
            let is_chosen = self.age() >= LONGEST || choose();
            let ours = if is_chosen {
                Choice::Chosen
            } else {
                Choice::Held
            } as u8;
            let first =
                self.choice
                    .compare_exchange(open, ours, Ordering::AcqRel, Ordering::Acquire);
            choice = first.map_or_else(|theirs| theirs, |_| ours);
        }
        if choice != chosen {
            // What is held is written first when it is old.
            return Fate::Held;
        }
        if self.age() >= LONGEST {
            self.is_old.store(true, Ordering::Release);
            return Fate::Shown;
        }
        Fate::Chosen
    }

    /// Says, before [`fate`](Self::fate) is, by what the unit is chosen.
    pub(crate) fn choose_by_id(&self, is_by_id: bool) {
        self.is_by_id.store(is_by_id, Ordering::Relaxed);
    }

    pub(crate) fn is_chosen_by_id(&self) -> bool {
        self.is_by_id.load(Ordering::Relaxed)
    }

    /// Keeps a line that [`What::captured`] says nothing more of than that it is to be kept, if there is room for it. False if it was not.
    #[inline]
    pub(crate) fn keep_quickly(&self, what: What, line: &[u8]) -> bool {
        let Shared {
            options, counters, ..
        } = &*self.shared;
        let mut state = self.state();
        let kept = state.phase == Phase::Quiet
            && !what.is_held()
            && line.len() <= options.limits.record_bytes
            && !self.is_full(&state, Ring::size_of(line))
            && state.ring.push_if_simple(what.callsite(), line);
        if kept {
            counters.captured.count();
        }
        kept
    }

    /// Keeps a line, at the cost of older ones: the unit's where it has too many, those of the oldest unit where all have too many.
    #[inline(never)]
    pub(crate) fn keep(self: &Arc<Self>, what: What, line: &[u8]) -> Kept {
        let limits = &self.shared.options.limits;
        let fits = line.len() <= limits.record_bytes;
        let size = Ring::size_of(line);
        for _ in 0..ATTEMPTS {
            let mut state = self.state();
            match state.phase {
                Phase::Through => return Kept::Through,
                Phase::Quiet if what.is_held() && self.is_old.load(Ordering::Acquire) => {
                    return Kept::Through;
                }
                Phase::Quiet | Phase::Writing | Phase::Ended => {}
            }
            if state.phase == Phase::Ended || !fits {
                let bucket = if fits {
                    &self.shared.counters.forgotten
                } else {
                    &self.shared.counters.oversize
                };
                self.shared.counters.captured.count();
                bucket.add(1);
                state.evicted += 1;
                return Kept::Taken;
            }
            if state.phase == Phase::Writing && self.is_full(&state, size) {
                // What came before the reason is what is wanted, and is announced already.
                self.shared.counters.captured.count();
                self.shared.counters.evicted.add(1);
                state.evicted += 1;
                return Kept::Taken;
            }
            if self.make_room(&mut state, size) {
                state.ring.push(what.callsite(), line);
                self.shared.counters.captured.count();
                return Kept::Taken;
            }
            drop(state);
            self.evict_oldest();
        }
        // Others were faster each time.
        self.shared.counters.captured.count();
        self.shared.counters.evicted.add(1);
        self.state().evicted += 1;
        Kept::Taken
    }

    #[inline]
    fn is_full(&self, state: &State, size: usize) -> bool {
        let limits = &self.shared.options.limits;
        state.ring.records() >= limits.unit_records || state.ring.len() + size > limits.unit_bytes
    }

    /// False if there is no memory left.
    fn make_room(self: &Arc<Self>, state: &mut State, size: usize) -> bool {
        while self.is_full(state, size) {
            if !state.ring.drop_oldest() {
                break;
            }
            state.evicted += 1;
            self.shared.counters.evicted.add(1);
        }
        let State { ring, held, .. } = state;
        while !ring.has_room(size) {
            if !self.shared.memory.add_chunk(self, ring, held) {
                return false;
            }
        }
        true
    }

    #[cold]
    fn evict_oldest(&self) {
        let Some(oldest) = self.shared.memory.oldest() else {
            thread::yield_now();
            return;
        };
        let records = oldest.evict();
        if records > 0 {
            let most = self.shared.options.limits.process_bytes;
            let why = format_args!(
                "{records} lines of a unit of work: all units together have filled their {most} bytes"
            );
            self.shared.report.fault(Fault::Evicted, &why);
        }
    }

    /// Forgets all lines, for the sake of other units.
    fn evict(&self) -> u64 {
        let mut state = self.state();
        let records = self.forget(&mut state, Bucket::Evicted);
        state.evicted += records;
        records
    }

    /// Begins to write what is kept. `None` if that has begun already, or the unit has ended, or nothing was kept; then the unit writes
    /// through in any case, unless it is just old.
    pub(crate) fn begin(self: &Arc<Self>, reason: Reason) -> Option<Box<Batch>> {
        let mut state = self.state();
        state.has_failed |= reason != Reason::Old;
        if state.phase != Phase::Quiet {
            return None;
        }
        if reason == Reason::Old && self.is_old.load(Ordering::Acquire) {
            // Another thread was faster.
            return None;
        }
        if state.ring.records() == 0 && state.evicted == 0 {
            state.phase = Phase::Writing;
            self.written(&mut state);
            return None;
        }
        state.phase = Phase::Writing;
        Some(Box::new(Batch {
            evicted: state.evicted,
            records: state.ring.records() as u64,
            callsites: {
                let mut callsites: Vec<u32> = state.ring.callsites().collect();
                callsites.sort_unstable();
                callsites.dedup();
                callsites
            },
            ring: Ring::default(),
            unit: Arc::clone(self),
            progress: Progress::Begun,
        }))
    }

    /// What was asked for happens, or cannot happen any more.
    fn answered(&self) {
        if self.asked.swap(0, Ordering::AcqRel) != 0 {
            self.shared.asked.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// The lines that were kept since, or none: then the unit writes through.
    fn next_round(&self, last: bool) -> Option<Ring> {
        let mut state = self.state();
        state.evicted = 0;
        let ring = (state.ring.records() > 0).then(|| self.take(&mut state));
        if ring.is_none() || last {
            self.written(&mut state);
        }
        ring
    }

    fn written(&self, state: &mut State) {
        if state.has_failed {
            self.answered();
        }
        if state.phase == Phase::Writing {
            let through = self.span.is_some() && state.has_failed;
            // From here its events are shown at once, and what it keeps is kept on.
            self.is_old.store(!state.has_failed, Ordering::Release);
            state.phase = if through {
                Phase::Through
            } else {
                Phase::Quiet
            };
            self.through.store(through, Ordering::Release);
        }
    }

    /// The unit ended by itself: what was kept is forgotten.
    pub(crate) fn end(&self) {
        self.answered();
        let mut state = self.state();
        state.phase = Phase::Ended;
        self.forget(&mut state, Bucket::Forgotten);
    }

    fn forget(&self, state: &mut State, bucket: Bucket) -> u64 {
        let records = state.ring.records() as u64;
        let counters = &self.shared.counters;
        match bucket {
            Bucket::Evicted => counters.evicted.add(records),
            Bucket::Forgotten => counters.forgotten.add(records),
            Bucket::Failed => counters.failed.add(records),
        }
        let ring = std::mem::take(&mut state.ring);
        self.shared.memory.give_back(ring, &mut state.held);
        records
    }

    fn take(&self, state: &mut State) -> Ring {
        self.shared.memory.leave(&mut state.held);
        std::mem::take(&mut state.ring)
    }

    #[inline]
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Unit {
    /// A layer may be dropped before the spans it saw.
    fn drop(&mut self) {
        self.end();
    }
}

#[derive(Debug, Clone, Copy)]
enum Bucket {
    Evicted,
    Forgotten,
    Failed,
}

/// What was kept of a unit, on its way to the output. If nothing is taken from it, all is as before it was begun; if only some is, the rest
/// counts as failed.
#[derive(Debug)]
pub(crate) struct Batch {
    unit: Arc<Unit>,
    ring: Ring,
    progress: Progress,
    /// For the header.
    pub(crate) records: u64,
    pub(crate) evicted: u64,
    /// Of the lines: who gets none of them gets no header.
    pub(crate) callsites: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Nothing was taken from the unit.
    Begun,
    /// What there was, was taken, and so many lines that were kept since.
    Taken { late: u64 },
    /// There is nothing more to take.
    Done,
}

impl Batch {
    /// The next line, in `line`: those there were, and then those that other threads kept since.
    pub(crate) fn next(&mut self, line: &mut Vec<u8>) -> Option<Head> {
        loop {
            let head = self.ring.pop_oldest(line);
            let late = match self.progress {
                Progress::Begun => 0,
                Progress::Taken { late } => late,
                Progress::Done => return head,
            };
            if head.is_some() {
                return head;
            }
            let is_last = late >= LATE;
            let Some(next) = self.unit.next_round(is_last) else {
                self.progress = Progress::Done;
                return None;
            };
            self.progress = match self.progress {
                _ if is_last => Progress::Done,
                Progress::Begun => Progress::Taken { late: 0 },
                Progress::Taken { .. } | Progress::Done => Progress::Taken {
                    late: late + next.records() as u64,
                },
            };
            let empty = std::mem::replace(&mut self.ring, next);
            self.unit
                .shared
                .memory
                .give_back(empty, &mut Held::default());
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let unit = &self.unit;
        let failed = self.ring.records() as u64;
        unit.shared.counters.failed.add(failed);
        let ring = std::mem::take(&mut self.ring);
        unit.shared.memory.give_back(ring, &mut Held::default());
        if self.progress == Progress::Done {
            return;
        }
        let mut state = unit.state();
        if state.phase != Phase::Writing {
            return;
        }
        if self.progress == Progress::Begun {
            // The sink did not write the header: it is inside its own writer, or filters. The next reason tries again.
            state.phase = Phase::Quiet;
        } else {
            // The writer panicked: what came since would not fare better.
            unit.forget(&mut state, Bucket::Failed);
            unit.written(&mut state);
        }
    }
}

//! A unit of work: what is kept of it, and whether it is written.

mod buffering;
mod dump;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use spanwise_core::{Fault, SpanValue};
use tracing_core::{Level, span::Id};

use super::{
    chunk_pool::PoolLease, record_ring::RecordRing, recorder_state::RecorderState, trigger::Trigger,
};

pub(crate) use buffering::{BufferOutcome, RecordTag};
pub(crate) use dump::Dump;

/// One unit of one sink.
#[derive(Debug)]
pub(crate) struct Unit {
    shared: Arc<RecorderState>,
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
    /// How many of its spans are closed.
    closed_spans: AtomicU32,
    /// Held for as long as a line takes to copy, and no longer: nothing is formatted or written under it.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    ring: RecordRing,
    held: PoolLease,
    /// Records that left for others, or were too long; for the header.
    evicted: u64,
    /// It is being written, and something more happened than that it is old.
    has_failed: bool,
    /// Why it was to be written, when too many others had been.
    suppressed: Option<Trigger>,
}

/// What becomes of an event that the sink shows, with tail sampling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TailDecision {
    Show,
    /// Shown, and it stands for those of the units that were not chosen.
    ShowSampled,
    Hold,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum TailChoice {
    /// Nobody had to know.
    Open,
    Chosen,
    Held,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing happened: lines are kept.
    #[default]
    Buffering,
    /// What was kept is being written. Lines of other threads are kept, so that they come after it.
    Dumping,
    /// Lines are written at once.
    PassThrough,
    Ended,
}

/// How long a unit is held for tail sampling.
const TAIL_TIMEOUT: Duration = Duration::from_secs(30);

impl Unit {
    pub(crate) fn new(shared: &Arc<RecorderState>, span: Option<Id>) -> Arc<Self> {
        Arc::new(Self {
            shared: Arc::clone(shared),
            span,
            started: shared.is_timed.then(|| shared.options.clock.instant()),
            asked: AtomicU8::new(0),
            choice: AtomicU8::new(TailChoice::Open as u8),
            is_by_id: AtomicBool::new(false),
            is_old: AtomicBool::new(false),
            through: AtomicBool::new(false),
            closed_spans: AtomicU32::new(0),
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
    pub(crate) fn ask(&self, reason: Trigger) {
        let number = reason as u8;
        let asked = &self.asked;
        let first = asked.compare_exchange(0, number, Ordering::AcqRel, Ordering::Relaxed);
        if first.is_ok() {
            self.shared.asked.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Why the unit is to be written, if it is: at an event of `level` in it, or when it ends.
    pub(crate) fn reason(&self, level: Option<Level>) -> Option<Trigger> {
        if self.is_through() {
            return None;
        }
        if level == Some(Level::ERROR) {
            return Some(if thread::panicking() {
                Trigger::Panic
            } else {
                Trigger::Error
            });
        }
        self.span.as_ref()?;
        if let Some(asked) = Trigger::from_number(self.asked.load(Ordering::Acquire)) {
            return Some(asked);
        }
        let slow = self.shared.options.slow;
        let is_held = self.choice.load(Ordering::Acquire) == TailChoice::Held as u8
            && !self.is_old.load(Ordering::Acquire);
        if slow.is_none() && !is_held {
            return None;
        }
        let age = self.age();
        if slow.is_some_and(|slow| age >= slow) {
            Some(Trigger::Slow)
        } else if is_held && age >= TAIL_TIMEOUT {
            Some(Trigger::Expired)
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
    pub(crate) fn tail_decision(&self, choose: impl FnOnce() -> bool) -> TailDecision {
        if self.is_through() || self.is_old.load(Ordering::Acquire) {
            return TailDecision::Show;
        }
        let (open, chosen) = (TailChoice::Open as u8, TailChoice::Chosen as u8);
        let mut choice = self.choice.load(Ordering::Acquire);
        if choice == open {
            // An old one has nothing to wait for.
            let is_chosen = self.age() >= TAIL_TIMEOUT || choose();
            let ours = if is_chosen {
                TailChoice::Chosen
            } else {
                TailChoice::Held
            } as u8;
            let first =
                self.choice
                    .compare_exchange(open, ours, Ordering::AcqRel, Ordering::Acquire);
            choice = first.map_or_else(|theirs| theirs, |_| ours);
        }
        if choice != chosen {
            // What is held is written first when it is old.
            return TailDecision::Hold;
        }
        if self.age() >= TAIL_TIMEOUT {
            self.is_old.store(true, Ordering::Release);
            return TailDecision::Show;
        }
        TailDecision::ShowSampled
    }

    /// StatusField, before [`tail_decision`](Self::tail_decision) is, by what the unit is chosen.
    pub(crate) fn choose_by_id(&self, is_by_id: bool) {
        self.is_by_id.store(is_by_id, Ordering::Relaxed);
    }

    pub(crate) fn is_chosen_by_id(&self) -> bool {
        self.is_by_id.load(Ordering::Relaxed)
    }

    /// What was asked for happens, or cannot happen any more.
    fn answered(&self) {
        if self.asked.swap(0, Ordering::AcqRel) != 0 {
            self.shared.asked.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn written(&self, state: &mut State) {
        if state.has_failed {
            self.answered();
        }
        if state.phase == Phase::Dumping {
            let through = self.span.is_some() && state.has_failed;
            // From here its events are shown at once, and what it keeps is kept on.
            self.is_old.store(!state.has_failed, Ordering::Release);
            state.phase = if through {
                Phase::PassThrough
            } else {
                Phase::Buffering
            };
            self.through.store(through, Ordering::Release);
        }
    }

    /// The unit ended by itself: what was kept is forgotten.
    pub(crate) fn end(&self) {
        self.answered();
        let mut state = self.state();
        state.phase = Phase::Ended;
        let Some(reason) = state.suppressed else {
            self.forget(&mut state, Bucket::Forgotten);
            return;
        };
        let records = self.forget(&mut state, Bucket::Suppressed);
        drop(state);
        if records > 0 {
            let most = self.shared.options.limits.lines_per_second;
            let why = format_args!(
                "{records} lines of a unit of work that {}: at most {most} lines are written in a second",
                reason.predicate()
            );
            self.shared.report.fault(Fault::Suppressed, &why);
        }
    }

    /// Whether there is anything to write.
    pub(crate) fn has_records(&self) -> bool {
        self.state().ring.records() > 0
    }

    fn forget(&self, state: &mut State, bucket: Bucket) -> u64 {
        let records = state.ring.records() as u64;
        let counters = &self.shared.counters;
        match bucket {
            Bucket::Evicted => counters.evicted.add(records),
            Bucket::Forgotten => counters.forgotten.add(records),
            Bucket::Failed => counters.failed.add(records),
            Bucket::Suppressed => counters.suppressed.add(records),
        }
        let ring = std::mem::take(&mut state.ring);
        self.shared.memory.give_back(ring, &mut state.held);
        records
    }

    #[inline]
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SpanValue for Unit {
    type Cache = ();

    #[inline]
    fn closed_spans(&self) -> &AtomicU32 {
        &self.closed_spans
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
    Suppressed,
}

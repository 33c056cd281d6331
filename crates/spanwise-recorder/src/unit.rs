//! Units of work: a root span with its descendants, and the lines buffered for them.

mod buffering;
mod dump;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use spanwise_core::{
    Fault,
    internal::{
        SpanValue,
        sync::{Mutex, MutexGuard},
    },
};
use tracing_core::{Level, span::Id};

use crate::{
    chunk_pool::PoolLease, record_ring::RecordRing, recorder_state::RecorderState, trigger::Trigger,
};

pub(crate) use buffering::{BufferOutcome, RecordTag};
pub(crate) use dump::Dump;

/// One unit of one sink.
#[derive(Debug)]
pub(crate) struct Unit {
    recorder: Arc<RecorderState>,
    /// The span that begins the unit. `None` for the unit of events outside spans.
    span: Option<Id>,
    /// Set if the recorder uses the age of units.
    started: Option<Instant>,
    /// The requested [`Trigger`] as a number, or 0.
    requested: AtomicU8,
    /// A [`TailChoice`].
    tail_choice: AtomicU8,
    /// Whether tail sampling has stopped buffering: the unit is older than [`MAX_TAIL_AGE`].
    has_expired: AtomicBool,
    /// Whether the phase is [`Phase::PassThrough`]. Read without the lock.
    passes_through: AtomicBool,
    closed_spans: AtomicU32,
    /// Locked only while a line is copied, never while one is formatted or written.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    ring: RecordRing,
    lease: PoolLease,
    /// The number of records that were evicted or too long. The header reports it.
    evicted: u64,
    /// Whether a trigger other than expiry has fired.
    has_failed: bool,
    /// The trigger whose dump exceeded the limit.
    suppressed: Option<Trigger>,
}

/// What tail sampling does with an event that the sink shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TailDecision {
    Show,
    /// Show it with a sample rate: it represents events of units that are not sampled.
    ShowSampled {
        by_trace: bool,
    },
    Hold,
}

/// Whether tail sampling shows the events of a unit although no trigger fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum TailChoice {
    Undecided,
    /// Shown, since the id of its trace or request is sampled.
    SampledByTrace,
    /// Shown, by chance: the unit has no such id.
    SampledAtRandom,
    Held,
}

impl TailChoice {
    fn from_number(number: u8) -> Self {
        let all = [Self::SampledByTrace, Self::SampledAtRandom, Self::Held];
        let choice = all.into_iter().find(|choice| *choice as u8 == number);
        choice.unwrap_or(Self::Undecided)
    }
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No trigger has fired: lines are buffered.
    #[default]
    Buffering,
    /// The buffer is being written. Lines of other threads are buffered, to come after it.
    Dumping,
    /// Lines are written at once.
    PassThrough,
    Ended,
}

/// How long tail sampling buffers the events of a unit.
const MAX_TAIL_AGE: Duration = Duration::from_secs(30);

impl Unit {
    pub(crate) fn new(recorder: &Arc<RecorderState>, span: Option<Id>) -> Arc<Self> {
        let clock = &recorder.options.clock;
        Arc::new(Self {
            recorder: Arc::clone(recorder),
            span,
            started: recorder.is_timed.then(|| clock.instant()),
            requested: AtomicU8::new(0),
            tail_choice: AtomicU8::new(TailChoice::Undecided as u8),
            has_expired: AtomicBool::new(false),
            passes_through: AtomicBool::new(false),
            closed_spans: AtomicU32::new(0),
            state: Mutex::default(),
        })
    }

    pub(crate) fn span(&self) -> Option<&Id> {
        self.span.as_ref()
    }

    #[inline]
    pub(crate) fn passes_through(&self) -> bool {
        self.passes_through.load(Ordering::Acquire)
    }

    /// Requests a dump, at the unit's next event or when it ends.
    pub(crate) fn request(&self, trigger: Trigger) {
        let number = trigger as u8;
        let requested = &self.requested;
        let first = requested.compare_exchange(0, number, Ordering::AcqRel, Ordering::Relaxed);
        if first.is_ok() {
            self.recorder.requests.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Returns the trigger that fires at an event of `level`, or when the unit ends.
    pub(crate) fn trigger(&self, level: Option<Level>) -> Option<Trigger> {
        if self.passes_through() {
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
        if let Some(requested) = Trigger::from_number(self.requested.load(Ordering::Acquire)) {
            return Some(requested);
        }
        let slow = self.recorder.options.slow;
        let can_expire = self.tail_choice() == TailChoice::Held && !self.has_expired();
        if slow.is_none() && !can_expire {
            return None;
        }
        let age = self.age();
        if slow.is_some_and(|slow| age >= slow) {
            Some(Trigger::Slow)
        } else if can_expire && age >= MAX_TAIL_AGE {
            Some(Trigger::Expired)
        } else {
            None
        }
    }

    fn age(&self) -> Duration {
        self.started.map_or(Duration::ZERO, |started| {
            let now = self.recorder.options.clock.instant();
            now.saturating_duration_since(started)
        })
    }

    fn tail_choice(&self) -> TailChoice {
        TailChoice::from_number(self.tail_choice.load(Ordering::Acquire))
    }

    fn has_expired(&self) -> bool {
        self.has_expired.load(Ordering::Acquire)
    }

    /// Decides about an event that the sink shows. Calls `choose` once per unit.
    pub(crate) fn tail_decision(&self, choose: impl FnOnce() -> TailChoice) -> TailDecision {
        if self.passes_through() || self.has_expired() {
            return TailDecision::Show;
        }
        let mut choice = self.tail_choice();
        if choice == TailChoice::Undecided {
            // A unit that is too old is not held, so `choose` is not needed.
            choice = if self.age() >= MAX_TAIL_AGE {
                TailChoice::SampledAtRandom
            } else {
                choose()
            };
            let undecided = TailChoice::Undecided as u8;
            let first = self.tail_choice.compare_exchange(
                undecided,
                choice as u8,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            if let Err(theirs) = first {
                choice = TailChoice::from_number(theirs);
            }
        }
        let by_trace = match choice {
            // `trigger` has already fired for an expired buffer.
            TailChoice::Held | TailChoice::Undecided => return TailDecision::Hold,
            TailChoice::SampledByTrace => true,
            TailChoice::SampledAtRandom => false,
        };
        if self.age() >= MAX_TAIL_AGE {
            self.has_expired.store(true, Ordering::Release);
            return TailDecision::Show;
        }
        TailDecision::ShowSampled { by_trace }
    }

    /// Clears the request for a dump, which was written or never will be.
    fn clear_request(&self) {
        if self.requested.swap(0, Ordering::AcqRel) != 0 {
            self.recorder.requests.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Ends a dump: the buffer has been written.
    fn finish_dump(&self, state: &mut State) {
        if state.has_failed {
            self.clear_request();
        }
        if state.phase == Phase::Dumping {
            let passes_through = self.span.is_some() && state.has_failed;
            // After expiry, events that the sink shows are written at once. Captured events are
            // still buffered.
            self.has_expired.store(!state.has_failed, Ordering::Release);
            state.phase = if passes_through {
                Phase::PassThrough
            } else {
                Phase::Buffering
            };
            self.passes_through.store(passes_through, Ordering::Release);
        }
    }

    /// Ends the unit, and drops its buffer.
    pub(crate) fn end(&self) {
        self.clear_request();
        let mut state = self.state();
        state.phase = Phase::Ended;
        let Some(trigger) = state.suppressed else {
            self.discard(&mut state, DiscardReason::UnitEnded);
            return;
        };
        let records = self.discard(&mut state, DiscardReason::Suppressed);
        drop(state);
        if records > 0 {
            let max = self.recorder.options.max_lines_per_second;
            let why = format_args!(
                "{records} lines of a unit of work that {}: at most {max} lines are written per \
                 second",
                trigger.predicate()
            );
            self.recorder.report.fault(Fault::Suppressed, &why);
        }
    }

    pub(crate) fn has_records(&self) -> bool {
        self.state().ring.records > 0
    }

    /// Drops the buffer, and counts its records. Returns how many there were.
    fn discard(&self, state: &mut State, reason: DiscardReason) -> u64 {
        let records = state.ring.records as u64;
        let counters = &self.recorder.counters;
        match reason {
            DiscardReason::UnitEnded => counters.forgotten.add(records),
            DiscardReason::Evicted => counters.evicted.add(records),
            DiscardReason::Suppressed => counters.suppressed.add(records),
            DiscardReason::WriteFailed => counters.failed.add(records),
        }
        let ring = std::mem::take(&mut state.ring);
        self.recorder.pool.give_back(ring, &mut state.lease);
        records
    }

    #[inline]
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
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
    /// Ends a unit whose spans are still open when the layer is dropped.
    fn drop(&mut self) {
        self.end();
    }
}

#[derive(Debug, Clone, Copy)]
enum DiscardReason {
    UnitEnded,
    Evicted,
    Suppressed,
    WriteFailed,
}

//! Units of work. A unit is a root span with its descendants, such as a request. It buffers lines
//! until it ends, or until a trigger *dumps* it. A dump writes the buffered lines.

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
    internal::{SpanValue, forks::ForkAwareMutex, sync::MutexGuard},
};
use tracing_core::{Level, span::Id};

use crate::{
    chunk_pool::PoolLease, record_ring::RecordRing, recorder_state::RecorderState, trigger::Trigger,
};

pub(crate) use buffering::{BufferOutcome, RecordTag};
pub(crate) use dump::Dump;

/// The buffer of one unit of work for one sink. A request has one `Unit` per sink.
#[derive(Debug)]
pub(crate) struct Unit {
    recorder: Arc<RecorderState>,
    /// The span that begins the unit. `None` for the unit of events outside spans.
    span: Option<Id>,
    /// The time at which the unit began. `None` if no option of the recorder depends on the age of
    /// units.
    started: Option<Instant>,
    /// The number of the [`Trigger`] that requested a dump, or 0.
    requested_trigger: AtomicU8,
    /// The number of the [`TailSampling`] decision.
    tail_sampling: AtomicU8,
    /// Whether tail sampling has stopped buffering, because the unit is older than
    /// [`MAX_TAIL_AGE`]. From then on, events that the sink shows are written.
    has_expired: AtomicBool,
    /// Whether the phase is [`Phase::PassThrough`]. Read without the lock.
    passes_through: AtomicBool,
    /// The number of closed spans of the unit. If it changed, a unit that a thread has cached for a
    /// span may be out of date: see [`SpanValue`].
    closed_spans: AtomicU32,
    /// The state, locked only while a line is copied, never while one is formatted or written.
    state: ForkAwareMutex<State>,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    ring: RecordRing,
    /// The entry of the unit in the pool that lent the chunks of `ring`.
    lease: PoolLease,
    /// The number of records that the unit has dropped since its last dump, because there was no
    /// room or they were longer than `max_record_bytes`. The header reports it.
    dropped_records: u64,
    /// Whether a trigger other than [`Trigger::Expired`] has fired.
    has_triggered: bool,
    /// The trigger whose dump was last refused because of `max_lines_per_second`. `None` after an
    /// admitted dump. [`Trigger::Expired`] does not replace an earlier trigger.
    suppressed_trigger: Option<Trigger>,
}

impl State {
    /// Returns whether a dump would write nothing: no line is buffered, and the header would report
    /// no dropped line.
    fn is_empty(&self) -> bool {
        self.ring.record_count == 0 && self.dropped_records == 0
    }
}

/// The treatment of one event that the sink shows, under tail sampling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TailAction {
    Write,
    /// Write the event with a sample rate, because it also represents events of units that are not
    /// sampled. `by_trace` means that the trace id or request id decided.
    WriteSampled {
        by_trace: bool,
    },
    Buffer,
}

/// The tail-sampling decision for a unit: whether its events are written even without a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum TailSampling {
    Undecided,
    /// Written, because the trace id or request id is sampled.
    SampledByTrace,
    /// Written, by a random decision, because the unit has neither a trace id nor a request id.
    SampledAtRandom,
    NotSampled,
}

impl TailSampling {
    fn from_number(number: u8) -> Self {
        let all = [
            Self::SampledByTrace,
            Self::SampledAtRandom,
            Self::NotSampled,
        ];
        let decision = all.into_iter().find(|decision| *decision as u8 == number);
        decision.unwrap_or(Self::Undecided)
    }
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Lines are buffered.
    #[default]
    Buffering,
    /// The buffer is being written. New lines are buffered and written after the dump.
    Dumping,
    /// Lines are written at once.
    PassThrough,
    /// The unit has ended. Further lines are dropped.
    Ended,
}

/// The age of a unit at which tail sampling stops buffering its events.
const MAX_TAIL_AGE: Duration = Duration::from_secs(30);

impl Unit {
    pub(crate) fn new(recorder: &Arc<RecorderState>, span: Option<Id>) -> Arc<Self> {
        let clock = &recorder.options.clock;
        Arc::new(Self {
            recorder: Arc::clone(recorder),
            span,
            started: recorder.is_timed.then(|| clock.instant()),
            requested_trigger: AtomicU8::new(0),
            tail_sampling: AtomicU8::new(TailSampling::Undecided as u8),
            has_expired: AtomicBool::new(false),
            passes_through: AtomicBool::new(false),
            closed_spans: AtomicU32::new(0),
            state: ForkAwareMutex::default(),
        })
    }

    pub(crate) fn span(&self) -> Option<&Id> {
        self.span.as_ref()
    }

    #[inline]
    pub(crate) fn passes_through(&self) -> bool {
        self.passes_through.load(Ordering::Acquire)
    }

    /// Requests a dump, unless one is already requested. The dump is written before the next event
    /// of the unit, or when the unit ends.
    pub(crate) fn request_dump(&self, trigger: Trigger) {
        let number = trigger as u8;
        let requested = &self.requested_trigger;
        let stored = requested.compare_exchange(0, number, Ordering::AcqRel, Ordering::Relaxed);
        if stored.is_ok() {
            self.recorder.pending_dumps.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Returns the trigger that must fire now, if any: before an event of this level, or at the end
    /// of the unit if `level` is `None`.
    pub(crate) fn due_trigger(&self, level: Option<Level>) -> Option<Trigger> {
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
        // The other triggers need a unit with a span.
        self.span.as_ref()?;
        if let Some(requested) =
            Trigger::from_number(self.requested_trigger.load(Ordering::Acquire))
        {
            return Some(requested);
        }
        let slow = self.recorder.options.slow;
        let can_expire = self.tail_sampling() == TailSampling::NotSampled && !self.has_expired();
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

    fn tail_sampling(&self) -> TailSampling {
        TailSampling::from_number(self.tail_sampling.load(Ordering::Acquire))
    }

    fn has_expired(&self) -> bool {
        self.has_expired.load(Ordering::Acquire)
    }

    /// Decides about an event that the sink shows. If the unit is undecided, calls `decide` and
    /// stores the decision. If two threads do so, the first stored decision wins.
    pub(crate) fn tail_action(&self, decide: impl FnOnce() -> TailSampling) -> TailAction {
        if self.passes_through() || self.has_expired() {
            return TailAction::Write;
        }
        let mut decision = self.tail_sampling();
        if decision == TailSampling::Undecided {
            // The events of an expired unit are written, so `decide` is not needed. Either sampled
            // variant leads to `TailAction::Write` below.
            decision = if self.age() >= MAX_TAIL_AGE {
                TailSampling::SampledAtRandom
            } else {
                decide()
            };
            let undecided = TailSampling::Undecided as u8;
            let stored = self.tail_sampling.compare_exchange(
                undecided,
                decision as u8,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            if let Err(winner) = stored {
                decision = TailSampling::from_number(winner);
            }
        }
        let by_trace = match decision {
            // No age check here, because `due_trigger`, which is called before, fires for an
            // expired unit.
            TailSampling::NotSampled | TailSampling::Undecided => return TailAction::Buffer,
            TailSampling::SampledByTrace => true,
            TailSampling::SampledAtRandom => false,
        };
        if self.age() >= MAX_TAIL_AGE {
            self.has_expired.store(true, Ordering::Release);
            return TailAction::Write;
        }
        TailAction::WriteSampled { by_trace }
    }

    /// Clears the dump request, if there is one: after the dump, or at the end of the unit.
    fn clear_dump_request(&self) {
        if self.requested_trigger.swap(0, Ordering::AcqRel) != 0 {
            self.recorder.pending_dumps.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Ends a dump, after the buffer was written or dropped. If a trigger other than expiry has
    /// fired, later lines of a unit with a span pass through.
    fn finish_dump(&self, state: &mut State) {
        if state.has_triggered {
            self.clear_dump_request();
        }
        if state.phase == Phase::Dumping {
            let passes_through = self.span.is_some() && state.has_triggered;
            // After a dump because of expiry, events that the sink shows are written at once.
            // Captured events are still buffered.
            self.has_expired
                .store(!state.has_triggered, Ordering::Release);
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
        self.clear_dump_request();
        let Some(mut state) = self.state() else {
            return;
        };
        state.phase = Phase::Ended;
        let Some(trigger) = state.suppressed_trigger else {
            self.discard(&mut state, DiscardReason::UnitEnded);
            return;
        };
        let records = self.discard(&mut state, DiscardReason::Suppressed);
        drop(state);
        if records > 0 {
            let max_lines = self.recorder.options.max_lines_per_second;
            let fault = format_args!(
                "{records} lines of a unit of work that {}: at most {max_lines} lines are written \
                 per second",
                trigger.predicate()
            );
            self.recorder.report.fault(Fault::Suppressed, &fault);
        }
    }

    /// Returns whether a dump would write nothing: see [`State::is_empty`].
    pub(crate) fn is_empty(&self) -> bool {
        self.state().is_none_or(|state| state.is_empty())
    }

    /// Drops the buffer, counts its records, and returns their number.
    fn discard(&self, state: &mut State, reason: DiscardReason) -> u64 {
        let records = state.ring.record_count as u64;
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

    /// Locks the state. Returns `None` in a forked child that cannot use the state: see
    /// [`ForkAwareMutex`].
    #[inline]
    fn state(&self) -> Option<MutexGuard<'_, State>> {
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
    /// Ends a unit that is still open when the layer is dropped.
    fn drop(&mut self) {
        self.end();
    }
}

/// The reason why the buffer of a unit is dropped. It selects the counter.
#[derive(Debug, Clone, Copy)]
enum DiscardReason {
    UnitEnded,
    Evicted,
    Suppressed,
    WriteFailed,
}

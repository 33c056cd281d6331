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
    /// The start of the unit. `None` if no option of the recorder depends on the age of units.
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
    /// The number of closed spans of the unit. It shows whether a cached lookup is still valid: see
    /// [`SpanValue`].
    closed_spans: AtomicU32,
    /// The state, locked only while a line is copied, never while one is formatted or written.
    state: ForkAwareMutex<State>,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    ring: RecordRing,
    lease: PoolLease,
    /// Records dropped from the unit since its last dump: evicted, or longer than
    /// `max_record_bytes`. The header reports this number.
    dropped_records: u64,
    /// Whether a trigger other than [`Trigger::Expired`] has fired.
    has_triggered: bool,
    /// The last trigger whose dump exceeded `max_lines_per_second`. Expiry does not replace an
    /// earlier trigger.
    suppressed_trigger: Option<Trigger>,
}

impl State {
    /// Returns whether a dump would write nothing: no line is buffered, and the header would report
    /// no dropped line.
    fn is_empty(&self) -> bool {
        self.ring.record_count == 0 && self.dropped_records == 0
    }
}

/// How tail sampling treats one event at a level that the sink shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TailAction {
    Write,
    /// Write the event with a sample rate, because it represents events of units that are not
    /// sampled.
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
        let choice = all.into_iter().find(|choice| *choice as u8 == number);
        choice.unwrap_or(Self::Undecided)
    }
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No trigger has fired: lines are buffered.
    #[default]
    Buffering,
    /// The buffer is being written. New lines are buffered and written after the dump.
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

    /// Returns the trigger that an event of this level fires, if any. The level is `None` when the
    /// unit ends.
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

    /// Decides about an event that the sink shows. Calls `choose` while the unit is undecided. If
    /// two threads race, the first stored choice wins.
    pub(crate) fn tail_action(&self, choose: impl FnOnce() -> TailSampling) -> TailAction {
        if self.passes_through() || self.has_expired() {
            return TailAction::Write;
        }
        let mut choice = self.tail_sampling();
        if choice == TailSampling::Undecided {
            // The events of a unit that is too old are written, so `choose` is not needed. Either
            // sampled variant leads to `TailAction::Write` below.
            choice = if self.age() >= MAX_TAIL_AGE {
                TailSampling::SampledAtRandom
            } else {
                choose()
            };
            let undecided = TailSampling::Undecided as u8;
            let stored = self.tail_sampling.compare_exchange(
                undecided,
                choice as u8,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            if let Err(winner) = stored {
                choice = TailSampling::from_number(winner);
            }
        }
        let by_trace = match choice {
            // No age check here: `trigger`, which is called before, fires for an older unit.
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

    /// Ends a dump, after the buffer was written or dropped.
    fn finish_dump(&self, state: &mut State) {
        if state.has_triggered {
            self.clear_dump_request();
        }
        if state.phase == Phase::Dumping {
            let passes_through = self.span.is_some() && state.has_triggered;
            // After expiry, events that the sink shows are written at once. Captured events are
            // still buffered.
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
            let max = self.recorder.options.max_lines_per_second;
            let why = format_args!(
                "{records} lines of a unit of work that {}: at most {max} lines are written per \
                 second",
                trigger.predicate()
            );
            self.recorder.report.fault(Fault::Suppressed, &why);
        }
    }

    /// Returns whether a dump would write nothing.
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

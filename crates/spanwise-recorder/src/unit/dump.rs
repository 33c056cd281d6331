//! Dumps: take the buffered lines of a unit, so that the writer can write them. While a dump runs,
//! other threads may buffer further lines in the unit.

use std::sync::{Arc, atomic::Ordering};

use spanwise_core::internal::SinkMask;

use super::{DiscardReason, Phase, State, Unit};
use crate::{
    chunk_pool::PoolLease,
    dump_limit::DumpLimit,
    record_ring::{RecordRing, RemovedRecord},
    trigger::Trigger,
};

/// Yields the buffered records of a unit. If the dump is dropped before the first call of
/// [`next`](Self::next), the unit keeps its buffer. If it is dropped later, the remaining records
/// count as failed.
#[derive(Debug)]
pub(crate) struct Dump {
    unit: Arc<Unit>,
    /// The limit to which the lines of the dump were charged.
    limit: Arc<DumpLimit>,
    /// The records that were taken from the unit, and not yet returned.
    ring: RecordRing,
    progress: Progress,
    /// The number of records, for the header.
    pub(crate) records: u64,
    /// The number of records that the unit dropped since its last dump, for the header.
    pub(crate) dropped_records: u64,
    /// The callsites of the lines, which decide where the header goes.
    pub(crate) callsites: Vec<u32>,
    /// The union of the sinks of the lines. All of them get the header.
    pub(crate) sinks: SinkMask,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// The unit still has its buffer.
    Begun,
    /// The buffer was taken from the unit. After that, `late` more records were taken, which other
    /// threads added during the dump.
    Taken { late: u64 },
    /// The dump has ended, and takes no more records from the unit.
    Done,
}

/// The dump ends after about this many lines that other threads added during the dump. Their later
/// lines are written directly. Without this limit, the dump might never end, because other threads
/// can log faster than the output writes.
const MAX_LATE_LINES: u64 = 2000;

impl Unit {
    /// Begins a dump. Returns `None` if the phase is not [`Phase::Buffering`], if another thread
    /// has already handled the expiry, if the limit refuses the dump, or if the buffer is empty.
    /// Even if the buffer is empty, a trigger other than expiry makes a unit with a span pass later
    /// lines through.
    pub(crate) fn begin_dump(
        self: &Arc<Self>,
        trigger: Trigger,
        limit: &Arc<DumpLimit>,
    ) -> Option<Box<Dump>> {
        let mut state = self.state()?;
        // Expiry ends only tail sampling. Captured events are still buffered afterwards.
        let is_expiry = trigger == Trigger::Expired;
        if state.phase != Phase::Buffering {
            state.has_triggered |= !is_expiry;
            return None;
        }
        if is_expiry && self.has_expired.load(Ordering::Acquire) {
            // Another thread has already handled the expiry.
            return None;
        }
        let is_empty = state.is_empty();
        // Even without a buffered line, later lines that pass through use the budget.
        let needs_budget = !is_empty || (!is_expiry && self.span.is_some());
        let is_suppressed = needs_budget && !limit.admit(trigger, state.ring.record_count as u64);
        // Expiry does not replace an earlier, more important trigger.
        let earlier_trigger = state.suppressed_trigger.filter(|_| is_expiry);
        state.suppressed_trigger = is_suppressed.then(|| earlier_trigger.unwrap_or(trigger));
        if is_suppressed {
            return None;
        }
        state.has_triggered |= !is_expiry;
        state.phase = Phase::Dumping;
        // From now on, records take the slow path, which looks at the phase.
        state.ring.set_room(0, 0);
        if is_empty {
            self.finish_dump(&mut state);
            return None;
        }
        let mut sinks = 0;
        let keys = state.ring.keys().inspect(|key| sinks |= key.sinks.bits());
        let mut callsites: Vec<u32> = keys.map(|key| key.callsite).collect();
        callsites.sort_unstable();
        callsites.dedup();
        Some(Box::new(Dump {
            dropped_records: std::mem::take(&mut state.dropped_records),
            records: state.ring.record_count as u64,
            callsites,
            sinks: SinkMask::from_bits(sinks),
            ring: RecordRing::default(),
            unit: Arc::clone(self),
            limit: Arc::clone(limit),
            progress: Progress::Begun,
        }))
    }

    /// Takes the buffered records. Ends the dump if there are none, or if `is_last` is set. Returns
    /// `None` if there are none.
    fn take_records(&self, is_last: bool) -> Option<RecordRing> {
        let mut state = self.state()?;
        let ring = (state.ring.record_count > 0).then(|| self.take_ring(&mut state));
        if ring.is_none() || is_last {
            self.finish_dump(&mut state);
        }
        ring
    }

    fn take_ring(&self, state: &mut State) -> RecordRing {
        self.recorder.pool.detach(&mut state.lease);
        std::mem::take(&mut state.ring)
    }
}

impl Dump {
    /// Removes the next record, and replaces `content` with its line or its values. Records that
    /// other threads added during the dump come last.
    pub(crate) fn next(&mut self, content: &mut Vec<u8>) -> Option<RemovedRecord> {
        loop {
            let record = self.ring.pop_oldest(content);
            let late = match self.progress {
                Progress::Begun => 0,
                Progress::Taken { late } => late,
                Progress::Done => return record,
            };
            if record.is_some() {
                return record;
            }
            let is_last = late >= MAX_LATE_LINES;
            let Some(taken) = self.unit.take_records(is_last) else {
                self.progress = Progress::Done;
                return None;
            };
            self.progress = match self.progress {
                _ if is_last => Progress::Done,
                Progress::Begun => Progress::Taken { late: 0 },
                Progress::Taken { .. } | Progress::Done => Progress::Taken {
                    late: late + taken.record_count as u64,
                },
            };
            let empty = std::mem::replace(&mut self.ring, taken);
            self.give_back(empty);
        }
    }

    fn give_back(&self, ring: RecordRing) {
        let pool = &self.unit.recorder.pool;
        pool.give_back(ring, &mut PoolLease::default());
    }
}

impl Drop for Dump {
    fn drop(&mut self) {
        let ring = std::mem::take(&mut self.ring);
        let unit = &self.unit;
        unit.recorder.counters.failed.add(ring.record_count as u64);
        self.give_back(ring);
        if self.progress == Progress::Done {
            return;
        }
        let Some(mut state) = unit.state().filter(|state| state.phase == Phase::Dumping) else {
            return;
        };
        if self.progress == Progress::Begun {
            // The sink did not write the header, because a filter hid it or because the sink was
            // already writing a line. The next trigger tries again.
            state.phase = Phase::Buffering;
            state.dropped_records += self.dropped_records;
            self.limit.give_back(self.records);
        } else {
            // The writer or the layer panicked. It would probably panic again, so drop the lines
            // that were buffered during the dump.
            unit.discard(&mut state, DiscardReason::WriteFailed);
            unit.finish_dump(&mut state);
        }
    }
}

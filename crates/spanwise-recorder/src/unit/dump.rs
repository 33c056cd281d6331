//! Dumps: write the buffer of a unit to the output.

use std::sync::{Arc, atomic::Ordering};

use spanwise_core::internal::SinkMask;

use super::{DiscardReason, Phase, State, Unit};
use crate::{
    chunk_pool::PoolLease,
    dump_limit::DumpLimit,
    record_ring::{RecordRing, RemovedRecord},
    trigger::Trigger,
};

/// Yields the buffered lines of a unit. If the dump is dropped before the first line is read, the
/// unit keeps its buffer. If it is dropped later, the remaining lines count as failed.
#[derive(Debug)]
pub(crate) struct Dump {
    unit: Arc<Unit>,
    /// The limit that the lines of the dump were charged to.
    limit: Arc<DumpLimit>,
    ring: RecordRing,
    progress: Progress,
    /// The number of records, for the header.
    pub(crate) records: u64,
    /// The number of records that the unit dropped since its last dump, for the header.
    pub(crate) dropped_records: u64,
    /// The callsites of the lines, which decide where the header goes.
    pub(crate) callsites: Vec<u32>,
    /// All sinks of the lines, which get the header.
    pub(crate) sinks: SinkMask,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// No line was removed from the unit.
    Begun,
    /// The buffer was removed from the unit, and after that `late` more lines, which other threads
    /// had added.
    Taken { late: u64 },
    /// No line is left in the unit.
    Done,
}

/// After this many lines that other threads added during the dump, the dump ends and later lines
/// are written directly. Without this limit the dump might never end, because other threads can log
/// faster than the output writes.
const MAX_LATE_LINES: u64 = 2000;

impl Unit {
    /// Begins a dump. Returns `None` if the phase is not [`Phase::Buffering`], if another thread
    /// has already handled the expiry, if the limit refuses the dump, or if the buffer is empty.
    /// With an empty buffer, a unit with a span still passes lines through afterwards, unless the
    /// trigger is the unit's expiry.
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
        let writes = !is_empty || (!is_expiry && self.span.is_some());
        let is_suppressed = writes && !limit.admit(trigger, state.ring.record_count as u64);
        // Expiry does not replace an earlier, more important trigger.
        let earlier = state.suppressed_trigger.filter(|_| is_expiry);
        state.suppressed_trigger = is_suppressed.then(|| earlier.unwrap_or(trigger));
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
            dropped_records: state.dropped_records,
            records: state.ring.record_count as u64,
            callsites,
            sinks: SinkMask::from_bits(sinks),
            ring: RecordRing::default(),
            unit: Arc::clone(self),
            limit: Arc::clone(limit),
            progress: Progress::Begun,
        }))
    }

    /// Removes the buffered lines. If there are none, or if this is the last round, ends the dump.
    /// Returns `None` if there are none.
    fn next_round(&self, is_last: bool) -> Option<RecordRing> {
        let mut state = self.state()?;
        state.dropped_records = 0;
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
    /// Removes the next record, and copies its line or its values to `content`. The buffered
    /// records come first, then those that other threads added since.
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
            let Some(next) = self.unit.next_round(is_last) else {
                self.progress = Progress::Done;
                return None;
            };
            self.progress = match self.progress {
                _ if is_last => Progress::Done,
                Progress::Begun => Progress::Taken { late: 0 },
                Progress::Taken { .. } | Progress::Done => Progress::Taken {
                    late: late + next.record_count as u64,
                },
            };
            let empty = std::mem::replace(&mut self.ring, next);
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
            // The sink did not write the header, because a filter hid it or the sink was already
            // writing. The next trigger tries again.
            state.phase = Phase::Buffering;
            self.limit.give_back(self.records);
        } else {
            // The writer panicked. It would probably also panic for the lines that were buffered
            // since, so drop them.
            unit.discard(&mut state, DiscardReason::WriteFailed);
            unit.finish_dump(&mut state);
        }
    }
}

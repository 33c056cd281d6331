//! The buffer of a unit on its way to the output.

use std::sync::{Arc, atomic::Ordering};

use super::{DiscardReason, Phase, State, Unit};
use crate::{
    chunk_pool::PoolLease,
    dump_limit::DumpLimit,
    record_ring::{RecordHeader, RecordRing},
    trigger::Trigger,
};

/// Writes the buffer of a unit. If nothing is taken from it, the unit is as before. If only some
/// lines are, the rest counts as failed.
#[derive(Debug)]
pub(crate) struct Dump {
    unit: Arc<Unit>,
    /// The limit that admitted the dump.
    limit: Arc<DumpLimit>,
    ring: RecordRing,
    progress: Progress,
    /// For the header.
    pub(crate) records: u64,
    pub(crate) evicted: u64,
    /// The callsites of the lines, which decide where the header goes.
    pub(crate) callsites: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Nothing was taken from the unit.
    Begun,
    /// The buffer was taken, and this many lines that were buffered since.
    Taken { late: u64 },
    /// There is nothing more to take.
    Done,
}

/// How many lines of other threads are written before the unit passes lines through in any case.
/// Other threads may log forever, and faster than the output takes it.
const MAX_LATE_LINES: u64 = 2000;

impl Unit {
    /// Begins a dump. Returns `None` if one has begun, if the unit has ended, if the limit does not
    /// admit it, or if the buffer is empty. In the last case the unit passes lines through all the
    /// same, unless it only expired.
    pub(crate) fn begin_dump(
        self: &Arc<Self>,
        trigger: Trigger,
        limit: &Arc<DumpLimit>,
    ) -> Option<Box<Dump>> {
        let mut state = self.state();
        let fails = trigger != Trigger::Expired;
        if state.phase != Phase::Buffering {
            state.has_failed |= fails;
            return None;
        }
        if !fails && self.has_expired.load(Ordering::Acquire) {
            // Another thread was faster.
            return None;
        }
        let is_empty = state.ring.records == 0 && state.evicted == 0;
        let writes = !is_empty || (fails && self.span.is_some());
        let is_suppressed = writes && !limit.admit(trigger, state.ring.records as u64);
        // The expiry of a unit that failed before is not worth reporting.
        let before = state.suppressed.filter(|_| !fails);
        state.suppressed = is_suppressed.then(|| before.unwrap_or(trigger));
        if is_suppressed {
            return None;
        }
        state.has_failed |= fails;
        state.phase = Phase::Dumping;
        if is_empty {
            self.finish_dump(&mut state);
            return None;
        }
        let mut callsites: Vec<u32> = state.ring.callsites().collect();
        callsites.sort_unstable();
        callsites.dedup();
        Some(Box::new(Dump {
            evicted: state.evicted,
            records: state.ring.records as u64,
            callsites,
            ring: RecordRing::default(),
            unit: Arc::clone(self),
            limit: Arc::clone(limit),
            progress: Progress::Begun,
        }))
    }

    /// Takes the lines that were buffered since. If there are none, the unit passes lines through.
    fn next_round(&self, is_last: bool) -> Option<RecordRing> {
        let mut state = self.state();
        state.evicted = 0;
        let ring = (state.ring.records > 0).then(|| self.take_ring(&mut state));
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
    /// Takes the next line: first those of the buffer, then those that other threads added since.
    pub(crate) fn next(&mut self, line: &mut Vec<u8>) -> Option<RecordHeader> {
        loop {
            let header = self.ring.pop_oldest(line);
            let late = match self.progress {
                Progress::Begun => 0,
                Progress::Taken { late } => late,
                Progress::Done => return header,
            };
            if header.is_some() {
                return header;
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
                    late: late + next.records as u64,
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
        unit.recorder.counters.failed.add(ring.records as u64);
        self.give_back(ring);
        if self.progress == Progress::Done {
            return;
        }
        let mut state = unit.state();
        if state.phase != Phase::Dumping {
            return;
        }
        if self.progress == Progress::Begun {
            // The sink did not write the header: it is in its own writer, or filters. The next
            // trigger tries again.
            state.phase = Phase::Buffering;
            self.limit.give_back(self.records);
        } else {
            // The writer panicked: what came since would not fare better.
            unit.discard(&mut state, DiscardReason::WriteFailed);
            unit.finish_dump(&mut state);
        }
    }
}

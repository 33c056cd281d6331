//! What a unit kept, while it is written.

use std::sync::{Arc, atomic::Ordering};

use super::{Bucket, Phase, State, Unit};
use crate::recorder::{
    chunk_pool::PoolLease,
    dump_limit::DumpLimit,
    record_ring::{RecordHeader, RecordRing},
    trigger::Trigger,
};

/// What was kept of a unit, on its way to the output. If nothing is taken from it, all is as before it was begun; if only some is, the rest
/// counts as failed.
#[derive(Debug)]
pub(crate) struct Dump {
    unit: Arc<Unit>,
    /// It admitted the batch.
    limit: Arc<DumpLimit>,
    ring: RecordRing,
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

/// How many lines that other threads kept meanwhile are written before the unit writes through in any case: they may log for ever, and faster
/// than the output takes it.
const MAX_LATE_LINES: u64 = 2000;

impl Unit {
    /// Begins to write what is kept. `None` if that has begun already, or the unit has ended, or
    /// too many lines were written in this second, or nothing was kept; in the last case the unit
    /// writes through all the same, unless it is just old.
    pub(crate) fn begin(
        self: &Arc<Self>,
        reason: Trigger,
        limit: &Arc<DumpLimit>,
    ) -> Option<Box<Dump>> {
        let mut state = self.state();
        let fails = reason != Trigger::Expired;
        if state.phase != Phase::Buffering {
            state.has_failed |= fails;
            return None;
        }
        if reason == Trigger::Expired && self.is_old.load(Ordering::Acquire) {
            // Another thread was faster.
            return None;
        }
        let is_empty = state.ring.records() == 0 && state.evicted == 0;
        let writes_through = fails && self.span.is_some();
        let is_suppressed =
            (!is_empty || writes_through) && !limit.admits(reason, state.ring.records() as u64);
        // That it is old too is no news of one that failed.
        let before = state.suppressed.filter(|_| reason == Trigger::Expired);
        state.suppressed = is_suppressed.then(|| before.unwrap_or(reason));
        if is_suppressed {
            return None;
        }
        state.has_failed |= fails;
        if is_empty {
            state.phase = Phase::Dumping;
            self.written(&mut state);
            return None;
        }
        state.phase = Phase::Dumping;
        Some(Box::new(Dump {
            evicted: state.evicted,
            records: state.ring.records() as u64,
            callsites: {
                let mut callsites: Vec<u32> = state.ring.callsites().collect();
                callsites.sort_unstable();
                callsites.dedup();
                callsites
            },
            ring: RecordRing::default(),
            unit: Arc::clone(self),
            limit: Arc::clone(limit),
            progress: Progress::Begun,
        }))
    }

    /// The lines that were kept since, or none: then the unit writes through.
    fn next_round(&self, last: bool) -> Option<RecordRing> {
        let mut state = self.state();
        state.evicted = 0;
        let ring = (state.ring.records() > 0).then(|| self.take(&mut state));
        if ring.is_none() || last {
            self.written(&mut state);
        }
        ring
    }

    fn take(&self, state: &mut State) -> RecordRing {
        self.shared.memory.detach(&mut state.held);
        std::mem::take(&mut state.ring)
    }
}

impl Dump {
    /// The next line, in `line`: those there were, and then those that other threads kept since.
    pub(crate) fn next(&mut self, line: &mut Vec<u8>) -> Option<RecordHeader> {
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
            let is_last = late >= MAX_LATE_LINES;
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
                .give_back(empty, &mut PoolLease::default());
        }
    }
}

impl Drop for Dump {
    fn drop(&mut self) {
        let unit = &self.unit;
        let failed = self.ring.records() as u64;
        unit.shared.counters.failed.add(failed);
        let ring = std::mem::take(&mut self.ring);
        unit.shared
            .memory
            .give_back(ring, &mut PoolLease::default());
        if self.progress == Progress::Done {
            return;
        }
        let mut state = unit.state();
        if state.phase != Phase::Dumping {
            return;
        }
        if self.progress == Progress::Begun {
            // The sink did not write the header: it is inside its own writer, or filters. The next reason tries again.
            state.phase = Phase::Buffering;
            self.limit.give_back(self.records);
        } else {
            // The writer panicked: what came since would not fare better.
            unit.forget(&mut state, Bucket::Failed);
            unit.written(&mut state);
        }
    }
}

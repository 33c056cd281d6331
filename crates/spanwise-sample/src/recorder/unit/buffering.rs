//! Keeping a line, and what leaves for it.

use std::{
    ptr,
    sync::{Arc, atomic::Ordering},
    thread,
};

use spanwise_core::Fault;

use super::{Bucket, Phase, State, Unit};
use crate::recorder::{record_ring::RecordRing, recorder_state::RecorderState};

/// A line that is to be kept: the number of its callsite, and a bit. In one number, since it goes through a cell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordTag(u32);

impl RecordTag {
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
pub(crate) enum BufferOutcome {
    /// It was taken.
    Taken,
    /// Meanwhile the unit writes through.
    PassThrough,
}

/// How often a line that finds the memory full takes some of the largest unit's.
const MAX_ATTEMPTS: usize = 64;

impl Unit {
    /// Keeps a line that [`RecordTag::captured`] says nothing more of than that it is to be kept, if there is room for it. False if it was not.
    #[inline]
    pub(crate) fn try_buffer_fast(&self, what: RecordTag, line: &[u8]) -> bool {
        let RecorderState {
            options, counters, ..
        } = &*self.shared;
        let mut state = self.state();
        let kept = state.phase == Phase::Buffering
            && !what.is_held()
            && line.len() <= options.limits.max_record_bytes
            && !self.is_full(&state, RecordRing::size_of(line))
            && state.ring.try_push_contiguous(what.callsite(), line);
        if kept {
            counters.captured.count();
        }
        kept
    }

    /// Keeps a line, at the cost of others: the unit's older ones where it has too many, those of
    /// the largest unit where all have too many.
    #[inline(never)]
    pub(crate) fn keep(self: &Arc<Self>, what: RecordTag, line: &[u8]) -> BufferOutcome {
        let limits = &self.shared.options.limits;
        let fits = line.len() <= limits.max_record_bytes;
        let size = RecordRing::size_of(line);
        for _ in 0..MAX_ATTEMPTS {
            let mut state = self.state();
            match state.phase {
                Phase::PassThrough => return BufferOutcome::PassThrough,
                Phase::Buffering if what.is_held() && self.is_old.load(Ordering::Acquire) => {
                    return BufferOutcome::PassThrough;
                }
                Phase::Buffering | Phase::Dumping | Phase::Ended => {}
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
                return BufferOutcome::Taken;
            }
            if state.phase == Phase::Dumping && self.is_full(&state, size) {
                // What came before the reason is what is wanted, and is announced already.
                self.shared.counters.captured.count();
                self.shared.counters.evicted.add(1);
                state.evicted += 1;
                return BufferOutcome::Taken;
            }
            if self.make_room(&mut state, size) {
                state.ring.push(what.callsite(), line);
                self.shared.counters.captured.count();
                return BufferOutcome::Taken;
            }
            drop(state);
            self.evict_largest(size);
        }
        // Others were faster each time.
        self.shared.counters.captured.count();
        self.shared.counters.evicted.add(1);
        self.state().evicted += 1;
        BufferOutcome::Taken
    }

    #[inline]
    fn is_full(&self, state: &State, size: usize) -> bool {
        let limits = &self.shared.options.limits;
        state.ring.records() >= limits.max_unit_records
            || state.ring.len() + size > limits.max_unit_bytes
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

    /// Has the unit that holds most give memory back. If it is this one, only as much as a line of
    /// `size` takes.
    #[cold]
    fn evict_largest(&self, size: usize) {
        let Some(largest) = self.shared.memory.largest() else {
            thread::yield_now();
            return;
        };
        let records = if ptr::eq(&*largest, self) {
            self.make_room_within(size)
        } else {
            largest.evict()
        };
        if records > 0 {
            let most = self.shared.options.limits.max_process_bytes;
            let why = format_args!(
                "{records} lines of a unit of work: all units together have filled their {most} bytes"
            );
            self.shared.report.fault(Fault::Evicted, &why);
        }
    }

    /// Drops the oldest lines until one of `size` fits into the memory that the unit has. If it
    /// never does, all memory is given back.
    fn make_room_within(&self, size: usize) -> u64 {
        let mut state = self.state();
        let before = state.ring.records();
        while !state.ring.has_room(size) {
            if !state.ring.drop_oldest() {
                self.forget(&mut state, Bucket::Evicted);
                break;
            }
        }
        let records = (before - state.ring.records()) as u64;
        self.shared.counters.evicted.add(records);
        state.evicted += records;
        records
    }

    /// Forgets all lines, for the sake of other units.
    fn evict(&self) -> u64 {
        let mut state = self.state();
        let records = self.forget(&mut state, Bucket::Evicted);
        state.evicted += records;
        records
    }
}

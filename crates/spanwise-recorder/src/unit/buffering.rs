//! Adding a line to the buffer of a unit, and evicting others for it.

use std::{
    ptr,
    sync::{Arc, atomic::Ordering},
    thread,
};

use spanwise_core::Fault;

use super::{DiscardReason, Phase, State, Unit};
use crate::{record_ring::RecordRing, recorder_state::RecorderState};

/// The number of a callsite, and why the line is buffered. One number, as it goes through a cell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordTag(u32);

impl RecordTag {
    const HELD: u32 = 1 << 31;
    const SHOWN: u32 = 1 << 30;

    /// The event is below the level of the sink.
    pub(crate) fn captured(callsite: u32) -> Self {
        Self(callsite)
    }

    /// Tail sampling holds an event that the sink shows.
    pub(crate) fn held(callsite: u32) -> Self {
        Self(callsite | Self::HELD)
    }

    /// Tail sampling shows the event. Its line is buffered only if a sampler drops it.
    pub(crate) fn shown(callsite: u32) -> Self {
        Self(callsite | Self::HELD | Self::SHOWN)
    }

    pub(crate) fn is_shown(self) -> bool {
        self.0 & Self::SHOWN != 0
    }

    #[inline]
    fn is_held(self) -> bool {
        self.0 & Self::HELD != 0
    }

    #[inline]
    pub(crate) fn callsite(self) -> u32 {
        self.0 & !(Self::HELD | Self::SHOWN)
    }

    #[inline]
    pub(crate) fn number(self) -> u32 {
        self.0
    }

    #[inline]
    pub(crate) fn from_number(number: u32) -> Self {
        Self(number)
    }
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BufferOutcome {
    /// It is buffered, or counted as dropped.
    Taken,
    /// The unit passes lines through now: the caller writes it.
    PassThrough,
}

/// How often a line that finds the pool empty evicts lines of the largest unit.
const MAX_ATTEMPTS: usize = 64;

impl Unit {
    /// Fast path: appends a captured line if the current chunk has room. Returns whether it did.
    #[inline]
    pub(crate) fn try_buffer_fast(&self, tag: RecordTag, line: &[u8]) -> bool {
        let RecorderState {
            options, counters, ..
        } = &*self.recorder;
        let mut state = self.state();
        let is_buffered = state.phase == Phase::Buffering
            && !tag.is_held()
            && line.len() <= options.max_record_bytes
            && !self.is_full(&state, RecordRing::record_len(line))
            && state.ring.try_push_contiguous(tag.callsite(), line);
        if is_buffered {
            counters.captured.count();
        }
        is_buffered
    }

    /// Buffers a line. Evicts the unit's oldest lines if the unit is full, and lines of the largest
    /// unit if the pool is empty.
    #[inline(never)] // Off the common path, which stays small.
    pub(crate) fn buffer(self: &Arc<Self>, tag: RecordTag, line: &[u8]) -> BufferOutcome {
        let RecorderState {
            options, counters, ..
        } = &*self.recorder;
        let fits = line.len() <= options.max_record_bytes;
        let len = RecordRing::record_len(line);
        for _ in 0..MAX_ATTEMPTS {
            let mut state = self.state();
            let is_shown_now = match state.phase {
                Phase::PassThrough => true,
                Phase::Buffering => tag.is_held() && self.has_expired.load(Ordering::Acquire),
                Phase::Dumping | Phase::Ended => false,
            };
            if is_shown_now {
                return BufferOutcome::PassThrough;
            }
            let dropped = if !fits {
                Some(&counters.oversize)
            } else if state.phase == Phase::Ended {
                Some(&counters.forgotten)
            } else if state.phase == Phase::Dumping && self.is_full(&state, len) {
                // The lines before the trigger matter more, and the header counts them already.
                Some(&counters.evicted)
            } else {
                None
            };
            if let Some(counter) = dropped {
                counters.captured.count();
                counter.add(1);
                state.evicted += 1;
                return BufferOutcome::Taken;
            }
            if self.make_room(&mut state, len) {
                state.ring.push(tag.callsite(), line);
                counters.captured.count();
                return BufferOutcome::Taken;
            }
            drop(state);
            self.evict_largest(len);
        }
        // Other threads took the memory each time.
        counters.captured.count();
        counters.evicted.add(1);
        self.state().evicted += 1;
        BufferOutcome::Taken
    }

    #[inline]
    fn is_full(&self, state: &State, len: usize) -> bool {
        let options = &self.recorder.options;
        state.ring.records >= options.max_unit_records
            || state.ring.len + len > options.max_unit_bytes
    }

    /// Makes room for a record. Returns false if the pool is empty.
    fn make_room(self: &Arc<Self>, state: &mut State, len: usize) -> bool {
        while self.is_full(state, len) {
            if !state.ring.drop_oldest() {
                break;
            }
            state.evicted += 1;
            self.recorder.counters.evicted.add(1);
        }
        let State { ring, lease, .. } = state;
        while !ring.has_room(len) {
            if !self.recorder.pool.add_chunk(self, ring, lease) {
                return false;
            }
        }
        true
    }

    /// Makes the unit that holds most give memory back. If it is this one, only as much as a record
    /// of `len` bytes takes.
    #[cold]
    fn evict_largest(&self, len: usize) {
        let Some(largest) = self.recorder.pool.largest() else {
            thread::yield_now();
            return;
        };
        let records = if ptr::eq(&*largest, self) {
            self.make_room_within(len)
        } else {
            largest.evict()
        };
        if records > 0 {
            let max = self.recorder.options.max_process_bytes;
            let why = format_args!(
                "{records} lines of a unit of work: all units together have filled their {max} \
                 bytes"
            );
            self.recorder.report.fault(Fault::Evicted, &why);
        }
    }

    /// Drops the oldest lines until a record of `len` bytes fits into the memory of the unit. If it
    /// never does, gives all memory back.
    fn make_room_within(&self, len: usize) -> u64 {
        let mut state = self.state();
        let before = state.ring.records;
        while !state.ring.has_room(len) {
            if !state.ring.drop_oldest() {
                self.discard(&mut state, DiscardReason::Evicted);
                break;
            }
        }
        let records = (before - state.ring.records) as u64;
        self.recorder.counters.evicted.add(records);
        state.evicted += records;
        records
    }

    /// Drops all lines, for the sake of other units.
    fn evict(&self) -> u64 {
        let mut state = self.state();
        let records = self.discard(&mut state, DiscardReason::Evicted);
        state.evicted += records;
        records
    }
}

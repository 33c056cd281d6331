//! Adds a line or an event to the buffer of a unit. Evicts older records if there is no room.

use std::{
    ptr,
    sync::{Arc, atomic::Ordering},
    thread,
};

use spanwise_core::{
    Fault,
    internal::{BufferingUnit, SinkMask, UnencodedEvent},
};

use super::{DiscardReason, Phase, State, Unit};
use crate::{
    record_ring::{Content, RecordKey, RecordSize},
    recorder_state::RecorderState,
};

/// The number of a callsite, and the reason why its line is buffered. Both are in one `u32`, which
/// [`LineDisposition`] passes from the layer to the writer. Its meaning is unknown to
/// spanwise-core.
///
/// [`LineDisposition`]: spanwise_core::internal::LineDisposition
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordTag(u32);

impl RecordTag {
    const SHOWN: u32 = 1 << 31;
    const BUFFER_IF_SAMPLED_OUT: u32 = 1 << 30;

    /// The event is below the level of the sink.
    pub(crate) fn captured(callsite: u32) -> Self {
        Self(callsite)
    }

    /// The sink shows the level of the event, but tail sampling buffers it.
    pub(crate) fn shown(callsite: u32) -> Self {
        Self(callsite | Self::SHOWN)
    }

    /// Tail sampling writes the event. Its line is buffered only if a sampler drops it.
    pub(crate) fn buffer_if_sampled_out(callsite: u32) -> Self {
        Self(callsite | Self::SHOWN | Self::BUFFER_IF_SAMPLED_OUT)
    }

    /// Returns whether the line is buffered only if a sampler drops its event.
    pub(crate) fn is_buffered_only_if_sampled_out(self) -> bool {
        self.0 & Self::BUFFER_IF_SAMPLED_OUT != 0
    }

    #[inline]
    fn is_shown(self) -> bool {
        self.0 & Self::SHOWN != 0
    }

    #[inline]
    pub(crate) fn callsite(self) -> u32 {
        self.0 & !(Self::SHOWN | Self::BUFFER_IF_SAMPLED_OUT)
    }

    /// Returns the key of the record of the current event.
    #[inline]
    fn key(self) -> RecordKey {
        RecordKey {
            callsite: self.callsite(),
            sinks: SinkMask::current(),
        }
    }

    #[inline]
    pub(crate) fn to_bits(self) -> u32 {
        self.0
    }

    #[inline]
    pub(crate) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}

/// The result of [`Unit::buffer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BufferOutcome {
    /// The record is buffered, or dropped and counted.
    Taken,
    /// The unit no longer buffers this line, so the caller must write it.
    PassThrough,
}

/// If the pool has no free chunk, one new record evicts records of the largest unit at most this
/// many times.
const MAX_EVICTIONS: usize = 64;

impl Unit {
    /// Fast path: appends a captured record if the unit buffers and its current chunk has room.
    /// Returns whether it did.
    #[inline]
    pub(crate) fn try_buffer_fast(&self, tag: RecordTag, content: Content<'_>) -> bool {
        // The phase need not be checked, because `try_push` has no room in any phase but
        // `Buffering`.
        let is_buffered = !tag.is_shown()
            && self
                .state()
                .is_some_and(|mut state| state.ring.try_push(tag.key(), content));
        if is_buffered {
            self.recorder.counters.captured.count();
        }
        is_buffered
    }

    /// Buffers a line or an event. If the unit is full, evicts its oldest records. During a dump,
    /// drops the new record instead. If the pool has no free chunk, evicts records of the largest
    /// unit.
    #[inline(never)] // Kept out of line, so that the common path stays small.
    pub(crate) fn buffer(self: &Arc<Self>, tag: RecordTag, content: Content<'_>) -> BufferOutcome {
        let RecorderState {
            options, counters, ..
        } = &*self.recorder;
        let (key, content_len) = (tag.key(), content.bytes().len());
        for _ in 0..MAX_EVICTIONS {
            let Some(mut state) = self.state() else {
                break;
            };
            let size = state.ring.new_record(key, content).size;
            let passes_through = match state.phase {
                Phase::PassThrough => true,
                Phase::Buffering => tag.is_shown() && self.has_expired.load(Ordering::Acquire),
                Phase::Dumping | Phase::Ended => false,
            };
            if passes_through {
                return BufferOutcome::PassThrough;
            }
            let is_oversize = content_len > options.max_record_bytes
                || content_len + size.span_len > options.max_event_bytes;
            let drop_counter = if is_oversize {
                Some(&counters.oversize)
            } else if state.phase == Phase::Ended {
                Some(&counters.forgotten)
            } else if options.max_unit_records == 0 {
                Some(&counters.evicted)
            } else if state.phase == Phase::Dumping && self.is_full(&state, size) {
                // Keep the records from before the trigger, which explain it. The header has
                // already reported their number.
                Some(&counters.evicted)
            } else {
                None
            };
            if let Some(counter) = drop_counter {
                counters.captured.count();
                counter.add(1);
                state.dropped_records += 1;
                return BufferOutcome::Taken;
            }
            if self.make_room(&mut state, size) {
                let record = state.ring.new_record(key, content);
                state.ring.push(&record);
                self.set_room(&mut state);
                counters.captured.count();
                return BufferOutcome::Taken;
            }
            drop(state);
            self.evict_largest(size);
        }
        // Drop the record, because other threads used the memory after each eviction, or because
        // this is a forked child that cannot use the state.
        counters.captured.count();
        counters.evicted.add(1);
        if let Some(mut state) = self.state() {
            state.dropped_records += 1;
        }
        BufferOutcome::Taken
    }

    #[inline]
    fn is_full(&self, state: &State, size: RecordSize) -> bool {
        let options = &self.recorder.options;
        state.ring.record_count >= options.max_unit_records
            || state.ring.used_len() + size.total() > options.max_unit_bytes
    }

    /// Sets the room for the fast path: none unless the phase is `Buffering`.
    fn set_room(&self, state: &mut State) {
        let options = &self.recorder.options;
        let max_len = match state.phase {
            Phase::Buffering => options
                .max_unit_bytes
                .saturating_sub(state.ring.used_len())
                .min(options.max_record_bytes),
            Phase::Dumping | Phase::PassThrough | Phase::Ended => 0,
        };
        state.ring.set_room(max_len, options.max_unit_records);
    }

    /// Makes room for a record. First evicts records of this unit while it is full. Returns false
    /// if the pool has no free chunk.
    fn make_room(self: &Arc<Self>, state: &mut State, size: RecordSize) -> bool {
        while self.is_full(state, size) {
            if !state.ring.drop_oldest() {
                break;
            }
            state.dropped_records += 1;
            self.recorder.counters.evicted.add(1);
        }
        let State { ring, lease, .. } = state;
        while let Some(loan) = ring.make_room(size) {
            if !self.recorder.pool.lend(loan, self, ring, lease) {
                return false;
            }
        }
        true
    }

    /// Evicts all records of the largest unit. If this unit is the largest, evicts only as many as
    /// a record of this size needs.
    #[cold]
    fn evict_largest(&self, size: RecordSize) {
        let Some(largest) = self.recorder.pool.largest() else {
            thread::yield_now();
            return;
        };
        let records = if ptr::eq(&*largest, self) {
            self.make_room_in_own_memory(size)
        } else {
            largest.evict_all()
        };
        if records > 0 {
            let max_bytes = self.recorder.options.max_process_bytes;
            let fault = format_args!(
                "{records} lines of a unit of work, because all units together have filled their \
                 {max_bytes} bytes"
            );
            self.recorder.report.fault(Fault::Evicted, &fault);
        }
    }

    /// Drops the oldest records until a record of this size fits into the memory that the unit has.
    /// If it does not fit even without other records, gives back all memory of the unit. Returns
    /// the number of dropped records.
    fn make_room_in_own_memory(&self, size: RecordSize) -> u64 {
        let Some(mut state) = self.state() else {
            return 0;
        };
        let records_before = state.ring.record_count;
        while state.ring.make_room(size).is_some() {
            if !state.ring.drop_oldest() {
                self.discard(&mut state, DiscardReason::Evicted);
                break;
            }
        }
        let records = (records_before - state.ring.record_count) as u64;
        self.recorder.counters.evicted.add(records);
        state.dropped_records += records;
        records
    }

    /// Drops all records, so that other units can use the memory. Returns the number of records.
    fn evict_all(&self) -> u64 {
        let Some(mut state) = self.state() else {
            return 0;
        };
        let records = self.discard(&mut state, DiscardReason::Evicted);
        state.dropped_records += records;
        records
    }
}

impl BufferingUnit for Unit {
    fn buffer(self: Arc<Self>, tag: u32, is_sampled_out: bool, event: &UnencodedEvent<'_>) -> bool {
        let tag = RecordTag::from_bits(tag);
        if tag.is_buffered_only_if_sampled_out() && !is_sampled_out {
            return false;
        }
        // Calls the inherent method `Unit::buffer`, not this method of the trait.
        Self::buffer(&self, tag, Content::Event(event)) == BufferOutcome::Taken
    }
}

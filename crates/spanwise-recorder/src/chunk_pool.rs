//! The memory of all units together, in chunks.

use std::sync::{Arc, Weak};

use crate::{
    record_ring::{CHUNK_LEN, Chunk, RecordRing},
    size_ranking::{Place, SizeRanking},
    unit::Unit,
};
use spanwise_core::internal::sync::Mutex;

/// Gives out a limited number of chunks, and knows which unit holds most.
#[derive(Debug)]
pub(crate) struct ChunkPool {
    max_chunks: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Chunks that units hold.
    used: usize,
    spare_chunks: Vec<Chunk>,
    /// Rings without chunks, but with memory for a list of some.
    spare_rings: Vec<RecordRing>,
    /// The units that hold chunks.
    holders: SizeRanking<Weak<Unit>>,
}

/// The entry of a unit among the holders of chunks, if it holds one.
#[derive(Debug, Default)]
pub(crate) struct PoolLease(Option<Place>);

/// Chunks kept for later units: 4 MiB. More are given back to the system.
const MAX_SPARE_CHUNKS: usize = 1024;
const MAX_SPARE_RINGS: usize = 256;

impl ChunkPool {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            max_chunks: (bytes / CHUNK_LEN).max(1),
            state: Mutex::default(),
        }
    }

    /// Adds a chunk to the ring of a unit. Returns false if none is left: a unit must be
    /// [evicted](Self::largest) first.
    ///
    /// The caller may hold the unit's lock.
    pub(crate) fn add_chunk(
        &self,
        unit: &Arc<Unit>,
        ring: &mut RecordRing,
        lease: &mut PoolLease,
    ) -> bool {
        let mut state = self.state.lock();
        if state.used == self.max_chunks {
            return false;
        }
        state.used += 1;
        match &lease.0 {
            Some(place) => state.holders.grow(place),
            None => {
                lease.0 = Some(state.holders.push(Arc::downgrade(unit)));
                if let Some(spare) = state.spare_rings.pop() {
                    *ring = spare;
                }
            }
        }
        let chunk = state.spare_chunks.pop();
        drop(state);
        ring.add_chunk(chunk.unwrap_or_else(|| Box::new([0; CHUNK_LEN])));
        true
    }

    /// Returns the unit that holds most; of several, the one that has held as much for the longest
    /// time.
    ///
    /// The caller holds no unit's lock, as it takes that unit's lock next.
    pub(crate) fn largest(&self) -> Option<Arc<Unit>> {
        let mut state = self.state.lock();
        // A unit that is gone is giving its memory back right now.
        state.holders.largest().and_then(Weak::upgrade)
    }

    /// Removes a unit from the holders: its chunks left with its ring.
    pub(crate) fn detach(&self, lease: &mut PoolLease) {
        if let Some(place) = lease.0.take() {
            self.state.lock().holders.remove(place);
        }
    }

    /// Takes the memory of a ring, whose records are counted.
    pub(crate) fn give_back(&self, mut ring: RecordRing, lease: &mut PoolLease) {
        if lease.0.is_none() && !ring.has_memory() {
            return;
        }
        let mut state = self.state.lock();
        if let Some(place) = lease.0.take() {
            state.holders.remove(place);
        }
        for chunk in ring.drain_chunks() {
            state.used -= 1;
            if state.spare_chunks.len() < MAX_SPARE_CHUNKS {
                state.spare_chunks.push(chunk);
            }
        }
        if state.spare_rings.len() < MAX_SPARE_RINGS {
            state.spare_rings.push(ring);
        }
    }

    /// Returns the number of bytes that units hold.
    pub(crate) fn used_bytes(&self) -> usize {
        self.state.lock().used * CHUNK_LEN
    }
}

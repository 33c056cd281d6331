//! The memory of all units together: how much there may be, and whose is taken when it is full.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::{
    record_ring::{CHUNK_LEN, Chunk, RecordRing},
    size_ranking::{Place, SizeRanking},
    unit::Unit,
};

/// Gives out chunks, at most so many.
#[derive(Debug)]
pub(crate) struct ChunkPool {
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Chunks that units hold.
    used: usize,
    free: Vec<Chunk>,
    /// Without a chunk, but with room for a list of some.
    rings: Vec<RecordRing>,
    /// The units that hold chunks, by how many.
    holders: SizeRanking<Weak<Unit>>,
}

/// A unit without a line may ask for its first chunk, and so enter the list of those that hold some.
#[derive(Debug, Default)]
pub(crate) struct PoolLease(Option<Place>);

/// Chunks kept for the next unit: 4 MiB. What is above is given back to the system.
const MAX_FREE_CHUNKS: usize = 1024;
const MAX_FREE_RINGS: usize = 256;

impl ChunkPool {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            most: (bytes / CHUNK_LEN).max(1),
            state: Mutex::default(),
        }
    }

    /// Adds a chunk to `ring`, which `held` belongs to. False if there is none left: a unit must be
    /// [evicted](Self::largest) first.
    ///
    /// The unit's lock may be held.
    pub(crate) fn add_chunk(
        &self,
        unit: &Arc<Unit>,
        ring: &mut RecordRing,
        held: &mut PoolLease,
    ) -> bool {
        let mut state = self.state();
        if state.used == self.most {
            return false;
        }
        state.used += 1;
        match &held.0 {
            Some(place) => state.holders.grow(place),
            None => {
                held.0 = Some(state.holders.push(Arc::downgrade(unit)));
                if let Some(spare) = state.rings.pop() {
                    *ring = spare;
                }
            }
        }
        let chunk = state.free.pop();
        drop(state);
        ring.add_chunk(chunk.unwrap_or_else(|| Box::new([0; CHUNK_LEN])));
        true
    }

    /// The unit that holds most; of several, the one that has held so much for the longest time.
    ///
    /// No unit's lock may be held: the caller takes that unit's next.
    pub(crate) fn largest(&self) -> Option<Arc<Unit>> {
        let mut state = self.state();
        // One that is gone is giving its memory back right now.
        state.holders.largest().and_then(Weak::upgrade)
    }

    /// The unit holds nothing any more, but for what `ring` took with it.
    pub(crate) fn detach(&self, held: &mut PoolLease) {
        if let Some(place) = held.0.take() {
            self.state().holders.remove(place);
        }
    }

    /// Takes the memory of `ring`, whose records are settled.
    pub(crate) fn give_back(&self, mut ring: RecordRing, held: &mut PoolLease) {
        if held.0.is_none() && !ring.has_memory() {
            // Of a unit that never held a line, or gave all back already.
            return;
        }
        let mut state = self.state();
        if let Some(place) = held.0.take() {
            state.holders.remove(place);
        }
        let State {
            used, free, rings, ..
        } = &mut *state;
        for chunk in ring.drain_chunks() {
            *used -= 1;
            if free.len() < MAX_FREE_CHUNKS {
                free.push(chunk);
            }
        }
        if rings.len() < MAX_FREE_RINGS {
            // Empty, but with its lists.
            rings.push(ring);
        }
    }

    /// Bytes that units hold right now.
    pub(crate) fn used(&self) -> usize {
        self.state().used * CHUNK_LEN
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

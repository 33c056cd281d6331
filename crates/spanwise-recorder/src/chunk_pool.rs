//! The memory of all units of work, in chunks.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use crate::{
    record_ring::{CHUNK_LEN, Chunk, Loan, RecordRing},
    size_ranking::{HolderId, SizeRanking},
    unit::Unit,
};
use spanwise_core::internal::{forks, sync::Mutex};

/// Lends a limited number of chunks to units, and finds the unit that has most of them.
#[derive(Debug)]
pub(crate) struct ChunkPool {
    max_chunks: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The number of chunks that units have, or have reserved.
    used: usize,
    spare_chunks: Vec<Chunk>,
    /// Empty rings, kept for the capacity of their lists.
    spare_rings: Vec<RecordRing>,
    /// The units that have chunks.
    holders: SizeRanking<Weak<Unit>>,
}

/// The registration of a unit in `holders`. `None` if the unit has no chunk.
#[derive(Debug, Default)]
pub(crate) struct PoolLease(Option<HolderId>);

/// The number of unused chunks that are kept for later units (4 MiB). Further chunks are freed.
const MAX_SPARE_CHUNKS: usize = 1024;
const MAX_SPARE_RINGS: usize = 256;

impl ChunkPool {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            max_chunks: (bytes / CHUNK_LEN).max(1),
            state: Mutex::default(),
        }
    }

    /// Lends a chunk to the ring of a unit. Returns false if no chunk is left. In that case the
    /// caller must first evict the [largest](Self::largest) unit.
    ///
    /// The caller may hold the unit's lock.
    pub(crate) fn lend(
        &self,
        loan: Loan,
        unit: &Arc<Unit>,
        ring: &mut RecordRing,
        lease: &mut PoolLease,
    ) -> bool {
        let no_fork = forks::defer();
        let mut state = self.state.lock();
        if state.used == self.max_chunks {
            return false;
        }
        state.used += 1;
        match &lease.0 {
            Some(holder) => state.holders.grow(holder),
            None => {
                lease.0 = Some(state.holders.push(Arc::downgrade(unit)));
                // A unit without a chunk has no records, so its ring can be replaced.
                if let Some(spare) = state.spare_rings.pop() {
                    *ring = spare;
                }
            }
        }
        if loan == Loan::Reserve {
            ring.reserve_chunk();
            return true;
        }
        let chunk = state.spare_chunks.pop();
        drop((state, no_fork));
        ring.add_chunk(chunk.unwrap_or_else(|| Box::new([0; CHUNK_LEN])));
        true
    }

    /// Returns the unit with the most chunks. If several have as many, returns the one that reached
    /// this number first. `None` if no unit has a chunk, or if this unit was just dropped.
    ///
    /// The caller must not hold the lock of a unit, because the caller locks the returned unit
    /// next.
    pub(crate) fn largest(&self) -> Option<Arc<Unit>> {
        let _no_fork = forks::defer();
        let mut state = self.state.lock();
        // If the unit was just dropped, another thread is about to give its memory back, so the
        // caller can try again.
        state.holders.largest().and_then(Weak::upgrade)
    }

    /// Removes a unit from the holders, after its ring was moved out with all chunks.
    pub(crate) fn detach(&self, lease: &mut PoolLease) {
        if let Some(holder) = lease.0.take() {
            let _no_fork = forks::defer();
            self.state.lock().holders.remove(holder);
        }
    }

    /// Returns the chunks of a ring to the pool. The caller has counted the records in them.
    pub(crate) fn give_back(&self, mut ring: RecordRing, lease: &mut PoolLease) {
        if lease.0.is_none() && !ring.has_memory() {
            return;
        }
        // Before the lock, because this frees the data of spans.
        ring.clear();
        let _no_fork = forks::defer();
        let mut state = self.state.lock();
        if let Some(holder) = lease.0.take() {
            state.holders.remove(holder);
        }
        state.used -= ring.lent_chunks();
        for chunk in ring.drain_chunks() {
            if state.spare_chunks.len() < MAX_SPARE_CHUNKS {
                state.spare_chunks.push(chunk);
            }
        }
        if state.spare_rings.len() < MAX_SPARE_RINGS {
            state.spare_rings.push(ring);
        }
    }

    /// Returns the number of bytes in the chunks that are lent to units.
    pub(crate) fn used_bytes(&self) -> usize {
        let _no_fork = forks::defer();
        self.state.lock().used * CHUNK_LEN
    }
}

/// Shows no chunk, because spare chunks have the values of the last unit that used them.
impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}

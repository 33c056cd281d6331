//! A pool of memory chunks for the buffers of all units of work. It bounds the memory of a
//! recorder.

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

/// Lends a limited number of chunks to units, and finds the unit with the most chunks. If no chunk
/// is left, this unit loses its lines.
#[derive(Debug)]
pub(crate) struct ChunkPool {
    max_chunks: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The number of lent chunks, including those that [`Loan::Reserve`] lends.
    lent_chunks: usize,
    spare_chunks: Vec<Chunk>,
    /// Empty rings, kept so that later units reuse the capacity of their lists.
    spare_rings: Vec<RecordRing>,
    /// The units that have chunks.
    holders: SizeRanking<Weak<Unit>>,
}

/// The entry of a unit in `holders`. `None` if the unit has no chunk.
#[derive(Debug, Default)]
pub(crate) struct PoolLease(Option<HolderId>);

/// At most this many unused chunks (4 MiB) are kept for later units. Further chunks are freed.
const MAX_SPARE_CHUNKS: usize = 1024;
const MAX_SPARE_RINGS: usize = 256;

impl ChunkPool {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            max_chunks: (max_bytes / CHUNK_LEN).max(1),
            state: Mutex::default(),
        }
    }

    /// Lends a chunk to the ring of a unit. Returns false if no chunk is left. In that case the
    /// caller must first evict the [largest](Self::largest) unit.
    ///
    /// The caller may hold the lock of the unit.
    pub(crate) fn lend(
        &self,
        loan: Loan,
        unit: &Arc<Unit>,
        ring: &mut RecordRing,
        lease: &mut PoolLease,
    ) -> bool {
        let no_fork = forks::defer();
        let mut state = self.state.lock();
        if state.lent_chunks == self.max_chunks {
            return false;
        }
        state.lent_chunks += 1;
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

    /// Returns the unit with the most chunks. If several units have this number, returns the one
    /// that reached it first. Returns `None` if no unit has a chunk, or if the largest unit was
    /// just dropped.
    ///
    /// The caller must not hold the lock of a unit, because the caller locks the returned unit
    /// next.
    pub(crate) fn largest(&self) -> Option<Arc<Unit>> {
        let _no_fork = forks::defer();
        let mut state = self.state.lock();
        // If the largest unit was just dropped, another thread is about to give its memory back.
        // The caller can then try again.
        state.holders.largest().and_then(Weak::upgrade)
    }

    /// Removes a unit from the holders, after a dump took its ring with all chunks. The chunks stay
    /// lent until the dump gives them back.
    pub(crate) fn detach(&self, lease: &mut PoolLease) {
        if let Some(holder) = lease.0.take() {
            let _no_fork = forks::defer();
            self.state.lock().holders.remove(holder);
        }
    }

    /// Returns the chunks of a ring to the pool, and drops the records in them. The caller must
    /// have counted these records.
    pub(crate) fn give_back(&self, mut ring: RecordRing, lease: &mut PoolLease) {
        if lease.0.is_none() && !ring.has_capacity() {
            return;
        }
        // Called before the lock is taken, because it may free the data of spans.
        ring.clear();
        let _no_fork = forks::defer();
        let mut state = self.state.lock();
        if let Some(holder) = lease.0.take() {
            state.holders.remove(holder);
        }
        state.lent_chunks -= ring.lent_chunks();
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
        self.state.lock().lent_chunks * CHUNK_LEN
    }
}

/// Shows no chunk, because spare chunks still contain the values of the last unit that used them.
impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("used", &self.lent_chunks)
            .finish_non_exhaustive()
    }
}

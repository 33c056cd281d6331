//! One token bucket for each pair of callsite and field value, in a table of fixed size. The hash
//! of the pair is its key. Below, *value* means such a pair.
//!
//! As in a segmented LRU cache, values that occurred again are separate from values that occurred
//! once. So a flood of new values does not evict the values that a service really has.
//!
//! If the table is full of values in use, a new value replaces one of them. If each new bucket
//! started full, a flood of new values would exceed the limit. So the new bucket starts empty, and
//! the event uses a token of one bucket that all such new values share.

use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hasher, RandomState},
    sync::atomic::AtomicU64,
};

use spanwise_core::internal::{
    LinkedSlots, SampleDecision as Decision, SlotId, SlotList, forks::ForkAwareMutex,
};

use crate::limiter::RateLimiter;

/// The buckets of one rule, at most [`MAX_KEYS`], in shards so that threads seldom wait for each
/// other.
#[derive(Debug)]
pub(crate) struct LruBuckets {
    random: RandomState,
    shards: [ForkAwareMutex<LruShard>; SHARDS],
    /// The shared bucket for values that replaced a value in use, and for those of a shard that a
    /// forked child cannot use.
    overflow: AtomicU64,
}

const MAX_KEYS: usize = 10_000;
const SHARDS: usize = 8;
const KEYS_PER_SHARD: usize = MAX_KEYS / SHARDS;

/// A shard has at most this many values that occurred again. The rest is for new values.
const MAX_FREQUENT: usize = KEYS_PER_SHARD * 4 / 5;

/// A bucket that has been full for this long is unused: one minute, in nanoseconds.
const UNUSED_TIMEOUT: u64 = 60_000_000_000;

impl LruBuckets {
    /// Returns a hasher for a key. It has a random seed, so that clients cannot choose values that
    /// collide.
    pub(crate) fn hasher(&self) -> DefaultHasher {
        self.random.build_hasher()
    }

    /// Takes a token from the bucket of `key`.
    pub(crate) fn take_token(&self, key: u64, limit: RateLimiter, now: u64) -> Decision {
        // Middle bits, because the hash table uses the bits at both ends.
        let shard_index = (key >> 32) as usize % SHARDS;
        let Some(mut shard) = self.shards[shard_index].lock() else {
            return limit.take_shared_token(&self.overflow, now);
        };
        let (bucket, origin) = shard.get_or_insert(key, now);
        match origin {
            Origin::Own => limit.take_token(bucket, now),
            Origin::TakenOver => {
                *bucket = limit.empty_state(now);
                limit.take_shared_token(&self.overflow, now)
            }
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let shards = self.shards.iter();
        shards
            .map(|shard| shard.lock().unwrap().entries.slots())
            .sum()
    }
}

impl Default for LruBuckets {
    fn default() -> Self {
        Self {
            random: RandomState::new(),
            shards: std::array::from_fn(|_| ForkAwareMutex::default()),
            overflow: AtomicU64::new(0),
        }
    }
}

/// The previous owner of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The bucket belonged to the same value, to none, or to a value that is no longer in use.
    Own,
    /// The bucket belonged to another value, which may still be in use.
    TakenOver,
}

#[derive(Debug, Default)]
struct LruShard {
    slot_by_key: HashMap<u64, SlotId, BuildHasherDefault<IdentityHasher>>,
    entries: LinkedSlots<Entry>,
    /// Values that occurred once, or that [`promote`](Self::promote) moved back. The oldest value
    /// is in front.
    once: SlotList,
    /// Values that occurred again. The value that occurred least recently is in front.
    frequent: SlotList,
}

#[derive(Debug)]
struct Entry {
    key: u64,
    /// The state of the bucket: the time at which it is full again.
    bucket: u64,
    is_frequent: bool,
}

impl LruShard {
    /// Returns the bucket of `key`.
    fn get_or_insert(&mut self, key: u64, now: u64) -> (&mut u64, Origin) {
        let (slot, origin) = match self.slot_by_key.get(&key) {
            Some(&slot) => {
                self.touch(slot);
                (slot, Origin::Own)
            }
            None => self.insert(key, now),
        };
        (&mut self.entries[slot].bucket, origin)
    }

    #[inline]
    fn touch(&mut self, slot: SlotId) {
        if self.frequent.back() == Some(slot) {
            return;
        }
        if self.entries[slot].is_frequent {
            self.entries.move_to_back(&mut self.frequent, slot);
        } else {
            self.promote(slot);
        }
    }

    /// Moves a value that occurs again to the frequent values. If there are too many frequent
    /// values, moves the least recent value back.
    #[cold]
    fn promote(&mut self, slot: SlotId) {
        self.entries
            .move_to(&mut self.once, &mut self.frequent, slot);
        self.entries[slot].is_frequent = true;
        if self.frequent.len() > MAX_FREQUENT
            && let Some(oldest) = self.frequent.front()
        {
            self.entries
                .move_to(&mut self.frequent, &mut self.once, oldest);
            self.entries[oldest].is_frequent = false;
        }
    }

    fn insert(&mut self, key: u64, now: u64) -> (SlotId, Origin) {
        let entry = Entry {
            key,
            bucket: 0,
            is_frequent: false,
        };
        if self.entries.capacity() == 0 {
            // Reserves all memory now, so that later events do not allocate. A map that is at most
            // half full reuses the slots of removed keys without an allocation.
            self.entries.reserve_exact(KEYS_PER_SHARD);
            self.slot_by_key.reserve(2 * KEYS_PER_SHARD);
        }
        let replaced = if self.entries.slots() < KEYS_PER_SHARD {
            None
        } else {
            self.least_useful(now)
        };
        let (slot, origin) = match replaced {
            None => (self.entries.push_back(&mut self.once, entry), Origin::Own),
            Some((slot, origin)) => {
                self.slot_by_key.remove(&self.entries[slot].key);
                if self.entries[slot].is_frequent {
                    self.entries
                        .move_to(&mut self.frequent, &mut self.once, slot);
                } else {
                    self.entries.move_to_back(&mut self.once, slot);
                }
                self.entries[slot] = entry;
                (slot, origin)
            }
        };
        self.slot_by_key.insert(key, slot);
        (slot, origin)
    }

    /// Returns the entry to replace: an unused one at the front of a list, or else the oldest value
    /// that occurred once.
    fn least_useful(&self, now: u64) -> Option<(SlotId, Origin)> {
        let is_unused =
            |slot: &SlotId| now.saturating_sub(self.entries[*slot].bucket) >= UNUSED_TIMEOUT;
        let oldest = [self.once.front(), self.frequent.front()];
        match oldest.into_iter().flatten().find(is_unused) {
            Some(unused) => Some((unused, Origin::Own)),
            None => self.once.front().map(|slot| (slot, Origin::TakenOver)),
        }
    }
}

/// Returns keys unchanged, because they are hashes.
#[derive(Debug, Default)]
struct IdentityHasher(u64);

impl Hasher for IdentityHasher {
    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rate;

    const SECOND: u64 = 1_000_000_000;

    /// Returns a shard full of values that occurred once, with buckets in use until `now`.
    fn full(now: u64) -> LruShard {
        let mut shard = LruShard::default();
        for key in 0..KEYS_PER_SHARD as u64 {
            let (bucket, origin) = shard.get_or_insert(key, now);
            assert_eq!((*bucket, origin), (0, Origin::Own));
            *bucket = now + 1;
        }
        shard
    }

    fn origin(shard: &mut LruShard, key: u64, now: u64) -> Origin {
        let (bucket, origin) = shard.get_or_insert(key, now);
        *bucket = now + 1;
        origin
    }

    #[test]
    fn frequent_values_stay() {
        let mut shard = full(SECOND);
        assert_eq!(origin(&mut shard, 7, SECOND), Origin::Own, "again");
        for key in 1_000_000..1_100_000 {
            assert_eq!(origin(&mut shard, key, SECOND), Origin::TakenOver);
        }
        assert_eq!(origin(&mut shard, 7, SECOND), Origin::Own, "still there");
        assert_eq!(origin(&mut shard, 8, SECOND), Origin::TakenOver, "gone");
        assert_eq!(shard.entries.slots(), KEYS_PER_SHARD);
        assert_eq!(shard.slot_by_key.len(), KEYS_PER_SHARD);
    }

    #[test]
    fn new_values_find_room_among_frequent_ones() {
        let mut shard = full(SECOND);
        for key in 0..KEYS_PER_SHARD as u64 {
            origin(&mut shard, key, SECOND);
        }
        assert_eq!(shard.frequent.len(), MAX_FREQUENT);
        assert_eq!(shard.once.len(), KEYS_PER_SHARD - MAX_FREQUENT);
        assert_eq!(origin(&mut shard, 1_000_000, SECOND), Origin::TakenOver);
        assert_eq!(origin(&mut shard, 1_000_000, SECOND), Origin::Own);
    }

    #[test]
    fn bucket_is_free_a_minute_after_it_is_full() {
        let mut shard = full(SECOND);
        let almost = SECOND + UNUSED_TIMEOUT;
        assert_eq!(origin(&mut shard, 1_000_000, almost), Origin::TakenOver);
        assert_eq!(origin(&mut shard, 1_000_001, almost + 1), Origin::Own);
    }

    #[test]
    fn any_number_of_values_takes_bounded_room() {
        let buckets = LruBuckets::default();
        let limit = RateLimiter::new(&Rate::per_second(5));
        for value in 0..100_000_u64 {
            let mut hasher = buckets.hasher();
            hasher.write_u64(value);
            buckets.take_token(hasher.finish(), limit, SECOND);
        }
        assert_eq!(buckets.len(), MAX_KEYS);
        for shard in &buckets.shards {
            let shard = shard.lock().unwrap();
            assert_eq!(shard.entries.capacity(), KEYS_PER_SHARD);
            // A table of 4,096 slots keeps an eighth of them empty.
            assert!(shard.slot_by_key.capacity() <= 3584);
        }
    }
}

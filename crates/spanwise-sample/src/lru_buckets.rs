//! Token buckets for [`Rate::per_value_of`](crate::Rate::per_value_of): one for each pair of
//! callsite and field value, in a table of fixed size. Below, *value* means such a pair, and *key*
//! means the hash of the pair.
//!
//! As in a segmented LRU cache, values that occurred again (*frequent* values) are separate from
//! values that occurred once. So a flood of new values does not evict the values that a service
//! really has.
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
    /// The shared bucket for new values that replaced a value in use, and for all values of a shard
    /// that a forked child cannot use.
    overflow: AtomicU64,
}

const MAX_KEYS: usize = 10_000;
const SHARDS: usize = 8;
const KEYS_PER_SHARD: usize = MAX_KEYS / SHARDS;

/// A shard has at most this many frequent values. The other slots are for values that occurred
/// once.
const MAX_FREQUENT_PER_SHARD: usize = KEYS_PER_SHARD * 4 / 5;

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
        // Middle bits select the shard, because the hash table uses the bits at both ends.
        let shard_index = (key >> 32) as usize % SHARDS;
        let Some(mut shard) = self.shards[shard_index].lock() else {
            return limit.take_shared_token(&self.overflow, now);
        };
        let (bucket, previous_owner) = shard.get_or_insert(key, now);
        match previous_owner {
            PreviousOwner::SameOrUnused => limit.take_token(bucket, now),
            PreviousOwner::OtherInUse => {
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

/// The value to which a bucket belonged before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PreviousOwner {
    /// The same value, no value, or a value that is no longer in use.
    SameOrUnused,
    /// Another value, which may still be in use.
    OtherInUse,
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
    /// The state of the bucket: the time at which it is full again, in nanoseconds.
    bucket: u64,
    is_frequent: bool,
}

impl LruShard {
    /// Returns the bucket of `key`, and the value to which the bucket belonged before.
    fn get_or_insert(&mut self, key: u64, now: u64) -> (&mut u64, PreviousOwner) {
        let (slot, previous_owner) = match self.slot_by_key.get(&key) {
            Some(&slot) => {
                self.mark_recent(slot);
                (slot, PreviousOwner::SameOrUnused)
            }
            None => self.insert(key, now),
        };
        (&mut self.entries[slot].bucket, previous_owner)
    }

    /// Marks a value as the most recent frequent value, because it occurs again.
    #[inline]
    fn mark_recent(&mut self, slot: SlotId) {
        if self.frequent.back() == Some(slot) {
            return;
        }
        if self.entries[slot].is_frequent {
            self.entries.move_to_back(&mut self.frequent, slot);
        } else {
            self.promote(slot);
        }
    }

    /// Moves a value to the frequent values, because it occurs again. If there are too many
    /// frequent values, moves the least recent one back.
    #[cold]
    fn promote(&mut self, slot: SlotId) {
        self.entries
            .move_to(&mut self.once, &mut self.frequent, slot);
        self.entries[slot].is_frequent = true;
        if self.frequent.len() > MAX_FREQUENT_PER_SHARD
            && let Some(oldest) = self.frequent.front()
        {
            self.entries
                .move_to(&mut self.frequent, &mut self.once, oldest);
            self.entries[oldest].is_frequent = false;
        }
    }

    /// Adds a value that occurs for the first time. If the shard is full, replaces another value.
    fn insert(&mut self, key: u64, now: u64) -> (SlotId, PreviousOwner) {
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
            self.slot_to_replace(now)
        };
        let (slot, previous_owner) = match replaced {
            None => (
                self.entries.push_back(&mut self.once, entry),
                PreviousOwner::SameOrUnused,
            ),
            Some((slot, previous_owner)) => {
                self.slot_by_key.remove(&self.entries[slot].key);
                if self.entries[slot].is_frequent {
                    self.entries
                        .move_to(&mut self.frequent, &mut self.once, slot);
                } else {
                    self.entries.move_to_back(&mut self.once, slot);
                }
                self.entries[slot] = entry;
                (slot, previous_owner)
            }
        };
        self.slot_by_key.insert(key, slot);
        (slot, previous_owner)
    }

    /// Returns the slot to replace: the front of a list if its bucket is unused, or else the oldest
    /// value that occurred once.
    fn slot_to_replace(&self, now: u64) -> Option<(SlotId, PreviousOwner)> {
        let is_unused =
            |slot: &SlotId| now.saturating_sub(self.entries[*slot].bucket) >= UNUSED_TIMEOUT;
        let oldest = [self.once.front(), self.frequent.front()];
        match oldest.into_iter().flatten().find(is_unused) {
            Some(unused) => Some((unused, PreviousOwner::SameOrUnused)),
            None => self
                .once
                .front()
                .map(|slot| (slot, PreviousOwner::OtherInUse)),
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
    fn full_shard(now: u64) -> LruShard {
        let mut shard = LruShard::default();
        for key in 0..KEYS_PER_SHARD as u64 {
            let (bucket, previous_owner) = shard.get_or_insert(key, now);
            assert_eq!((*bucket, previous_owner), (0, PreviousOwner::SameOrUnused));
            *bucket = now + 1;
        }
        shard
    }

    /// Uses the bucket of `key` at `now`. Returns the previous owner of the bucket.
    fn use_bucket(shard: &mut LruShard, key: u64, now: u64) -> PreviousOwner {
        let (bucket, previous_owner) = shard.get_or_insert(key, now);
        *bucket = now + 1;
        previous_owner
    }

    #[test]
    fn frequent_values_stay() {
        let mut shard = full_shard(SECOND);
        assert_eq!(
            use_bucket(&mut shard, 7, SECOND),
            PreviousOwner::SameOrUnused,
            "again"
        );
        for key in 1_000_000..1_100_000 {
            assert_eq!(
                use_bucket(&mut shard, key, SECOND),
                PreviousOwner::OtherInUse
            );
        }
        assert_eq!(
            use_bucket(&mut shard, 7, SECOND),
            PreviousOwner::SameOrUnused,
            "still there"
        );
        assert_eq!(
            use_bucket(&mut shard, 8, SECOND),
            PreviousOwner::OtherInUse,
            "gone"
        );
        assert_eq!(shard.entries.slots(), KEYS_PER_SHARD);
        assert_eq!(shard.slot_by_key.len(), KEYS_PER_SHARD);
    }

    #[test]
    fn new_values_find_room_among_frequent_ones() {
        let mut shard = full_shard(SECOND);
        for key in 0..KEYS_PER_SHARD as u64 {
            use_bucket(&mut shard, key, SECOND);
        }
        assert_eq!(shard.frequent.len(), MAX_FREQUENT_PER_SHARD);
        assert_eq!(shard.once.len(), KEYS_PER_SHARD - MAX_FREQUENT_PER_SHARD);
        assert_eq!(
            use_bucket(&mut shard, 1_000_000, SECOND),
            PreviousOwner::OtherInUse
        );
        assert_eq!(
            use_bucket(&mut shard, 1_000_000, SECOND),
            PreviousOwner::SameOrUnused
        );
    }

    #[test]
    fn bucket_is_free_a_minute_after_it_is_full() {
        let mut shard = full_shard(SECOND);
        let almost = SECOND + UNUSED_TIMEOUT;
        assert_eq!(
            use_bucket(&mut shard, 1_000_000, almost),
            PreviousOwner::OtherInUse
        );
        assert_eq!(
            use_bucket(&mut shard, 1_000_001, almost + 1),
            PreviousOwner::SameOrUnused
        );
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

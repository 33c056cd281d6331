//! Token buckets for each value of a field, in a table of fixed size.
//!
//! The table keeps values that occur often apart from those that occurred once, as a segmented LRU
//! cache does. So a flood of values that occur once each takes no bucket away from the values that
//! a service really has.
//!
//! A value that finds the table full of values in use takes the bucket of another. If it got a full
//! bucket, a flood of values would pass whole: instead its bucket begins empty, and its event needs
//! a token of one bucket that all such values share.

use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hasher, RandomState},
    sync::{Mutex, PoisonError, atomic::AtomicU64},
};

use crate::limiter::{Decision, TokenBucket};

/// The buckets of one rule: at most [`MAX_KEYS`]. In shards, so that threads seldom wait for each
/// other.
#[derive(Debug)]
pub(crate) struct LruBuckets {
    random: RandomState,
    shards: [Mutex<LruShard>; SHARDS],
    /// The bucket that values share which took the place of one in use.
    overflow: AtomicU64,
}

pub(crate) const MAX_KEYS: usize = 10_000;
const SHARDS: usize = 8;
const KEYS_PER_SHARD: usize = MAX_KEYS / SHARDS;

/// At most so many of a shard are values that occurred more than once: some room is always left for
/// new ones.
const MAX_FREQUENT: usize = KEYS_PER_SHARD * 4 / 5;

/// Nanoseconds after which a bucket that is full again belongs to nobody: a minute.
const UNUSED_TIMEOUT: u64 = 60_000_000_000;

impl LruBuckets {
    /// For a key: nobody who writes values knows which of them meet.
    pub(crate) fn hasher(&self) -> DefaultHasher {
        self.random.build_hasher()
    }

    /// Takes a token out of the bucket of `key`.
    pub(crate) fn take(&self, key: u64, limit: TokenBucket, now: u64) -> Decision {
        // The table takes its bits from both ends.
        let shard = (key >> 32) as usize % SHARDS;
        let mut shard = self.shards[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (bucket, origin) = shard.bucket(key, now);
        match origin {
            Origin::Own => limit.take(bucket, now),
            Origin::TakenOver => {
                *bucket = limit.empty_at(now);
                limit.take_shared(&self.overflow, now)
            }
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let shards = self.shards.iter();
        shards
            .map(|shard| shard.lock().unwrap().entries.len())
            .sum()
    }
}

impl Default for LruBuckets {
    fn default() -> Self {
        Self {
            random: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
            overflow: AtomicU64::new(0),
        }
    }
}

/// Whose a bucket was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The value's, or nobody's.
    Own,
    /// Another value's, which may still be in use.
    TakenOver,
}

/// Entries in two lists, each in the order of their use, whose links are indices.
#[derive(Debug, Default)]
struct LruShard {
    slots: HashMap<u64, u32, BuildHasherDefault<AsItIs>>,
    entries: Vec<Entry>,
    /// Values that occurred once, as far as the table remembers.
    once: List,
    /// Values that occurred again.
    frequent: List,
}

#[derive(Debug)]
struct Entry {
    key: u64,
    bucket: u64,
    newer: u32,
    older: u32,
    is_frequent: bool,
}

#[derive(Debug, Clone, Copy)]
struct List {
    newest: u32,
    oldest: u32,
    len: usize,
}

/// No entry.
const NONE: u32 = u32::MAX;

impl LruShard {
    fn bucket(&mut self, key: u64, now: u64) -> (&mut u64, Origin) {
        let (slot, origin) = match self.slots.get(&key) {
            Some(&slot) => {
                self.used_again(slot);
                (slot, Origin::Own)
            }
            None => self.add(key, now),
        };
        (&mut self.entries[slot as usize].bucket, origin)
    }

    fn used_again(&mut self, slot: u32) {
        let newest = self.frequent.newest;
        if slot == newest {
            return;
        }
        let entry = &mut self.entries[slot as usize];
        if !entry.is_frequent {
            return self.used_for_the_second_time(slot);
        }
        // To the front of its own list: there is a newer one.
        let (newer, older) = (entry.newer, entry.older);
        (entry.newer, entry.older) = (NONE, newest);
        self.entries[newest as usize].newer = slot;
        self.entries[newer as usize].older = older;
        match older {
            NONE => self.frequent.oldest = newer,
            older => self.entries[older as usize].newer = newer,
        }
        self.frequent.newest = slot;
    }

    #[cold]
    fn used_for_the_second_time(&mut self, slot: u32) {
        self.unlink(slot);
        self.link(slot, true);
        if self.frequent.len > MAX_FREQUENT {
            let oldest = self.frequent.oldest;
            self.unlink(oldest);
            self.link(oldest, false);
        }
    }

    fn add(&mut self, key: u64, now: u64) -> (u32, Origin) {
        if self.entries.capacity() == 0 {
            // All at once: once a rule is in use it allocates no more. A table that is half full takes new keys for old without growing.
            self.entries.reserve_exact(KEYS_PER_SHARD);
            self.slots.reserve(2 * KEYS_PER_SHARD);
        }
        let entry = Entry {
            key,
            bucket: 0,
            newer: NONE,
            older: NONE,
            is_frequent: false,
        };
        let (slot, origin) = if self.entries.len() < KEYS_PER_SHARD {
            self.entries.push(entry);
            ((self.entries.len() - 1) as u32, Origin::Own)
        } else {
            let (slot, origin) = self.least_useful(now);
            self.unlink(slot);
            self.slots.remove(&self.entries[slot as usize].key);
            self.entries[slot as usize] = entry;
            (slot, origin)
        };
        self.slots.insert(key, slot);
        self.link(slot, false);
        (slot, origin)
    }

    /// The entry to give up: one that is unused, or else the one that occurred once and longest
    /// ago.
    fn least_useful(&self, now: u64) -> (u32, Origin) {
        let is_unused = |slot: &u32| {
            // The bucket says when it is full again, and each use puts that off.
            let entry = self.entries.get(*slot as usize);
            entry.is_some_and(|entry| now.saturating_sub(entry.bucket) >= UNUSED_TIMEOUT)
        };
        let oldest = [self.once.oldest, self.frequent.oldest];
        match oldest.into_iter().find(is_unused) {
            Some(unused) => (unused, Origin::Own),
            None => (self.once.oldest, Origin::TakenOver),
        }
    }

    fn list(&mut self, is_frequent: bool) -> &mut List {
        if is_frequent {
            &mut self.frequent
        } else {
            &mut self.once
        }
    }

    fn unlink(&mut self, slot: u32) {
        let Entry {
            newer,
            older,
            is_frequent,
            ..
        } = self.entries[slot as usize];
        match newer {
            NONE => self.list(is_frequent).newest = older,
            newer => self.entries[newer as usize].older = older,
        }
        match older {
            NONE => self.list(is_frequent).oldest = newer,
            older => self.entries[older as usize].newer = newer,
        }
        self.list(is_frequent).len -= 1;
    }

    /// Links an entry as the newest of a list.
    fn link(&mut self, slot: u32, is_frequent: bool) {
        let list = self.list(is_frequent);
        let older = std::mem::replace(&mut list.newest, slot);
        list.len += 1;
        match older {
            NONE => list.oldest = slot,
            older => self.entries[older as usize].newer = slot,
        }
        let entry = &mut self.entries[slot as usize];
        (entry.newer, entry.older, entry.is_frequent) = (NONE, older, is_frequent);
    }
}

impl Default for List {
    fn default() -> Self {
        Self {
            newest: NONE,
            oldest: NONE,
            len: 0,
        }
    }
}

/// Keys are hashes already.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
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

    /// A shard that is full of values that occurred once, at this time, with a bucket that is in
    /// use until then.
    fn full(now: u64) -> LruShard {
        let mut shard = LruShard::default();
        for key in 0..KEYS_PER_SHARD as u64 {
            let (bucket, origin) = shard.bucket(key, now);
            assert_eq!((*bucket, origin), (0, Origin::Own));
            *bucket = now + 1;
        }
        shard
    }

    fn origin(shard: &mut LruShard, key: u64, now: u64) -> Origin {
        let (bucket, origin) = shard.bucket(key, now);
        *bucket = now + 1;
        origin
    }

    #[test]
    fn values_that_occur_often_stay() {
        let mut shard = full(SECOND);
        assert_eq!(origin(&mut shard, 7, SECOND), Origin::Own, "again");
        for key in 1_000_000..1_100_000 {
            assert_eq!(origin(&mut shard, key, SECOND), Origin::TakenOver);
        }
        assert_eq!(origin(&mut shard, 7, SECOND), Origin::Own, "still there");
        assert_eq!(origin(&mut shard, 8, SECOND), Origin::TakenOver, "gone");
        assert_eq!(shard.entries.len(), KEYS_PER_SHARD);
        assert_eq!(shard.slots.len(), KEYS_PER_SHARD);
    }

    #[test]
    fn new_values_find_room_among_frequent_ones() {
        let mut shard = full(SECOND);
        for key in 0..KEYS_PER_SHARD as u64 {
            origin(&mut shard, key, SECOND);
        }
        assert_eq!(shard.frequent.len, MAX_FREQUENT);
        assert_eq!(shard.once.len, KEYS_PER_SHARD - MAX_FREQUENT);
        assert_eq!(origin(&mut shard, 1_000_000, SECOND), Origin::TakenOver);
        assert_eq!(origin(&mut shard, 1_000_000, SECOND), Origin::Own);
    }

    #[test]
    fn a_bucket_is_free_a_minute_after_it_is_full_again() {
        let mut shard = full(SECOND);
        let almost = SECOND + UNUSED_TIMEOUT;
        assert_eq!(origin(&mut shard, 1_000_000, almost), Origin::TakenOver);
        assert_eq!(origin(&mut shard, 1_000_001, almost + 1), Origin::Own);
    }

    #[test]
    fn any_number_of_values_takes_the_room_of_ten_thousand() {
        let keyed = LruBuckets::default();
        let limit = TokenBucket::new(&Rate::per_second(5));
        for value in 0..100_000_u64 {
            let mut hasher = keyed.hasher();
            hasher.write_u64(value);
            keyed.take(hasher.finish(), limit, SECOND);
        }
        assert_eq!(keyed.len(), MAX_KEYS);
        for shard in &keyed.shards {
            let shard = shard.lock().unwrap();
            assert_eq!(shard.entries.capacity(), KEYS_PER_SHARD);
            // 4,096 slots, an eighth of which stays empty.
            assert!(shard.slots.capacity() <= 3584);
        }
    }
}

//! A bucket for each value of a field, and a bound on how many there are.

use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hasher, RandomState},
    sync::{Mutex, PoisonError},
};

/// The buckets of one rule: of [`KEYS`] keys, the least recently used one leaves first. In shards, so that threads seldom wait for each other.
#[derive(Debug)]
pub(crate) struct Keyed {
    random: RandomState,
    shards: [Mutex<Recent>; SHARDS],
}

pub(crate) const KEYS: usize = 10_000;
const SHARDS: usize = 8;
const KEYS_A_SHARD: usize = KEYS / SHARDS;

impl Keyed {
    /// For a key: nobody who writes values knows which of them meet.
    pub(crate) fn hasher(&self) -> DefaultHasher {
        self.random.build_hasher()
    }

    /// Calls `take` with the bucket of `key`, which is 0 if it is new.
    pub(crate) fn with<R>(&self, key: u64, take: impl FnOnce(&mut u64) -> R) -> R {
        // The table takes its bits from both ends.
        let shard = (key >> 32) as usize % SHARDS;
        let mut recent = self.shards[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        take(recent.touch(key))
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let shards = self.shards.iter();
        shards
            .map(|shard| shard.lock().unwrap().entries.len())
            .sum()
    }
}

impl Default for Keyed {
    fn default() -> Self {
        Self {
            random: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

/// Entries in the order of their use, as a list whose links are indices.
#[derive(Debug, Default)]
struct Recent {
    slots: HashMap<u64, u32, BuildHasherDefault<AsItIs>>,
    entries: Vec<Entry>,
    newest: u32,
    oldest: u32,
}

#[derive(Debug)]
struct Entry {
    key: u64,
    bucket: u64,
    newer: u32,
    older: u32,
}

/// No entry.
const NONE: u32 = u32::MAX;

impl Recent {
    fn touch(&mut self, key: u64) -> &mut u64 {
        let slot = match self.slots.get(&key) {
            Some(&slot) if slot == self.newest => return &mut self.entries[slot as usize].bucket,
            Some(&slot) => {
                self.unlink(slot);
                slot
            }
            None => self.room_for(key),
        };
        self.link_as_newest(slot);
        &mut self.entries[slot as usize].bucket
    }

    /// A new entry, or the oldest one made new; not linked.
    fn room_for(&mut self, key: u64) -> u32 {
        if self.entries.capacity() == 0 {
            // All at once: once a rule is in use it allocates no more. A table that is half full takes new keys for old without growing.
            self.entries.reserve_exact(KEYS_A_SHARD);
            self.slots.reserve(2 * KEYS_A_SHARD);
            (self.newest, self.oldest) = (NONE, NONE);
        }
        let entry = Entry {
            key,
            bucket: 0,
            newer: NONE,
            older: NONE,
        };
        let slot = if self.entries.len() < KEYS_A_SHARD {
            self.entries.push(entry);
            (self.entries.len() - 1) as u32
        } else {
            let oldest = self.oldest;
            self.unlink(oldest);
            self.slots.remove(&self.entries[oldest as usize].key);
            self.entries[oldest as usize] = entry;
            oldest
        };
        self.slots.insert(key, slot);
        slot
    }

    fn unlink(&mut self, slot: u32) {
        let Entry { newer, older, .. } = self.entries[slot as usize];
        match newer {
            NONE => self.newest = older,
            newer => self.entries[newer as usize].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.entries[older as usize].newer = newer,
        }
    }

    fn link_as_newest(&mut self, slot: u32) {
        let older = std::mem::replace(&mut self.newest, slot);
        match older {
            NONE => self.oldest = slot,
            older => self.entries[older as usize].newer = slot,
        }
        let entry = &mut self.entries[slot as usize];
        (entry.newer, entry.older) = (NONE, older);
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

    #[test]
    fn the_least_recently_used_leave() {
        let mut recent = Recent::default();
        for key in 0..KEYS_A_SHARD as u64 {
            *recent.touch(key) = key + 1;
        }
        assert_eq!(*recent.touch(0), 1, "kept, and used again");
        assert_eq!(*recent.touch(999_999), 0, "new: the oldest leaves");
        assert_eq!(*recent.touch(0), 1, "used lately");
        assert_eq!(*recent.touch(1), 0, "the oldest then");
        assert_eq!(*recent.touch(3), 4);
        assert_eq!(recent.entries.len(), KEYS_A_SHARD);
        assert_eq!(recent.slots.len(), KEYS_A_SHARD);
    }

    #[test]
    fn a_million_keys_take_the_room_of_ten_thousand() {
        let keyed = Keyed::default();
        for value in 0..1_000_000_u64 {
            let mut hasher = keyed.hasher();
            hasher.write_u64(value);
            keyed.with(hasher.finish(), |bucket| *bucket = 1);
        }
        assert_eq!(keyed.len(), KEYS);
        for shard in &keyed.shards {
            let recent = shard.lock().unwrap();
            assert_eq!(recent.entries.capacity(), KEYS_A_SHARD);
            // 4,096 slots, an eighth of which stays empty.
            assert!(recent.slots.capacity() <= 3584);
        }
    }
}

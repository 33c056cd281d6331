//! The current generation (the router and the layers of one configuration), which a reload
//! replaces.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use spanwise_core::internal::{ShardedArc, SharedValue, WeakValue, sync::RwLock};

use super::Generation;

/// The current generation.
///
/// Each thread caches a weak reference to the generation that it saw last. So a thread needs no
/// lock to load this generation again, and an idle thread does not keep an old generation alive.
#[derive(Debug)]
pub(crate) struct LiveCell {
    current: RwLock<ShardedArc<Generation>>,
    /// The id of the current generation. It is unique among all cells of the process, because all
    /// cells share [`LAST_SEEN`].
    id: AtomicU64,
}

/// The id of the newest generation of all cells.
static LAST_ID: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The generation that this thread saw last, with its id.
    static LAST_SEEN: RefCell<(u64, WeakValue<Generation>)> = RefCell::default();
}

impl LiveCell {
    pub(crate) fn new(generation: Generation) -> Self {
        Self {
            current: RwLock::new(ShardedArc::new(generation)),
            id: AtomicU64::new(next_id()),
        }
    }

    /// Returns the current generation. It counts as in use until the caller drops the returned
    /// value: see [`OldGeneration::wait_until_unused`].
    #[inline]
    pub(crate) fn load(&self) -> SharedValue<Generation> {
        let id = self.id.load(Ordering::Acquire);
        let seen = LAST_SEEN.try_with(|seen| match &*seen.borrow() {
            (seen_id, generation) if *seen_id == id => generation.upgrade(),
            _ => None,
        });
        match seen {
            Ok(Some(generation)) => generation,
            _ => self.load_slow(),
        }
    }

    #[cold]
    fn load_slow(&self) -> SharedValue<Generation> {
        let current = self.current.read();
        // The id changes together with the generation, under the same lock.
        let id = self.id.load(Ordering::Acquire);
        let generation = current.share();
        drop(current);
        let weak = generation.downgrade();
        // `try_with` fails if the thread is ending. In that case the next call is slow as well.
        let replaced = LAST_SEEN.try_with(|seen| seen.replace((id, weak)));
        // Dropped here, where `LAST_SEEN` is not borrowed.
        drop(replaced);
        generation
    }

    /// Replaces the generation. Events that are already in the old generation stay in it.
    pub(crate) fn replace(&self, generation: Generation) -> OldGeneration {
        let new = ShardedArc::new(generation);
        let old = {
            let mut current = self.current.write();
            self.id.store(next_id(), Ordering::Release);
            std::mem::replace(&mut *current, new)
        };
        OldGeneration(old.owner())
    }
}

/// A replaced generation. New events do not pass through it.
#[must_use = "events may still be in the generation"]
pub(crate) struct OldGeneration(Arc<Generation>);

impl OldGeneration {
    /// Waits until no event is in the generation, for at most `timeout`. Returns whether the
    /// generation is free of events.
    pub(crate) fn wait_until_unused(self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut pause = Duration::from_micros(10);
        while Arc::strong_count(&self.0) > 1 && Instant::now() < deadline {
            thread::sleep(pause);
            pause = (pause * 2).min(MAX_PAUSE);
        }
        Arc::strong_count(&self.0) == 1
    }
}

fn next_id() -> u64 {
    LAST_ID.fetch_add(1, Ordering::Relaxed) + 1
}

/// The longest pause between two checks whether an old generation is free of events.
const MAX_PAUSE: Duration = Duration::from_millis(10);

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
/// A thread remembers the generation that it saw last without owning it. So it needs no lock to get
/// it again, and an idle thread does not keep an old generation.
#[derive(Debug)]
pub(crate) struct LiveCell {
    current: RwLock<ShardedArc<Generation>>,
    /// The number of the current generation. All cells of the process count together.
    number: AtomicU64,
}

/// The number of the last generation.
static LAST: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The generation that this thread saw last, with its number.
    static SEEN: RefCell<(u64, WeakValue<Generation>)> = RefCell::default();
}

impl LiveCell {
    pub(crate) fn new(generation: Generation) -> Self {
        Self {
            current: RwLock::new(ShardedArc::new(generation)),
            number: AtomicU64::new(next_number()),
        }
    }

    /// Returns the current generation. It is in use until it is dropped.
    #[inline]
    pub(crate) fn load(&self) -> SharedValue<Generation> {
        let number = self.number.load(Ordering::Acquire);
        let seen = SEEN.try_with(|seen| match &*seen.borrow() {
            (seen_number, generation) if *seen_number == number => generation.upgrade(),
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
        // The number changes together with the generation, under the same lock.
        let number = self.number.load(Ordering::Acquire);
        let generation = current.share();
        drop(current);
        let weak = generation.downgrade();
        // Fails if the thread is ending. In that case the next call is slow, too.
        let replaced = SEEN.try_with(|seen| seen.replace((number, weak)));
        drop(replaced);
        generation
    }

    /// Replaces the generation. Events that are being handled keep the old one.
    pub(crate) fn replace(&self, generation: Generation) -> OldGeneration {
        let new = ShardedArc::new(generation);
        let old = {
            let mut current = self.current.write();
            self.number.store(next_number(), Ordering::Release);
            std::mem::replace(&mut *current, new)
        };
        OldGeneration(old.owner())
    }
}

/// A generation that new events do not get.
#[must_use = "events may still be in it"]
pub(crate) struct OldGeneration(Arc<Generation>);

impl OldGeneration {
    /// Waits until no event is in the generation, for at most `timeout`. Returns whether there is
    /// none.
    pub(crate) fn wait(self, timeout: Duration) -> bool {
        let end = Instant::now() + timeout;
        let mut pause = Duration::from_micros(10);
        while Arc::strong_count(&self.0) > 1 && Instant::now() < end {
            thread::sleep(pause);
            pause = (pause * 2).min(MAX_PAUSE);
        }
        Arc::strong_count(&self.0) == 1
    }
}

fn next_number() -> u64 {
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

const MAX_PAUSE: Duration = Duration::from_millis(10);

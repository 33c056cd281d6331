//! Counting on many threads.

use std::{
    cell::Cell,
    fmt,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

/// A counter for what happens at every event: each thread has a place of its own to count in, so that threads neither wait for each other nor take a
/// cache line from each other. It costs a fifth of an atomic addition, and 2 KiB.
///
/// ```
/// use spanwise_core::ShardedCounter;
///
/// let tally = ShardedCounter::default();
/// std::thread::scope(|scope| {
///     for _ in 0..3 {
///         scope.spawn(|| (0..1000).for_each(|_| tally.count()));
///     }
/// });
/// assert_eq!(tally.total(), 3000);
/// ```
pub struct ShardedCounter {
    places: Box<[Place; PLACES]>,
    /// Of the threads that have no place: there are more of them than places.
    others: AtomicU64,
}

/// A cache line.
#[repr(align(64))]
struct Place(AtomicU64);

const PLACES: usize = 32;

impl ShardedCounter {
    /// One more.
    #[inline]
    pub fn count(&self) {
        match self.places.get(PLACE.get()) {
            // Nobody else writes to it.
            Some(Place(count)) => count.store(
                count.load(Ordering::Relaxed).wrapping_add(1),
                Ordering::Relaxed,
            ),
            None => self.count_elsewhere(),
        }
    }

    #[cold]
    fn count_elsewhere(&self) {
        if PLACE.get() == UNKNOWN {
            claim();
            return self.count();
        }
        self.others.fetch_add(1, Ordering::Relaxed);
    }

    /// How many were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        let places = self.places.iter().map(|Place(count)| count);
        places
            .chain([&self.others])
            .map(|count| count.load(Ordering::Relaxed))
            .fold(0, u64::wrapping_add)
    }
}

impl Default for ShardedCounter {
    fn default() -> Self {
        Self {
            places: Box::new([const { Place(AtomicU64::new(0)) }; PLACES]),
            others: AtomicU64::new(0),
        }
    }
}

impl fmt::Debug for ShardedCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ShardedCounter")
            .field(&self.total())
            .finish()
    }
}

/// Of a thread that has not counted yet.
const UNKNOWN: usize = usize::MAX;
/// Of a thread that has none.
const NO_PLACE: usize = usize::MAX - 1;

thread_local! {
    /// The number of this thread's place, in every tally.
    static PLACE: Cell<usize> = const { Cell::new(UNKNOWN) };
    static CLAIM: Claim = const { Claim };
}

/// A bit for each place that a thread has. By it, what a thread counted that is gone is seen by the one that has its place next.
static TAKEN: AtomicU32 = const {
    assert!(PLACES == u32::BITS as usize);
    AtomicU32::new(0)
};

#[cold]
fn claim() {
    // Not on a thread that is ending: nobody would give the place back.
    let lives = CLAIM.try_with(|_| ()).is_ok();
    let take_one = || {
        let with_first_vacant = |taken: u32| (taken != u32::MAX).then(|| taken | (taken + 1));
        let taken = TAKEN.fetch_update(Ordering::AcqRel, Ordering::Relaxed, with_first_vacant);
        taken.ok().map(|before| before.trailing_ones() as usize)
    };
    let place = lives.then(take_one).flatten();
    PLACE.set(place.unwrap_or(NO_PLACE));
}

/// Gives the thread's place to the next one.
struct Claim;

impl Drop for Claim {
    fn drop(&mut self) {
        let place = PLACE.replace(NO_PLACE);
        if place < PLACES {
            TAKEN.fetch_and(!(1 << place), Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Barrier, thread};

    use super::*;

    #[test]
    fn nothing_is_lost_with_more_threads_than_places_and_one_after_the_other() {
        const AT_ONCE: usize = 2 * PLACES;
        let tally = ShardedCounter::default();
        for _ in 0..3 {
            let barrier = Barrier::new(AT_ONCE);
            thread::scope(|scope| {
                for _ in 0..AT_ONCE {
                    scope.spawn(|| {
                        tally.count();
                        barrier.wait();
                        (1..500).for_each(|_| tally.count());
                    });
                }
            });
        }
        assert_eq!(tally.total(), 3 * AT_ONCE as u64 * 500);
        assert!(
            tally.others.load(Ordering::Relaxed) > 0,
            "some had no place"
        );
        let before = tally.others.load(Ordering::Relaxed);
        thread::scope(|scope| scope.spawn(|| tally.count()).join().unwrap());
        assert_eq!(
            tally.others.load(Ordering::Relaxed),
            before,
            "a place was free again"
        );
    }

    #[test]
    fn a_thread_that_is_ending_still_counts() {
        static TALLY: std::sync::LazyLock<ShardedCounter> =
            std::sync::LazyLock::new(ShardedCounter::default);
        struct Last;
        impl Drop for Last {
            fn drop(&mut self) {
                TALLY.count();
            }
        }
        thread_local!(static LAST: Last = const { Last });
        for first in [true, false] {
            let before = TALLY.total();
            let counting = thread::spawn(move || {
                // What is used first ends last.
                if first {
                    LAST.with(|_| ());
                }
                TALLY.count();
                LAST.with(|_| ());
            });
            counting.join().unwrap();
            assert_eq!(TALLY.total() - before, 2);
        }
    }
}

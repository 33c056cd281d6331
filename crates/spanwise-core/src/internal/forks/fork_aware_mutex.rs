//! A mutex that does not block a forked child, for values that threads change often.

use std::{
    fmt, hint,
    mem::{self, ManuallyDrop},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use super::{generation, lock};
use crate::internal::sync::{Mutex, MutexGuard};

#[cfg(all(test, unix))]
#[path = "../../../tests/support/forks.rs"]
mod forked;

/// A mutex that does not block a forked child forever.
///
/// A child inherits each lock as it is at the fork. If another thread of the parent has locked it,
/// nothing in the child releases it. [`defer`](super::defer) would make the fork wait, but costs
/// atomic operations on memory that all threads share. That is too much for a lock that is taken
/// for each event. So if another thread had such a lock at the fork, the child loses the value.
///
/// ```
/// use spanwise_core::internal::forks::ForkAwareMutex;
///
/// let value = ForkAwareMutex::new(1);
/// assert_eq!(value.lock().map(|value| *value), Some(1));
/// ```
pub struct ForkAwareMutex<T: Default> {
    value: Mutex<T>,
    /// The [`generation`] of the process that created the mutex, or of a child in which a wait for
    /// the lock has succeeded. In that process, each thread that has the lock releases it.
    owner_generation: AtomicU32,
    /// Whether the last wait in a child ended without the lock.
    is_lost: AtomicBool,
}

/// The number of spins for a lock that is probably lost, about as many as those of
/// [`std::sync::Mutex`].
const SPINS: u32 = 100;

impl<T: Default> ForkAwareMutex<T> {
    /// Creates an unlocked mutex.
    pub fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            owner_generation: AtomicU32::new(generation()),
            is_lost: AtomicBool::new(false),
        }
    }

    /// Waits for the lock. Returns `None` in a child if a thread of the parent had the lock at the
    /// fork.
    #[inline]
    pub fn lock(&self) -> Option<MutexGuard<'_, T>> {
        self.value.try_lock().or_else(|| self.wait())
    }

    #[cold]
    fn wait(&self) -> Option<MutexGuard<'_, T>> {
        if self.is_owned_by_this_process() {
            return Some(self.value.lock());
        }
        let guard = if self.is_lost.load(Ordering::Relaxed) {
            // Usually nothing releases the lock. But a thread of this process may have the lock,
            // and on a busy machine, the first wait may have been too short for it.
            (0..SPINS).find_map(|_| {
                hint::spin_loop();
                self.value.try_lock()
            })
        } else {
            lock(&self.value, self.owner_generation.load(Ordering::Relaxed))
        };
        self.is_lost.store(guard.is_none(), Ordering::Relaxed);
        if guard.is_some() {
            // No thread of the parent had the lock at the fork, so later waits need no limit.
            self.owner_generation.store(generation(), Ordering::Relaxed);
        }
        guard
    }

    /// Returns whether a thread that has the lock is known to belong to this process.
    fn is_owned_by_this_process(&self) -> bool {
        self.owner_generation.load(Ordering::Relaxed) == generation()
    }
}

impl<T: Default> Default for ForkAwareMutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: Default> Drop for ForkAwareMutex<T> {
    /// Leaks the value if a thread of the parent had the lock at the fork. The thread may have been
    /// in the middle of a change. For example, it may have moved a vector, but not set its length.
    fn drop(&mut self) {
        if !self.is_owned_by_this_process() && self.value.try_lock().is_none() {
            let _leaked = ManuallyDrop::new(mem::take(self.value.get_mut()));
        }
    }
}

impl<T: Default + fmt::Debug> fmt::Debug for ForkAwareMutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::{
        sync::mpsc::{RecvTimeoutError, channel},
        thread,
        time::Duration,
    };

    use super::{forked::in_child, *};

    /// A value that must not be dropped while it is half changed.
    #[derive(Default)]
    struct MaybeHalfChanged {
        is_half_changed: bool,
    }

    impl Drop for MaybeHalfChanged {
        fn drop(&mut self) {
            assert!(!self.is_half_changed);
        }
    }

    #[test]
    fn child_loses_a_value_that_its_parent_had_locked() {
        let mutex = ManuallyDrop::new(ForkAwareMutex::new(MaybeHalfChanged::default()));
        let mut guard = ManuallyDrop::new(mutex.lock().unwrap());
        guard.is_half_changed = true;
        // Nothing releases the lock in the child, as if a thread of the parent had it.
        in_child(move || {
            assert!(mutex.lock().is_none());
            in_child(|| assert!(mutex.lock().is_none()));
            drop(ManuallyDrop::into_inner(mutex));
        });
    }

    #[test]
    fn threads_of_a_child_wait_for_each_other() {
        // Longer than a child waits for a lock that a thread of its parent may have.
        const WAIT: Duration = Duration::from_millis(300);

        for is_lost in [false, true] {
            let mutex = ForkAwareMutex::new(0);
            in_child(|| {
                // As if another thread had had the lock. `is_lost` means that the first wait ended
                // without it.
                mutex.is_lost.store(is_lost, Ordering::Relaxed);
                drop(mutex.wait().unwrap());
                let guard = mutex.lock();
                let (sender, locked) = channel();
                thread::scope(|scope| {
                    scope.spawn(|| sender.send(mutex.lock().is_some()).unwrap());
                    assert_eq!(locked.recv_timeout(WAIT), Err(RecvTimeoutError::Timeout));
                    drop(guard);
                    assert_eq!(locked.recv(), Ok(true));
                });
            });
        }
    }
}

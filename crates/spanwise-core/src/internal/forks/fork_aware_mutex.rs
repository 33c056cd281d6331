//! A mutex for values that all threads of a process change often.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

use super::{generation, lock};
use crate::internal::sync::{Mutex, MutexGuard};

/// A mutex that does not block a forked child forever.
///
/// A child inherits each lock as it is at the fork. If another thread of the parent has locked it,
/// nothing in the child releases it. A fork cannot wait until no thread has a lock that is locked
/// for each event, because that would cost each event an atomic operation on memory that all
/// threads share. So a child loses the values of such locks.
///
/// ```
/// use spanwise_core::internal::forks::ForkAwareMutex;
///
/// let value = ForkAwareMutex::new(1);
/// assert_eq!(value.lock().map(|value| *value), Some(1));
/// ```
pub struct ForkAwareMutex<T> {
    value: Mutex<T>,
    /// The [`generation`] of the process that created the mutex.
    owner: u32,
    /// Whether this process is a child in which nothing releases the lock.
    is_lost: AtomicBool,
}

impl<T> ForkAwareMutex<T> {
    /// Creates an unlocked mutex.
    pub fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            owner: generation(),
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
        if self.is_lost.load(Ordering::Relaxed) {
            return None;
        }
        let guard = lock(&self.value, self.owner);
        // Later calls in this child do not wait again.
        self.is_lost.store(guard.is_none(), Ordering::Relaxed);
        guard
    }
}

impl<T: Default> Default for ForkAwareMutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for ForkAwareMutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

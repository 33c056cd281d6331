//! Values of which each process has its own instance, also after a fork.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::internal::sync::{Mutex, MutexGuard};

use super::generation;

/// A value with a separate instance in each process.
///
/// A forked child has a copy of its parent's memory, but only one thread. If the value has a queue,
/// the parent still sends its items. If the value has a lock, it may belong to a thread that does
/// not exist in the child. So a child does not use its parent's value. It creates a new value on
/// first use, or adopts the parent's value if that is safe. The values of parents stay in memory.
///
/// ```
/// use spanwise_core::internal::forks::PerProcess;
///
/// let value = PerProcess::new(1);
/// assert_eq!(value.for_this_process(|parent| parent + 1), &1); // 2 in a child
/// ```
#[derive(Debug)]
pub struct PerProcess<T> {
    /// The [`generation`] of the process that owns `value`.
    generation: AtomicU32,
    value: T,
    /// The value of a child. It exists only in the child's copy of the memory.
    child: OnceLock<Box<Self>>,
}

/// The decision of a child about the value of its parent.
#[derive(Debug)]
pub enum Inheritance<T> {
    /// The child uses the parent's value.
    Adopt,
    /// The child uses this value instead.
    Replace(T),
}

impl<T> PerProcess<T> {
    /// Creates the value of this process.
    pub fn new(value: T) -> Self {
        Self {
            generation: AtomicU32::new(generation()),
            value,
            child: OnceLock::new(),
        }
    }

    /// Returns the value of this process. In a child, the first call creates it from the parent's
    /// value with `make`.
    #[inline]
    pub fn for_this_process(&self, make: impl Fn(&T) -> T) -> &T {
        if self.is_current() {
            return &self.value;
        }
        self.child_value(make)
    }

    #[cold]
    fn child_value(&self, make: impl Fn(&T) -> T) -> &T {
        let mut slot = self;
        while !slot.is_current() {
            let make = || Box::new(Self::new(make(&slot.value)));
            slot = slot.child.get_or_init(make);
        }
        &slot.value
    }

    /// Returns the value of this process. In a child without a value, `inherit` decides about the
    /// value of the parent.
    ///
    /// # Errors
    /// Returns the error of `inherit`. The child then still has no value.
    #[inline]
    pub fn try_for_this_process<E>(
        &self,
        inherit: impl Fn(&T) -> Result<Inheritance<T>, E>,
    ) -> Result<&T, E> {
        if self.is_current() {
            return Ok(&self.value);
        }
        self.try_child_value(inherit)
    }

    #[cold]
    fn try_child_value<E>(
        &self,
        inherit: impl Fn(&T) -> Result<Inheritance<T>, E>,
    ) -> Result<&T, E> {
        let mut slot = self;
        while !slot.is_current() {
            slot = match slot.child.get() {
                Some(child) => child,
                None => match inherit(&slot.value)? {
                    Inheritance::Adopt => {
                        slot.generation.store(generation(), Ordering::Relaxed);
                        slot
                    }
                    Inheritance::Replace(value) => {
                        slot.child.get_or_init(|| Box::new(Self::new(value)))
                    }
                },
            };
        }
        Ok(&slot.value)
    }

    /// Returns the value of this process if it exists.
    pub fn created_for_this_process(&self) -> Option<&T> {
        let mut slot = self;
        while !slot.is_current() {
            slot = slot.child.get()?;
        }
        Some(&slot.value)
    }

    #[inline]
    fn is_current(&self) -> bool {
        self.generation.load(Ordering::Relaxed) == generation()
    }
}

/// Locks `mutex`, which was created in the process with the [`generation`] `owner_generation`.
///
/// Returns `None` in a child of that process if a thread of the parent had locked the mutex at the
/// fork.
pub fn lock<T>(mutex: &Mutex<T>, owner_generation: u32) -> Option<MutexGuard<'_, T>> {
    mutex
        .try_lock()
        .or_else(|| wait_for_lock(mutex, owner_generation))
}

#[cold]
fn wait_for_lock<T>(mutex: &Mutex<T>, owner_generation: u32) -> Option<MutexGuard<'_, T>> {
    if generation() == owner_generation {
        return Some(mutex.lock());
    }
    // If a thread of this process has the lock, the thread releases it soon. A thread of the parent
    // never does.
    let deadline = Instant::now() + LOCK_TIMEOUT;
    let mut tries = (0..MAX_TRIES).take_while(|_| Instant::now() < deadline);
    tries.find_map(|_| {
        thread::yield_now();
        mutex.try_lock()
    })
}

/// The maximum number of attempts to lock in a child. The thread yields before each attempt.
const MAX_TRIES: u32 = 1000;

/// The maximum wait for a lock in a child. On a busy machine, a yield may take milliseconds, and a
/// thread that has the lock may not run for tens of milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_millis(100);

//! Values that a process does not share with the processes that it forks.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use crate::internal::sync::{Mutex, MutexGuard};

use super::generation;

/// A value of which each process has its own.
///
/// A child has a copy of its parent's memory and only one of its threads. A queue in that copy is
/// still the parent's to send, and a lock in it may be held by a thread that the child does not
/// have. So a child does not use its parent's value; it makes one of its own when it needs one, or
/// adopts the parent's if that is safe. The values of parents stay in memory.
///
/// ```
/// use spanwise_core::internal::forks::PerProcess;
///
/// let value = PerProcess::new(1);
/// assert_eq!(value.here(|parent| parent + 1), &1); // 2 in a child
/// ```
#[derive(Debug)]
pub struct PerProcess<T> {
    /// The [`generation`] of the process that owns `value`.
    generation: AtomicU32,
    value: T,
    /// A child's own value. It exists in the child's copy of the memory only.
    child: OnceLock<Box<Self>>,
}

/// What a child does with the value of its parent.
#[derive(Debug)]
pub enum Inheritance<T> {
    /// It uses the parent's value from now on.
    Adopt,
    /// It uses this value instead.
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

    /// Returns the value of this process. A child makes it with `make`, from the parent's value,
    /// when it first asks.
    #[inline]
    pub fn here(&self, make: impl Fn(&T) -> T) -> &T {
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

    /// Returns the value of this process. A child asks `inherit` what to do with the value of its
    /// parent, until it has a value.
    ///
    /// # Errors
    /// The error of `inherit`; the child still has no value then.
    #[inline]
    pub fn try_here<E>(&self, inherit: impl Fn(&T) -> Result<Inheritance<T>, E>) -> Result<&T, E> {
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

    /// Returns the value of this process if it has one already.
    pub fn here_if_any(&self) -> Option<&T> {
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

/// Locks `mutex`, which was created in the process of the generation `owner`.
///
/// Returns `None` in a child of that process if a thread of the parent held the lock at the fork.
pub fn lock<T>(mutex: &Mutex<T>, owner: u32) -> Option<MutexGuard<'_, T>> {
    mutex.try_lock().or_else(|| wait_for_lock(mutex, owner))
}

#[cold]
fn wait_for_lock<T>(mutex: &Mutex<T>, owner: u32) -> Option<MutexGuard<'_, T>> {
    if generation() == owner {
        return Some(mutex.lock());
    }
    // A thread of this process releases it soon.
    (0..MAX_TRIES).find_map(|_| {
        thread::yield_now();
        mutex.try_lock()
    })
}

const MAX_TRIES: u32 = 1000;

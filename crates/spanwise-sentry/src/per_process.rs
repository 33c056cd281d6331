//! Values that a process does not share with those that it forks.
//!
//! A child has a copy of its parent's memory and one of its threads. A queue in it is the parent's
//! to send, and a lock in it may be held by a thread that is not there.

use std::{sync::OnceLock, thread};

use spanwise_core::internal::{
    forks,
    sync::{Mutex, MutexGuard},
};

/// A value of each process.
#[derive(Debug)]
pub(crate) struct PerProcess<T> {
    /// That of the process: see [`forks`].
    generation: u32,
    value: T,
    /// That of a child, in its copy of the memory.
    forked: OnceLock<Box<Self>>,
}

impl<T> PerProcess<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            generation: forks::generation(),
            value,
            forked: OnceLock::new(),
        }
    }

    /// Returns the value of this process, which a child makes with `make` when it first asks.
    pub(crate) fn here(&self, make: impl Fn() -> T) -> &T {
        let generation = forks::generation();
        let mut one = self;
        while one.generation != generation {
            one = one.forked.get_or_init(|| Box::new(Self::new(make())));
        }
        &one.value
    }

    /// Returns the value of this process, if there is one.
    pub(crate) fn here_if_any(&self) -> Option<&T> {
        let generation = forks::generation();
        let mut one = self;
        while one.generation != generation {
            one = one.forked.get()?;
        }
        Some(&one.value)
    }
}

/// Locks `mutex`, which came to be in the process of the generation `owner`. `None` if this is a child of it, and if
/// a thread of the parent's held the lock at the fork.
pub(crate) fn lock<T>(mutex: &Mutex<T>, owner: u32) -> Option<MutexGuard<'_, T>> {
    mutex.try_lock().or_else(|| wait_for_lock(mutex, owner))
}

#[cold]
fn wait_for_lock<T>(mutex: &Mutex<T>, owner: u32) -> Option<MutexGuard<'_, T>> {
    if forks::generation() == owner {
        return Some(mutex.lock());
    }
    // Another thread of this process lets go of it soon.
    (0..MAX_TRIES).find_map(|_| {
        thread::yield_now();
        mutex.try_lock()
    })
}

const MAX_TRIES: u32 = 1000;

//! A shared value with several reference counts, so that threads do not contend for one.

use std::{
    ops::Deref,
    sync::{Arc, Weak},
};

use super::sharded_counter::thread_number;

/// A shared value with one reference count per group of threads.
///
/// Two threads that clone one [`Arc`] write to the same cache line. For example, the JSON layer
/// stores a clone of the plan of a callsite in each span. With one count, threads that open spans
/// of the callsite would wait for each other.
///
/// ```
/// use spanwise_core::internal::{ShardedArc, SharedValue};
///
/// let name = ShardedArc::new(String::from("request"));
/// let span_name: SharedValue<String> = name.share();
/// drop(name);
/// assert_eq!(*span_name, "request");
/// ```
#[derive(Debug)]
pub struct ShardedArc<T> {
    /// One owner per group of threads, each with its own reference count. The index is the
    /// [`thread_number`].
    owners: [SharedValue<T>; SHARDS],
}

/// An owner of the value of a [`ShardedArc`]. A clone uses the same reference count.
#[derive(Debug)]
pub struct SharedValue<T>(Arc<Counted<T>>);

/// Refers to the value of a [`ShardedArc`] without owning it.
#[derive(Debug)]
pub struct WeakValue<T>(Weak<Counted<T>>);

/// The value below the reference count of one group of threads. Aligned, so that this count, which
/// the outer `Arc` stores in front of it, has its own cache line.
#[derive(Debug)]
#[repr(align(64))]
struct Counted<T>(Arc<T>);

/// The number of reference counts.
const SHARDS: usize = 8;

impl<T> ShardedArc<T> {
    /// Creates a shared value.
    #[must_use]
    pub fn new(value: T) -> Self {
        let value = Arc::new(value);
        let owners = std::array::from_fn(|_| SharedValue(Arc::new(Counted(Arc::clone(&value)))));
        Self { owners }
    }

    /// Returns an owner of the value, with the reference count of this thread's group.
    #[must_use]
    pub fn share(&self) -> SharedValue<T> {
        self.owners[thread_number(SHARDS)].clone()
    }

    /// Returns the `Arc` that all groups of threads share. The strong count of the result is 1 when
    /// the `ShardedArc`, all of its shared values and all other results of this method are dropped.
    #[must_use]
    pub fn owner(&self) -> Arc<T> {
        Arc::clone(&self.owners[0].0.0)
    }
}

impl<T> SharedValue<T> {
    /// Returns a reference that does not own the value.
    #[must_use]
    pub fn downgrade(&self) -> WeakValue<T> {
        WeakValue(Arc::downgrade(&self.0))
    }
}

impl<T> WeakValue<T> {
    /// Returns the value if an owner exists that uses the same reference count: the `ShardedArc`,
    /// or a shared value of the same group of threads. Shared values of other groups do not matter.
    #[inline]
    #[must_use]
    pub fn upgrade(&self) -> Option<SharedValue<T>> {
        self.0.upgrade().map(SharedValue)
    }
}

impl<T> Default for WeakValue<T> {
    fn default() -> Self {
        Self(Weak::new())
    }
}

impl<T> Deref for ShardedArc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.owners[0]
    }
}

impl<T> Clone for SharedValue<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for SharedValue<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.0
    }
}

//! An allocator that counts its calls.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

thread_local! {
    // Without a destructor, so an access neither allocates nor fails.
    static COUNT_OF_THREAD: Cell<u64> = const { Cell::new(0) };
}
static COUNT: AtomicU64 = AtomicU64::new(0);
static WATCHED: AtomicBool = AtomicBool::new(false);

/// The system's allocator, with a counter of allocations.
///
/// Without `THREADS`, each thread counts its own allocations. With `THREADS`, one count is for all
/// threads, and begins with `watch`.
#[derive(Debug)]
pub struct Counting<const THREADS: bool = false>;

/// Returns the number of allocations of this thread. A reallocation counts as one.
pub(crate) fn count() -> u64 {
    COUNT_OF_THREAD.get()
}

/// Returns the number of allocations of all threads since [`watch`]. A reallocation counts as one.
pub(crate) fn count_of_all() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

/// Begins to count the allocations of all threads. Counting adds to their cost, so do not measure
/// times in the same run.
pub(crate) fn watch() {
    WATCHED.store(true, Ordering::Relaxed);
}

/// Counts an allocation. The count of a thread needs no locked instruction, which would add to the
/// cost of each allocation.
#[inline]
fn one_more<const THREADS: bool>() {
    if !THREADS {
        COUNT_OF_THREAD.set(COUNT_OF_THREAD.get() + 1);
    } else if WATCHED.load(Ordering::Relaxed) {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
}

#[expect(unsafe_code, reason = "a global allocator cannot be written without")]
// SAFETY: every call is passed unchanged to the system's allocator, which upholds the contract.
unsafe impl<const THREADS: bool> GlobalAlloc for Counting<THREADS> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        one_more::<THREADS>();
        // SAFETY: the caller upholds the contract of `GlobalAlloc`, which `System` also has.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        one_more::<THREADS>();
        // SAFETY: the caller upholds the contract of `GlobalAlloc`, which `System` also has.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        one_more::<THREADS>();
        // SAFETY: the caller upholds the contract of `GlobalAlloc`, which `System` also has.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the contract of `GlobalAlloc`, which `System` also has.
        unsafe { System.dealloc(pointer, layout) }
    }
}

//! An allocator that counts its calls.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

static COUNT: AtomicU64 = AtomicU64::new(0);
static WATCHED: AtomicBool = AtomicBool::new(false);

/// The system's allocator, with a counter of allocations.
///
/// Without `THREADS`, the count is exact only while a single thread allocates. With `THREADS`, it
/// is exact for all threads, and begins with `watch`.
#[derive(Debug)]
pub struct Counting<const THREADS: bool = false>;

/// Returns the number of allocations. A reallocation counts as one.
pub(crate) fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

/// Begins to count the allocations of all threads. Counting adds to their cost, so do not measure
/// times in the same run.
pub(crate) fn watch() {
    WATCHED.store(true, Ordering::Relaxed);
}

/// Counts an allocation. Without `THREADS`, the increment is not atomic, because a locked
/// instruction would add to the cost of each allocation. Only a locked one is exact for several
/// threads.
#[inline]
fn one_more<const THREADS: bool>() {
    if !THREADS {
        COUNT.store(COUNT.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
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

//! A counting allocator.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

static COUNT: AtomicU64 = AtomicU64::new(0);
static WATCHED: AtomicBool = AtomicBool::new(false);

/// The system's allocator, with a count. It counts one thread, or all threads after `count_all`.
#[derive(Debug)]
pub struct Counting<const THREADS: bool = false>;

/// Returns the number of allocations so far. A reallocation counts as one.
pub(crate) fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

/// Counts the allocations of all threads from now on. Do not measure time while it is on.
pub(crate) fn watch() {
    WATCHED.store(true, Ordering::Relaxed);
}

/// Three instructions for a single thread: an atomic add would charge a contender for each of its
/// allocations. Several threads need the atomic add.
#[inline]
fn one_more<const THREADS: bool>() {
    if !THREADS {
        COUNT.store(COUNT.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    } else if WATCHED.load(Ordering::Relaxed) {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
}

#[expect(unsafe_code, reason = "a global allocator cannot be written without")]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl<const THREADS: bool> GlobalAlloc for Counting<THREADS> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        one_more::<THREADS>();
        // SAFETY: the caller's contract is the one of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        one_more::<THREADS>();
        // SAFETY: the caller's contract is the one of the system's allocator.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        one_more::<THREADS>();
        // SAFETY: the caller's contract is the one of the system's allocator.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the one of the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

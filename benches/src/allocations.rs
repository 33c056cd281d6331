//! An allocator that counts.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

static COUNT: AtomicU64 = AtomicU64::new(0);
static WATCHED: AtomicBool = AtomicBool::new(false);

/// The system's allocator, counted: those of the only thread, or with `THREADS` those of all, once
/// somebody watches.
#[derive(Debug)]
pub struct Counting<const THREADS: bool = false>;

/// The number of allocations; a reallocation counts as one.
pub(crate) fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

/// From now on, the allocations of all threads are counted. What they cost is not to be measured
/// meanwhile.
pub(crate) fn watch() {
    WATCHED.store(true, Ordering::Relaxed);
}

/// Three instructions, without a locked one that would charge a contender for each of its
/// allocations: the thread that is measured is the only one. With several threads nothing but a
/// locked one counts right.
#[inline]
fn one_more<const THREADS: bool>() {
    if !THREADS {
        COUNT.store(COUNT.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    } else if WATCHED.load(Ordering::Relaxed) {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
}

#[expect(unsafe_code, reason = "a global allocator cannot be written without")]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl<const THREADS: bool> GlobalAlloc for Counting<THREADS> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        one_more::<THREADS>();
        // SAFETY: what the caller has promised us.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        one_more::<THREADS>();
        // SAFETY: what the caller has promised us.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        one_more::<THREADS>();
        // SAFETY: what the caller has promised us.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: what the caller has promised us.
        unsafe { System.dealloc(pointer, layout) }
    }
}

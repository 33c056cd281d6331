//! An allocator that counts.

#![allow(unsafe_code, reason = "a global allocator cannot be written without")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicIsize, Ordering::Relaxed},
    },
};

struct Counting;

static HELD: AtomicIsize = AtomicIsize::new(0);
static MAX_HELD: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is forwarded unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        let held = HELD.fetch_add(layout.size() as isize, Relaxed) + layout.size() as isize;
        MAX_HELD.fetch_max(held, Relaxed);
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as isize, Relaxed);
        // SAFETY: the caller upholds the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The allocator counts for one test at a time.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns how often this thread has allocated.
pub(crate) fn allocations() -> u64 {
    ALLOCATIONS.get()
}

/// Returns the allocated bytes of the process.
pub(crate) fn held() -> isize {
    HELD.load(Relaxed)
}

/// Returns the maximum number of bytes that `work` allocated and did not free at one time.
pub(crate) fn most_held(work: impl FnOnce()) -> isize {
    let before = held();
    MAX_HELD.store(before, Relaxed);
    work();
    MAX_HELD.load(Relaxed) - before
}

/// Checks that more work needs no more memory, except for allocations of the test harness's
/// threads.
pub(crate) fn assert_plateau(before: isize, after: isize) {
    let more = after - before;
    assert!(more < 4096, "{more} bytes more than {before}");
}

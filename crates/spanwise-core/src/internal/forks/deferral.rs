//! Sections of code in which no fork happens.
//!
//! A child inherits each lock as it is at the fork. If another thread of the parent has locked it,
//! nothing in the child releases it. So code that takes a lock that children need begins a section.
//! A fork waits up to one second until no thread is in a section.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

/// The number of sections that have begun and not ended, on all threads.
static OPEN_SECTIONS: AtomicU32 = AtomicU32::new(0);
/// The number of threads that are forking.
static FORKING_THREADS: AtomicU32 = AtomicU32::new(0);

/// The maximum time that a fork waits for open sections, and that a new section waits for forks.
/// Sections take microseconds, but on a busy machine a thread may not run for tens of milliseconds.
const TIMEOUT: Duration = Duration::from_secs(1);

/// A section in which no fork happens. It ends when this value is dropped. A fork waits for it no
/// longer than one second.
#[derive(Debug)]
pub struct Deferral(());

/// Begins a section in which no fork happens. It must be short, and must not call user code.
///
/// Use it to change state that all threads and children need, and that changes seldom. For state
/// that changes often, use [`ForkAwareMutex`](super::ForkAwareMutex).
#[must_use]
pub fn defer() -> Deferral {
    let _ = super::generation(); // registers the callbacks of this module
    OPEN_SECTIONS.fetch_add(1, Ordering::SeqCst);
    if FORKING_THREADS.load(Ordering::SeqCst) != 0 {
        wait_for_forks();
    }
    Deferral(())
}

#[cold]
fn wait_for_forks() {
    let deadline = Instant::now() + TIMEOUT;
    while FORKING_THREADS.load(Ordering::SeqCst) != 0 && Instant::now() < deadline {
        OPEN_SECTIONS.fetch_sub(1, Ordering::SeqCst);
        thread::yield_now();
        OPEN_SECTIONS.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Deferral {
    fn drop(&mut self) {
        OPEN_SECTIONS.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(unix)]
pub(super) fn before_fork() {
    FORKING_THREADS.fetch_add(1, Ordering::SeqCst);
    let deadline = Instant::now() + TIMEOUT;
    while OPEN_SECTIONS.load(Ordering::SeqCst) != 0 && Instant::now() < deadline {
        thread::yield_now();
    }
}

#[cfg(unix)]
pub(super) fn in_parent() {
    FORKING_THREADS.fetch_sub(1, Ordering::SeqCst);
}

/// Resets the counts. The child's only thread is the one that forked, and that is in no section.
#[cfg(unix)]
pub(super) fn in_child() {
    FORKING_THREADS.store(0, Ordering::SeqCst);
    OPEN_SECTIONS.store(0, Ordering::SeqCst);
}

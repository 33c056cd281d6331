//! Sections of code in which no fork happens.
//!
//! A child inherits each lock as it is at the fork. If another thread of the parent has locked it,
//! nothing in the child releases it. So code that needs such a lock begins a section, and a fork
//! waits up to one second until no thread is in a section.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

/// The number of threads in a section.
static IN_SECTIONS: AtomicU32 = AtomicU32::new(0);
/// The number of threads that fork.
static FORKING: AtomicU32 = AtomicU32::new(0);

/// The longest wait of a fork for sections, and of a section for forks. Sections take microseconds,
/// but on a busy machine a thread may not run for tens of milliseconds.
const TIMEOUT: Duration = Duration::from_secs(1);

/// A section in which no fork happens, for up to one second. It ends when this value is dropped.
#[derive(Debug)]
pub struct Deferral(());

/// Begins a section in which no fork happens. It must be short, and must not call user code.
///
/// Use it to change state that all threads share, that changes seldom, and that a child needs.
#[must_use]
pub fn defer() -> Deferral {
    let _ = super::generation(); // so that forks are noticed
    IN_SECTIONS.fetch_add(1, Ordering::SeqCst);
    if FORKING.load(Ordering::SeqCst) != 0 {
        wait_for_forks();
    }
    Deferral(())
}

#[cold]
fn wait_for_forks() {
    let deadline = Instant::now() + TIMEOUT;
    while FORKING.load(Ordering::SeqCst) != 0 && Instant::now() < deadline {
        IN_SECTIONS.fetch_sub(1, Ordering::SeqCst);
        thread::yield_now();
        IN_SECTIONS.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Deferral {
    fn drop(&mut self) {
        IN_SECTIONS.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(unix)]
pub(super) fn before_fork() {
    FORKING.fetch_add(1, Ordering::SeqCst);
    let deadline = Instant::now() + TIMEOUT;
    while IN_SECTIONS.load(Ordering::SeqCst) != 0 && Instant::now() < deadline {
        thread::yield_now();
    }
}

#[cfg(unix)]
pub(super) fn in_parent() {
    FORKING.fetch_sub(1, Ordering::SeqCst);
}

/// Resets the counts. The only thread of the child is the one that forked, and it is in no section.
#[cfg(unix)]
pub(super) fn in_child() {
    FORKING.store(0, Ordering::SeqCst);
    IN_SECTIONS.store(0, Ordering::SeqCst);
}

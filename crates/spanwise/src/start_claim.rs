//! The right to start logging, which one thread has at a time.
//!
//! It prevents concurrent starts from opening the same files.

use std::thread::{self, ThreadId};

use spanwise_core::internal::sync::{Condvar, Mutex};

/// The right to start logging. It ends when it is dropped.
pub(crate) struct StartClaim;

/// The thread that has the [`StartClaim`].
static STARTING: Mutex<Option<ThreadId>> = Mutex::new(None);
/// Notified when the thread releases the [`StartClaim`].
static RELEASED: Condvar = Condvar::new();

impl StartClaim {
    /// Waits until no other thread has the claim, and returns it. Returns `None` if this thread has
    /// the claim already: a start has called code that starts logging again.
    pub(crate) fn wait() -> Option<Self> {
        let this_thread = thread::current().id();
        let mut starting = STARTING.lock();
        while let Some(thread) = *starting {
            if thread == this_thread {
                return None;
            }
            starting = RELEASED.wait(starting);
        }
        *starting = Some(this_thread);
        Some(Self)
    }
}

impl Drop for StartClaim {
    fn drop(&mut self) {
        *STARTING.lock() = None;
        RELEASED.notify_one();
    }
}

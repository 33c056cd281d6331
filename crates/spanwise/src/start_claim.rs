//! The right to start logging, which one thread has at a time.

use std::thread::{self, ThreadId};

use spanwise_core::internal::sync::{Condvar, Mutex};

/// The right to start logging. It ends when it is dropped.
pub(crate) struct StartClaim;

/// The thread that has the [`StartClaim`].
static STARTING: Mutex<Option<ThreadId>> = Mutex::new(None);
/// Notified when the thread releases the [`StartClaim`].
static STARTED: Condvar = Condvar::new();

impl StartClaim {
    /// Waits until no other thread starts logging. Returns `None` if this thread already does,
    /// because code that the start called tries to start logging again.
    pub(crate) fn wait() -> Option<Self> {
        let this = thread::current().id();
        let mut starting = STARTING.lock();
        while let Some(thread) = *starting {
            if thread == this {
                return None;
            }
            starting = STARTED.wait(starting);
        }
        *starting = Some(this);
        Some(Self)
    }
}

impl Drop for StartClaim {
    fn drop(&mut self) {
        *STARTING.lock() = None;
        STARTED.notify_one();
    }
}

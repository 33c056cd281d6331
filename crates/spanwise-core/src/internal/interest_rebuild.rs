//! A rebuild of the interest cache: makes `tracing` ask all layers again about all callsites, after
//! levels have changed.

use std::{cell::Cell, ptr, sync::OnceLock, thread};

use tracing::{
    Dispatch,
    dispatcher::{self, WeakDispatch},
};
use tracing_core::callsite;
use tracing_subscriber::Registry;

#[cfg(feature = "log")]
use crate::internal::log_bridge;
use crate::internal::{
    forks::{self, PerProcess},
    sync::Mutex,
};

/// The stack (the subscriber with all its layers) that contains a layer whose levels change.
#[derive(Debug, Default)]
pub(crate) struct StackOfLayer(OnceLock<WeakDispatch>);

impl StackOfLayer {
    /// Stores the stack. Call it in `on_register_dispatch`.
    pub(crate) fn set(&self, dispatch: &Dispatch) {
        let _ = self.0.set(dispatch.downgrade());
    }

    /// Makes `tracing` ask the layers of all stacks about all callsites.
    ///
    /// If this process has only one stack, `tracing` asks the default subscriber of the calling
    /// thread instead. If that thread has none, `tracing` disables all callsites. Inside an event
    /// of a scoped subscriber, a thread has none, and cannot set one. So unless this stack is the
    /// default of the calling thread, a new thread with this stack as its default calls `tracing`.
    pub(crate) fn rebuild_interests(&self) {
        if defer_to_running_rebuild() {
            return;
        }
        let dispatch = match self.0.get().map(WeakDispatch::upgrade) {
            // The stack is not complete yet, and `tracing` asks the layers when it is. Or the
            // subscriber is in an `Arc` or a `Box`, which never pass the dispatcher to its layers.
            // Such a subscriber must be the default of this thread.
            None => return rebuild_interests(),
            // The stack no longer exists.
            Some(None) => return,
            Some(Some(dispatch)) => dispatch,
        };
        if is_default(&dispatch) {
            return rebuild_interests();
        }
        let rebuild_in_stack = || dispatcher::with_default(&dispatch, rebuild_interests);
        thread::scope(|scope| {
            let builder = thread::Builder::new().name("spanwise-levels".to_owned());
            // If no thread can be started, the callsites keep their interests until the next
            // change. A call on this thread might disable them all.
            let _ = builder.spawn_scoped(scope, rebuild_in_stack);
        });
    }
}

/// Returns whether this stack is the default subscriber of this thread, so that it receives the
/// thread's events.
fn is_default(dispatch: &Dispatch) -> bool {
    let Some(registry) = dispatch.downcast_ref::<Registry>() else {
        return false;
    };
    dispatcher::get_default(|default| {
        let default = default.downcast_ref::<Registry>();
        default.is_some_and(|default| ptr::eq(default, registry))
    })
}

/// Makes `tracing` ask the layers about all callsites, and updates the maximum level of `log`.
///
/// A lock lets only one thread do so at a time. `tracing` stores the answers without a lock, so
/// answers from before a change of levels could otherwise replace those from after it.
pub(crate) fn rebuild_interests() {
    if defer_to_running_rebuild() {
        return;
    }
    let _locked = rebuild_lock().lock();
    let _idle_at_end = IdleAtEnd;
    for _ in 0..MAX_PASSES {
        PROGRESS.set(Progress::Running);
        #[cfg(feature = "log")]
        log_bridge::rebuild_and_set_log_level(callsite::rebuild_interest_cache);
        #[cfg(not(feature = "log"))]
        callsite::rebuild_interest_cache();
        if PROGRESS.get() != Progress::Outdated {
            break;
        }
    }
}

/// Returns the lock of [`rebuild_interests`]. A child has a lock of its own, because a thread of
/// its parent may have had the inherited lock at the fork.
fn rebuild_lock() -> &'static Mutex<()> {
    static LOCK: OnceLock<PerProcess<Mutex<()>>> = OnceLock::new();
    let new = || Mutex::new(());
    let locks = LOCK.get().unwrap_or_else(|| {
        // If a fork happened while another thread created the lock, the child would wait forever.
        let _no_fork = forks::defer();
        LOCK.get_or_init(|| PerProcess::new(new()))
    });
    locks.for_this_process(|_| new())
}

/// The maximum number of times that one rebuild asks all layers. Without a maximum, a layer that
/// sets levels whenever it is asked about a callsite would cause an endless loop. If it sets the
/// same levels again, the answers of the second pass are right.
const MAX_PASSES: usize = 2;

/// The progress of this thread's rebuild.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// This thread is not asking the layers.
    Idle,
    Running,
    /// The levels have changed since the rebuild began, so earlier answers may be wrong.
    Outdated,
}

thread_local! {
    static PROGRESS: Cell<Progress> = const { Cell::new(Progress::Idle) };
}

/// If this thread is already asking the layers, makes it ask them once more at the end, and returns
/// true. This happens if a layer changes levels when it is asked. A nested rebuild would deadlock,
/// because the thread has the lock.
fn defer_to_running_rebuild() -> bool {
    let is_asking = PROGRESS.get() != Progress::Idle;
    if is_asking {
        PROGRESS.set(Progress::Outdated);
    }
    is_asking
}

/// A guard that sets [`PROGRESS`] to idle, also if a layer panics.
struct IdleAtEnd;

impl Drop for IdleAtEnd {
    fn drop(&mut self) {
        PROGRESS.set(Progress::Idle);
    }
}

//! Makes `tracing` ask all layers again about their callsites, after levels have changed.

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

/// The stack of a layer whose levels change.
#[derive(Debug, Default)]
pub(crate) struct StackOfLayer(OnceLock<WeakDispatch>);

impl StackOfLayer {
    /// Stores the stack. Call it in `on_register_dispatch`.
    pub(crate) fn set(&self, dispatch: &Dispatch) {
        let _ = self.0.set(dispatch.downgrade());
    }

    /// Makes `tracing` ask the layers of all stacks about all callsites.
    ///
    /// If this process has only one stack, `tracing` asks the default subscriber of this thread
    /// instead. A thread may have none, and does not have one inside an event of a scoped
    /// subscriber. All callsites would then be disabled. So in these cases, a new thread with the
    /// stack as its default calls `tracing`. Inside an event, this thread cannot change its own.
    pub(crate) fn rebuild_interests(&self) {
        if is_repeated_by_caller() {
            return;
        }
        let dispatch = match self.0.get().map(WeakDispatch::upgrade) {
            // `tracing` asks the layers when the stack is created. A subscriber in an `Arc` or a
            // `Box` never passes its dispatcher to its layers, so it must be the default here.
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

/// Returns whether `tracing` passes events of this thread to this stack now.
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
/// Only one thread does so at a time. `tracing` stores the answers without a lock, so the answers
/// from before another change could replace those from after it.
pub(crate) fn rebuild_interests() {
    if is_repeated_by_caller() {
        return;
    }
    let _locked = lock().lock();
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

/// Returns the lock of the thread that asks the layers. A child has a lock of its own, because it
/// may inherit one that belongs to a thread of its parent.
fn lock() -> &'static Mutex<()> {
    static LOCK: OnceLock<PerProcess<Mutex<()>>> = OnceLock::new();
    let new = || Mutex::new(());
    let locks = LOCK.get().unwrap_or_else(|| {
        // A forked child would wait for a thread of its parent that was creating the lock.
        let _no_fork = forks::defer();
        LOCK.get_or_init(|| PerProcess::new(new()))
    });
    locks.for_this_process(|_| new())
}

/// A layer that sets levels whenever it is asked about a callsite would otherwise cause an endless
/// loop. If it sets the same levels again, the answers of the second pass are right.
const MAX_PASSES: usize = 2;

/// Whether this thread is asking the layers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Idle,
    Running,
    /// The levels have changed meanwhile, so earlier answers may be wrong.
    Outdated,
}

thread_local! {
    static PROGRESS: Cell<Progress> = const { Cell::new(Progress::Idle) };
}

/// Returns whether a layer changes levels while this thread asks it. The thread has the lock then.
/// It asks all layers again at the end.
fn is_repeated_by_caller() -> bool {
    let is_asking = PROGRESS.get() != Progress::Idle;
    if is_asking {
        PROGRESS.set(Progress::Outdated);
    }
    is_asking
}

/// Resets the state of the thread, also if a layer panics.
struct IdleAtEnd;

impl Drop for IdleAtEnd {
    fn drop(&mut self) {
        PROGRESS.set(Progress::Idle);
    }
}

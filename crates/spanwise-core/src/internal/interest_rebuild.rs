//! Makes `tracing` ask all layers again about their callsites, after levels have changed.

use std::{
    ptr,
    sync::{LazyLock, OnceLock},
    thread,
};

use tracing::{
    Dispatch,
    dispatcher::{self, WeakDispatch},
};
use tracing_core::callsite;
use tracing_subscriber::Registry;

#[cfg(feature = "log")]
use crate::internal::log_bridge;
use crate::internal::{forks::PerProcess, sync::Mutex};

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
    /// stack as its default calls `tracing`.
    pub(crate) fn rebuild_interests(&self) {
        let dispatch = match self.0.get().map(WeakDispatch::upgrade) {
            // `tracing` asks the layers when the stack is created.
            None => return rebuild_interests(),
            // The stack no longer exists.
            Some(None) => return,
            Some(Some(dispatch)) => dispatch,
        };
        if is_default(&dispatch) {
            return rebuild_interests();
        }
        let rebuild_in_stack = || dispatcher::with_default(&dispatch, rebuild_interests);
        let is_spawned = thread::scope(|scope| {
            let builder = thread::Builder::new().name("spanwise-levels".to_owned());
            builder.spawn_scoped(scope, rebuild_in_stack).is_ok()
        });
        if !is_spawned {
            rebuild_interests();
        }
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
    // Per process, because a child may inherit the lock of a thread that it does not have.
    static LOCK: LazyLock<PerProcess<Mutex<()>>> =
        LazyLock::new(|| PerProcess::new(Mutex::new(())));
    let _locked = LOCK.for_this_process(|_| Mutex::new(())).lock();
    #[cfg(feature = "log")]
    log_bridge::rebuild_and_set_log_level(callsite::rebuild_interest_cache);
    #[cfg(not(feature = "log"))]
    callsite::rebuild_interest_cache();
}

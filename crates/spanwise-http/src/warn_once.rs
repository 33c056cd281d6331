//! Mistakes in how a program is put together.

use std::sync::atomic::{AtomicBool, Ordering};

use spanwise_core::{Fault, SelfReport};

/// One of them, told by [`SelfReport`] once, however many requests come.
#[derive(Debug)]
pub(crate) struct WarnOnce {
    has_warned: AtomicBool,
}

impl WarnOnce {
    pub(crate) const fn new() -> Self {
        let has_warned = AtomicBool::new(false);
        Self { has_warned }
    }

    #[inline]
    pub(crate) fn warn(&self, what: impl FnOnce() -> String) {
        if !self.has_warned.load(Ordering::Relaxed) {
            self.warn_if_first(what);
        }
    }

    #[cold]
    fn warn_if_first(&self, what: impl FnOnce() -> String) {
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            // The last of it in any case: also where another one was told a moment ago.
            SelfReport::default().fault_unthrottled(Fault::Setup, &what());
        }
    }
}

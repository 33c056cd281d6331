//! Mistakes in how a program is put together.

use std::sync::atomic::{AtomicBool, Ordering};

use spanwise_core::{Fault, SelfReport};

/// One of them, told by [`SelfReport`] once, however many requests come.
#[derive(Debug)]
pub(crate) struct Mistake {
    is_told: AtomicBool,
}

impl Mistake {
    pub(crate) const fn new() -> Self {
        let is_told = AtomicBool::new(false);
        Self { is_told }
    }

    #[inline]
    pub(crate) fn tell(&self, what: impl FnOnce() -> String) {
        if !self.is_told.load(Ordering::Relaxed) {
            self.tell_if_first(what);
        }
    }

    #[cold]
    fn tell_if_first(&self, what: impl FnOnce() -> String) {
        if !self.is_told.swap(true, Ordering::Relaxed) {
            // The last of it in any case: also where another one was told a moment ago.
            SelfReport::default().fault_unthrottled(Fault::Setup, &what());
        }
    }
}

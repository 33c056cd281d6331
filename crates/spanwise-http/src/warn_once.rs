//! Warnings about the set-up, each reported once.

use std::sync::atomic::{AtomicBool, Ordering};

use spanwise_core::{Fault, SelfReport};

/// A warning that is reported to [`SelfReport`] only once.
#[derive(Debug)]
pub(crate) struct WarnOnce {
    has_warned: AtomicBool,
}

impl WarnOnce {
    pub(crate) const fn new() -> Self {
        let has_warned = AtomicBool::new(false);
        Self { has_warned }
    }

    /// Reports `text` if this is the first call.
    #[inline]
    pub(crate) fn warn(&self, text: impl FnOnce() -> String) {
        if !self.has_warned.load(Ordering::Relaxed) {
            self.warn_if_first(text);
        }
    }

    #[cold]
    fn warn_if_first(&self, text: impl FnOnce() -> String) {
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            // Unthrottled, because the throttle would drop a warning that follows another one.
            SelfReport::default().fault_unthrottled(Fault::Setup, &text());
        }
    }
}

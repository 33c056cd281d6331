//! Switches for the headers, and for the environment variables of child processes, that carry the
//! trace and the baggage. Both switches are on by default.

use std::sync::atomic::{AtomicBool, Ordering};

/// A switch for one kind of headers, and for the variables that pass it to child processes.
#[derive(Debug)]
pub struct PropagatorSwitch(AtomicBool);

/// The switch for `traceparent` and `tracestate`.
pub static TRACE_CONTEXT: PropagatorSwitch = PropagatorSwitch(AtomicBool::new(true));

/// The switch for `baggage`.
pub static BAGGAGE: PropagatorSwitch = PropagatorSwitch(AtomicBool::new(true));

impl PropagatorSwitch {
    /// Sets whether these headers are read and sent, and these variables set.
    pub fn set(&self, is_on: bool) {
        self.0.store(is_on, Ordering::Relaxed);
    }

    /// Returns whether these headers are read and sent, and these variables set.
    #[inline]
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

//! Switches for the propagation of the trace and of the baggage: by headers, and by environment
//! variables of child processes. `OTEL_PROPAGATORS` sets them. Both are on by default.

use std::sync::atomic::{AtomicBool, Ordering};

/// A switch for a kind of header, and for the variables that pass its value to child processes.
#[derive(Debug)]
pub struct PropagatorSwitch(AtomicBool);

/// The switch for `traceparent` and `tracestate`.
pub static TRACE_CONTEXT: PropagatorSwitch = PropagatorSwitch(AtomicBool::new(true));

/// The switch for `baggage`.
pub static BAGGAGE: PropagatorSwitch = PropagatorSwitch(AtomicBool::new(true));

impl PropagatorSwitch {
    /// Sets whether the headers are read and sent, and the variables are set.
    pub fn set(&self, is_on: bool) {
        self.0.store(is_on, Ordering::Relaxed);
    }

    /// Returns whether the headers are read and sent, and the variables are set.
    #[inline]
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

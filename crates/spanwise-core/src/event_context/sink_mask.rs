//! The sinks that receive the current event, if the stack has a router: a layer that selects the
//! sinks of an event by its target.
//!
//! The set is separate from the flags of the event context, because the fast path of
//! `EnteredLine::scope` requires that all flags are clear.

use super::with_state;

/// A set of sinks, one bit each, for the event that a thread handles.
///
/// A router sets it for the time in which the sinks' layers receive the event. The writer that
/// forwards a line to several outputs reads it, and a recorder stores it with each buffered event.
/// It is empty if the stack has no router.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SinkMask(u64);

impl SinkMask {
    /// The number of sinks that a mask can contain.
    pub const MAX_SINKS: usize = 64;

    /// Creates a set from its bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Returns the set of the event that this thread handles.
    #[inline]
    #[must_use]
    pub fn current() -> Self {
        Self(with_state(|state| state.sinks.get()))
    }

    /// Returns the bits of the set.
    #[inline]
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Returns whether the set has no sink, which means that no router decided about the event.
    #[inline]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Forwards an event or writes a line for these sinks. Restores the set of the outer event,
    /// even if a layer panics.
    #[inline]
    pub fn scope<R>(self, forward: impl FnOnce() -> R) -> R {
        let outer = with_state(|state| state.sinks.replace(self.0));
        let _restored = RestoreSinks(outer);
        forward()
    }
}

struct RestoreSinks(u64);

impl Drop for RestoreSinks {
    #[inline]
    fn drop(&mut self) {
        with_state(|state| state.sinks.set(self.0));
    }
}

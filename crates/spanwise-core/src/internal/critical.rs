//! The mark of critical events.

use tracing::{Level, Metadata};

/// The name of the callsite of a critical event.
///
/// `tracing` has five levels, so such an event is at ERROR, and sinks that have a higher level
/// recognize it by its name.
pub const CRITICAL: &str = "critical";

/// Returns whether the events of `callsite` are critical.
#[must_use]
pub fn is_critical(callsite: &Metadata<'_>) -> bool {
    callsite.is_event() && *callsite.level() == Level::ERROR && callsite.name() == CRITICAL
}

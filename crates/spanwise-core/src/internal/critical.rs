//! The name that marks critical events.

use tracing::{Level, Metadata};

/// The name of the callsite of a critical event.
///
/// `tracing` has no level above ERROR, so a critical event has the level ERROR. Sinks whose format
/// has a higher level recognize the event by this name.
pub const CRITICAL: &str = "critical";

/// Returns whether the events of `callsite` are critical.
#[must_use]
pub fn is_critical(callsite: &Metadata<'_>) -> bool {
    callsite.is_event() && *callsite.level() == Level::ERROR && callsite.name() == CRITICAL
}

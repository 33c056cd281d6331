//! The layers of the sinks, where a reload of the configuration can replace them.
//!
//! A [`Generation`] is the router and the layers of one configuration. `on_event` passes each event
//! through one generation only. So no event is lost or written twice when a new generation takes
//! the place of the old one.

mod cell;
mod generation;
mod groups;
mod live_tee;

pub(crate) use cell::LiveCell;
pub(crate) use generation::{Generation, LiveLayers, LiveShared, SharedLayer};
pub(crate) use groups::LineGroup;
pub(crate) use live_tee::LiveTee;

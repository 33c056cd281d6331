//! The layers of all sinks, in a form that a reload of the configuration can replace.
//!
//! A [`Generation`] is the router and the layers of one configuration. Each event passes through
//! one generation only, so that no event is lost or written twice while a reload replaces the old
//! generation.

mod cell;
mod generation;
mod groups;
mod live_tee;

pub(crate) use cell::LiveCell;
pub(crate) use generation::{Generation, LiveLayers, LiveShared, SharedLayer};
pub(crate) use groups::LineGroup;
pub(crate) use live_tee::LiveTee;

//! Fewer lines where they say the same, more where something failed.

pub mod recorder;

pub use recorder::{
    Recorded, Recorder, RecorderBuilder, RecorderLine, RecorderStats, RecorderWriter, UnitGuard,
    flush_unit, watch,
};

//! Fewer lines of what is logged too often, and a true count of what is not shown; all lines of what failed, by the [`recorder`].

mod chance;
mod error;
mod keyed;
mod limit;
mod memo;
mod meter;
mod plan;
pub mod recorder;
mod sampled;
mod sampler;
mod seat;
mod setting;
mod summary;
mod unit;
mod value;
mod when;

pub use error::SampleError;
pub use limit::{First, Limit, Rate, first, keep, rate, ratio};
pub use recorder::{
    Recorded, Recorder, RecorderBuilder, RecorderLine, RecorderStats, RecorderWriter, UnitGuard,
    flush_unit, watch,
};
pub use sampled::{SampleExt, Sampled};
pub use sampler::{Sampler, SamplerBuilder};
pub use seat::SamplerStats;
pub use when::When;

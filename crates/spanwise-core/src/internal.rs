//! Parts that the crates of spanwise share. Nothing here is covered by semantic versioning.

mod duration;
mod limiter_clock;
mod linked_slots;
mod token_bucket;

pub use duration::{DurationUnits, parse_duration};
pub use limiter_clock::{LimiterClock, Precision};
pub use linked_slots::{LinkedSlots, SlotId, SlotList};
pub use token_bucket::TokenBucket;

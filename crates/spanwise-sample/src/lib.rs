//! Fewer lines of what is logged too often, and a true count of what is not shown.

mod error;

pub use error::SampleError;

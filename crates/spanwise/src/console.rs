//! Lines for people: `pretty`, `compact` and `short`.
//!
//! It does not use the `fmt` layer of tracing-subscriber 0.3.23, which formats a late value while
//! it holds the lock on the extensions of the span. A `Debug` that logs then deadlocks. The parts
//! of core format first and lock afterwards.

mod color;
mod fields;
mod layer;

pub(crate) use fields::{is_plain, push_escaped};
pub(crate) use layer::{ConsoleLayer, ShowTime, Style};

//! Lines for people: `pretty`, `compact` and `short`.
//!
//! Not built on the `fmt` layer of tracing-subscriber 0.3.23: that one formats a value recorded
//! late while it holds the lock on the span's extensions, so that a `Debug` that logs stops the
//! thread for ever. The pieces that the JSON layer is built on format first and lock after.

mod color;
mod fields;
mod layer;

pub(crate) use fields::{is_plain, push_escaped};
pub(crate) use layer::{ConsoleLayer, ShowTime, Style};

//! Lines for people: `pretty`, `compact` and `short`.
//!
//! It does not use the `fmt` layer of tracing-subscriber 0.3.23, which formats a late value while
//! it holds the lock on the extensions of the span. A `Debug` that logs then deadlocks. The parts
//! of core format first and lock afterwards.

mod access_summary;
mod color;
mod display_width;
mod escaped_text;
mod event_text;
mod fields;
mod layer;
mod line_layout;
mod own_frames;
mod shown_spans;
mod span_label;
mod unit_duration;

pub(crate) use escaped_text::{is_plain, push_escaped};
pub(crate) use event_text::Style;
pub(crate) use layer::{ConsoleLayer, ShowTime};

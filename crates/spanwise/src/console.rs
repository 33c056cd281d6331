//! The console formats for human-readable lines: `pretty`, `compact` and `short`.
//! `docs/console.md` describes them.
//!
//! The console does not use the `fmt` layer of tracing-subscriber 0.3.23. When a value is recorded
//! in an open span, that layer formats the value while it locks the extensions of the span. A
//! `Debug` implementation that logs then causes a deadlock. The layer of this module formats values
//! before it locks.

mod access_summary;
mod color;
mod display_width;
mod escaped_text;
mod event_text;
mod fields;
mod layer;
mod line_layout;
mod own_frames;
mod pending_spans;
mod shown_parts;
mod span_label;
mod unit_duration;

pub(crate) use escaped_text::{is_plain, push_escaped};
pub(crate) use event_text::Style;
pub(crate) use layer::{ConsoleLayer, ShowTime};

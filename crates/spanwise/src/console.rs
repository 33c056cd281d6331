//! The console formats for human-readable lines: `pretty`, `compact` and `short`.
//! `docs/console.md` describes them.
//!
//! They do not use the `fmt` layer of tracing-subscriber 0.3.23. That layer formats a value that is
//! recorded later while it holds the lock on the extensions of the span. So a `Debug` that logs
//! causes a deadlock. The layer of this module formats first and locks afterwards.

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

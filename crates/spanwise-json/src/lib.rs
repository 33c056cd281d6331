//! x
mod builder;
mod escape;
mod format;
mod fragment;
mod layer;
mod line;
mod local;
mod members;
mod oversize;
mod plan;
mod shape;
mod span_events;
mod text;
mod timestamp;
mod value;
mod visit;

pub use format::Format;
pub use layer::JsonLayer;
pub use span_events::SpanEvents;
pub use timestamp::Timestamp;
pub use value::{Json, json};

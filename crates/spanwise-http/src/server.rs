//! The server layer: a span, an id and one access event for each request.

mod access_event;
mod body;
mod field_names;
mod future;
mod options;
mod outcome;
mod plain_path;
mod recorded_fields;
mod recorded_value;
mod request;
mod request_guard;
mod request_span;
mod response_head;
mod service;
mod statuses;

pub use body::ResponseBody;
pub use future::ServerFuture;
pub(crate) use outcome::Outcome;
pub(crate) use recorded_fields::RecordedFields;
pub use recorded_fields::{fail, record, record_timing};
pub use recorded_value::RecordedValue;
pub use service::{ServerLayer, ServerService, server};
pub use statuses::Statuses;

/// The target of the span and of the access event.
const TARGET: &str = "spanwise_http::server";

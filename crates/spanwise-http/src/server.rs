//! The server's side.

mod access_event;
mod body;
mod ending;
mod exchange;
mod future;
mod names;
mod options;
mod outcome;
mod plain_path;
mod request;
mod request_span;
mod service;
mod statuses;
mod value;

pub use body::ResponseBody;
pub(crate) use exchange::Exchange;
pub use exchange::{fail, mark, record};
pub use future::ServerFuture;
pub use service::{ServerLayer, ServerService, server};
pub use statuses::Statuses;
pub use value::Value;

/// The target of the span and the event.
const TARGET: &str = "spanwise_http::server";

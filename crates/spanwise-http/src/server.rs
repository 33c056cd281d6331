//! The server's side.

mod access_event;
mod body;
mod ending;
mod exchange;
mod future;
mod names;
mod options;
mod outcome;
mod request;
mod service;
mod value;

pub use body::ResponseBody;
pub use exchange::{mark, record};
pub use future::ResponseFuture;
pub use service::{Server, ServerLayer, server};
pub use value::Value;

//! HTTP for `tracing`: the request's span, its id across services, one true event a request.

mod carried;
mod client_address;
mod id;
mod server;
mod trace_context;
mod trust;

pub use client_address::{ClientAddress, Peer};
pub use server::{ResponseBody, ResponseFuture, Server, ServerLayer, Value, mark, record, server};
pub use trust::{Network, Trust, TrustError};

/// The target of spans and events.
const TARGET: &str = "spanwise_http";

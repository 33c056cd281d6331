//! HTTP for `tracing`: the request's span, its id across services, one true event a request.

mod baggage;
mod carried;
mod client;
mod id;
mod passed_on;
mod trace_context;

pub use http;

#[cfg(feature = "reqwest-middleware")]
pub use client::ReqwestMiddleware;
pub use client::{ClientFuture, ClientLayer, ClientService, Hosts, HostsError, client};
// For the tests and the fuzzer of the parsers alone.
#[doc(hidden)]
pub use passed_on::passed_on;

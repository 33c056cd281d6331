//! HTTP for `tracing`: the request's span, its id across services, one true event a request.

mod baggage;
mod carried;
mod client;
mod client_address;
mod id;
mod method;
mod passed_on;
mod said;
mod server;
mod trace_context;
mod trust;

pub use http;

#[cfg(feature = "reqwest-middleware")]
pub use client::ReqwestMiddleware;
pub use client::{ClientFuture, ClientLayer, ClientService, Hosts, HostsError, client};
pub use client_address::{ClientAddress, ClientAddressError, Peer};
// For the tests and the fuzzer of the parsers alone.
#[doc(hidden)]
pub use passed_on::passed_on;
pub use server::{
    ResponseBody, ServerFuture, ServerLayer, ServerService, Value, mark, record, server,
};
pub use trust::{Network, Trust, TrustError};

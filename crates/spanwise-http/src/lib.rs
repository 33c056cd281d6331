//! HTTP for `tracing`: the request's span, its id across services, one true event a request.

mod carried;
mod id;
mod trace_context;

//! The behaviour of the crate, through its public API.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod counts;
mod dead_collector;
mod exported_logs;
mod forks;
mod globals;
mod healthy;
mod http_request_spans;
mod http_requests;
mod log_records;
mod log_secrets;
mod metrics;
mod own_events;
mod responses;
mod setup;
mod span_identities;
mod span_mapping;
mod span_nesting;
mod span_properties;
mod span_secrets;
mod support;
mod unfinished_spans;
mod wrapped_logs;

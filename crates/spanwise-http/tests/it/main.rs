//! The behaviour of the crate, through its public API.
//!
//! A test that needs a separate process starts itself again: see `support::alone`.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

#[allow(dead_code, unreachable_pub, reason = "shared with other crates")]
#[path = "../../../spanwise-core/tests/support/identities.rs"]
mod identities;
mod support;

mod any_headers;
mod baggage;
mod baggage_grammar;
mod bounded_text;
mod calls_in_requests;
mod calls_without_subscriber;
mod cancelled_span;
mod client_address;
mod client_calls;
mod concurrent_requests;
mod disabled_span;
mod executors;
mod exiting_thread;
mod exported_traces;
mod failures;
mod field_names;
mod forks;
mod full_stack;
mod grpc;
mod hosts;
mod ids;
mod late_context;
mod late_field_name;
mod levels;
mod observed_requests;
mod outcomes;
mod panicking_destructors;
mod plain_paths;
mod propagation;
mod recorded_fields;
mod responses_in_layers;
mod setup_warnings;
mod streams;
mod trace_context;
mod trust_boundary;

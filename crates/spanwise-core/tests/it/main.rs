//! Behaviour through the public API. A test that needs a process of its own is a file beside this
//! directory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where something is wrong"
)]

#[allow(dead_code, unreachable_pub, reason = "shared with other crates")]
#[path = "../support/allocations.rs"]
mod allocations;
#[path = "../support/mod.rs"]
mod support;

mod captured_events;
mod context;
mod context_set;
mod errors;
mod levels;
mod logged_panics;
mod per_layer_filters;
mod redacted_allocations;
mod redacted_fmt_fields;
mod redacted_keys;
mod redacted_passthrough;
mod redacted_secrets;
mod wrapper_forwarding;

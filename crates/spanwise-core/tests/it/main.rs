//! Behaviour through the public API. A test that needs a separate process is a file next to this
//! directory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where something is wrong"
)]

#[allow(dead_code, unreachable_pub, reason = "shared with other crates")]
#[path = "../support/allocations.rs"]
mod allocations;
#[allow(dead_code, unreachable_pub, reason = "shared with other crates")]
#[path = "../support/identities.rs"]
mod identities;
#[path = "../support/mod.rs"]
mod support;

mod backtrace;
mod callsite_plans;
mod captured_events;
mod clock;
mod consistent_sampling;
mod context;
mod context_set;
mod errors;
mod event_context;
mod export;
mod hex_digits;
mod levels;
mod linked_slots;
mod logged_panics;
mod nested_json;
mod per_layer_filters;
mod redacted_allocations;
mod redacted_fmt_fields;
mod redacted_keys;
mod redacted_passthrough;
mod redacted_secrets;
mod releveled;
mod rfc3339;
mod sharded_counter;
mod span_data;
mod span_identity;
mod target_pattern;
mod token_bucket;
mod wrapper_forwarding;

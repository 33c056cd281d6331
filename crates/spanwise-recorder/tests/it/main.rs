//! Tests that need no separate process: one module per topic.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

#[path = "../../../spanwise-json/tests/it/support/any.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is shared with other crates")]
mod any;
#[path = "../../../spanwise-core/tests/support/call_recorder.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is shared with other crates")]
mod call_recorder;
#[path = "../support/mod.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "it is shared with examples of the documentation"
)]
mod support;

mod buffer_models;
mod counters;
mod dump_limit;
mod entered_spans;
mod recorded_forwards;
mod routed_lines;
mod sampler_inside;
mod setting_errors;
mod tail_sampling;
mod triggers;
mod unencoded_events;

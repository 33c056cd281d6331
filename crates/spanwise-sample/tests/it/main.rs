//! Tests that need no separate process: one module per topic.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

#[path = "../../../spanwise-core/tests/support/call_recorder.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is shared with other crates")]
mod call_recorder;
#[path = "../support/mod.rs"]
mod support;

mod filtered_layers;
mod keyed_limits;
mod ratios;
mod rule_errors;
mod rules;
mod sample_counts;
mod sampled_forwards;

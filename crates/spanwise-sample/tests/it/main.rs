//! Tests that need no process of their own: one module a topic.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

#[path = "../../../spanwise-core/tests/support/call_recorder.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is shared with other crates")]
mod call_recorder;
#[path = "../recorder_support/mod.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "it is shared with examples of the documentation"
)]
mod recorder_support;
#[path = "../support/mod.rs"]
mod support;

mod dump_limit;
mod entered_spans;
mod filtered_layers;
mod keyed_limits;
mod ratios;
mod recorder_counters;
mod recorder_forwards;
mod recorder_triggers;
mod rule_errors;
mod rules;
mod sample_counts;
mod sampled_forwards;
mod sampler_inside_recorder;
mod summary_values;
mod tail_sampling;

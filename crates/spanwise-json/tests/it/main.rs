//! Behaviour through the public API. Tests that need a process of their own are files in `tests/`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where something is wrong"
)]

#[allow(dead_code, unreachable_pub, reason = "shared with other crates")]
#[path = "../../../spanwise-core/tests/support/allocations.rs"]
mod allocations;
#[allow(dead_code, unreachable_pub, reason = "shared with other crates")]
#[path = "../../../spanwise-core/tests/support/identities.rs"]
mod identities;
mod support;

mod any_formats;
mod any_values;
mod custom_formats;
mod emf_metrics;
mod entered_spans;
mod escapes;
mod field_list;
mod format_errors;
mod format_names;
mod format_traps;
mod golden_formats;
mod late_context;
mod limits;
mod line_formats;
mod lines;
mod memory;
mod nested_like_fmt;
mod redacted_keys;
mod redacted_values;
mod rewritten_lines;
mod span_ids;
mod timestamps;
mod values;

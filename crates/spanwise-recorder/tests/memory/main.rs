//! The allocations of the recorder, and its maximum memory.
//!
//! In a separate process, because its allocator counts.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

#[path = "../../../spanwise-sample/tests/memory/allocator.rs"]
#[allow(dead_code, reason = "it is shared with another crate")]
mod allocator;
#[path = "../support/mod.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "it is shared with examples of the documentation"
)]
mod support;

mod recorder;

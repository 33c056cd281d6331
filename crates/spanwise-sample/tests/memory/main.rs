//! What sampling and recording allocate, and hold at most.
//!
//! In a process of its own, for its allocator counts.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

mod allocator;
#[path = "../recorder_support/mod.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "it is shared with examples of the documentation"
)]
mod recorder_support;
#[path = "../support/mod.rs"]
mod support;

mod recorder;
mod sampler;

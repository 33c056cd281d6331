//! What the recorder allocates, and how much memory it holds at most.
//!
//! In a process of its own, as its allocator counts.

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

//! The allocations of sampling, and its maximum memory.
//!
//! In a separate process, because its allocator counts.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

#[allow(dead_code, reason = "it is shared with another crate")]
mod allocator;
#[path = "../support/mod.rs"]
mod support;

mod sampler;

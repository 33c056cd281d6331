//! What sampling allocates, and how much memory it holds at most.
//!
//! In a process of its own, as its allocator counts.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

#[allow(dead_code, reason = "it is shared with another crate")]
mod allocator;
#[path = "../support/mod.rs"]
mod support;

mod sampler;

//! The behaviour of the crate, through its public interface.
//!
//! A test that needs a process of its own runs itself again in one: see `support::alone`.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test ends where something is wrong"
)]

#[path = "../support/mod.rs"]
mod support;

mod doubts;
mod ending_thread;
mod events;
mod failing_server;
mod feedback;
#[cfg(unix)]
mod forks;
mod grouping;
mod hook_logs;
mod hooks;
mod isolation;
mod late_context;
mod logs;
mod memory;
mod repeats;
mod secrets;
mod transactions;

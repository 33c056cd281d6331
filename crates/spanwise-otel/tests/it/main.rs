//! The behaviour of the crate, through its public API.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod counts;
mod dead_collector;
mod exported_logs;
#[cfg(unix)]
mod forks;
mod healthy;
mod healthy;
mod log_records;
mod log_records;
mod own_events;
mod responses;
mod setup;
mod support;
mod support;
mod wrapped_logs;

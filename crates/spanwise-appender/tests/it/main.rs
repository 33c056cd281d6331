//! The tests of the crate that share a process, or start one.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::needless_pass_by_value,
    clippy::mem_forget,
    clippy::print_stdout,
    reason = "a test ends where something is wrong, and uses what it needs of the support"
)]

mod accounting;
mod background;
#[cfg(target_os = "linux")]
mod concurrent_forks;
#[cfg(target_os = "linux")]
mod faults;
mod flush_errors;
mod hostile_writers;
mod loss_event_deadlock;
mod loss_events;
#[cfg(unix)]
mod process_exit;
mod record_sink;
mod rolling;
mod support;

//! What the log holds after the world misbehaved.
//!
//! A victim, which is a program of its own, logs records that carry the number of their thread and a sequence number; a test does
//! something to it from outside, and counts what is in the output: lost, doubled, torn, out of order.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::needless_pass_by_value,
    clippy::print_stdout,
    unreachable_pub,
    reason = "tests"
)]

mod driver;
mod files;
mod judge;
mod process_life;
mod record;
mod streams;

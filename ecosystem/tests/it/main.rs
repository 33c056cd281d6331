//! The programs that the pages quote, run; and what the pages say of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where something is wrong"
)]
#![cfg(unix)]

mod beside;
mod migration;
mod pages;
mod program;
#[path = "../../../crates/spanwise-sentry/tests/support/receiver.rs"]
mod receiver;
mod recipes;

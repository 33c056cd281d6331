//! The behaviour of the crate, through its public API.
//!
//! A test that needs a separate process starts itself again: see `support::alone`.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

#[allow(dead_code, unreachable_pub, reason = "shared with other crates")]
#[path = "../../../spanwise-core/tests/support/identities.rs"]
mod identities;
#[path = "../support/mod.rs"]
mod support;

mod dedup;
mod event_selection;
mod events;
mod exiting_thread;
mod exported_ids;
mod failing_server;
#[cfg(unix)]
mod forks;
mod grouping;
mod hook_events;
mod hooks;
mod isolation;
mod late_context;
mod logs;
mod memory;
mod redaction;
mod self_logging;
mod setup_warnings;
mod transactions;

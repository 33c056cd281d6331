//! The examples of spanwise are the files beside this folder; `cargo run --example shop` runs one.

pub mod sentry_server;

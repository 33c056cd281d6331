//! Each module is a program: its `main` is that of a file `src/main.rs`.

mod beside_appender;
mod beside_error;
mod beside_metrics;
mod beside_opentelemetry;
mod beside_sentry;
mod cron;
mod fmt_after;
mod fmt_before;
mod lambda;
mod log4rs_before;
mod log_after;
mod log_before;
mod login;
mod queue_worker;
mod refused_body;
mod sentry_takeover;
mod service_after;
mod service_before;
mod slog_after;
mod slog_before;
mod tonic_service;

use std::process::{ExitCode, Termination as _};

macro_rules! programs {
    ($($name:ident)*) => {
        /// The names of the programs.
        pub(crate) const NAMES: &[&str] = &[$(stringify!($name)),*];

        /// Runs the program of this name, if there is one.
        pub(crate) fn run(name: &str) -> Option<ExitCode> {
            match name {
                $(stringify!($name) => Some($name::main().report()),)*
                _ => None,
            }
        }
    };
}

programs! {
    beside_appender beside_error beside_metrics beside_opentelemetry beside_sentry
    cron fmt_after fmt_before lambda log4rs_before log_after log_before login queue_worker
    refused_body sentry_takeover service_after service_before slog_after slog_before tonic_service
}

//! The severity of a log record.

use spanwise_core::internal::is_critical;
use tracing_core::{Level, Metadata};

/// A severity, by its number in the data model of OpenTelemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Severity {
    Trace = 1,
    Debug = 5,
    Info = 9,
    Warn = 13,
    Error = 17,
    Fatal = 21,
}

impl Severity {
    /// Returns the severity of the events of a callsite.
    pub(crate) fn from_callsite(callsite: &Metadata<'_>) -> Self {
        // With `panic = "abort"`, a panic ends the process.
        let ends_process = cfg!(panic = "abort") && is_panic(callsite);
        if ends_process || is_critical(callsite) {
            return Self::Fatal;
        }
        match *callsite.level() {
            Level::TRACE => Self::Trace,
            Level::DEBUG => Self::Debug,
            Level::INFO => Self::Info,
            Level::WARN => Self::Warn,
            Level::ERROR => Self::Error,
        }
    }

    /// Returns the severity text, which backends show.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }

    /// Returns the level of a record with this severity number.
    pub(crate) fn level(number: u8) -> Level {
        match number {
            0..=4 => Level::TRACE,
            5..=8 => Level::DEBUG,
            9..=12 => Level::INFO,
            13..=16 => Level::WARN,
            _ => Level::ERROR,
        }
    }
}

/// Returns whether the panic hook of `spanwise` logs with this callsite.
fn is_panic(callsite: &Metadata<'_>) -> bool {
    callsite.target() == "panic" && callsite.fields().field("panic.location").is_some()
}

//! The setting `LOG_PANIC_BACKTRACE`, and the requests of `RUST_BACKTRACE`.

use std::backtrace::{Backtrace, BacktraceStatus};

/// The length of the backtrace in the event of a panic: `LOG_PANIC_BACKTRACE`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PanicBacktrace {
    /// The frames from the panic to the entry of the runtime, with relative paths. Frames of std,
    /// tokio, hyper, axum, tower and similar crates are only counted: `… 41 frames of tokio`.
    /// `pretty`, `compact` and `short` show only the frames of your
    /// [own targets](crate::Builder::own_targets), if there are any.
    #[default]
    Short,
    /// The whole backtrace, in the format of std.
    Full,
    /// No backtrace. None is captured.
    Off,
}

impl PanicBacktrace {
    /// Returns the default for a command-line tool: a backtrace only if `RUST_BACKTRACE` requests
    /// it.
    pub(crate) fn for_command_line() -> Self {
        match Backtrace::capture().status() {
            BacktraceStatus::Captured => Self::Short,
            _ => Self::Off,
        }
    }
}

/// Returns whether `RUST_BACKTRACE=full` requests whole backtraces in human-readable lines.
#[expect(
    clippy::disallowed_methods,
    reason = "it is a variable of std, which reads it in every program"
)]
pub(crate) fn is_full_requested() -> bool {
    std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value == "full")
}

crate::named::named!(PanicBacktrace: Short = "short", Full = "full", Off = "off");

//! How much of its backtrace the event of a panic has.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    fmt,
};

use spanwise_core::internal::Grammar;

/// How much of its backtrace the event of a panic has: `LOG_PANIC_BACKTRACE`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PanicBacktrace {
    /// From the panic to the entry of the runtime, with relative paths. Frames of std, tokio,
    /// hyper, axum, tower and the like are counted: `… 41 frames of tokio`.
    #[default]
    Short,
    /// All of it, as std writes it.
    Full,
    /// None. Nothing is captured.
    Off,
}

impl PanicBacktrace {
    pub(crate) const NAMED: [(&str, Self); 3] = [
        (Self::Short.name(), Self::Short),
        (Self::Full.name(), Self::Full),
        (Self::Off.name(), Self::Off),
    ];

    /// The default of a tool, whose user asks for more by `RUST_BACKTRACE` as of any other.
    pub(crate) fn for_command_line() -> Self {
        match Backtrace::capture().status() {
            BacktraceStatus::Captured => Self::Short,
            _ => Self::Off,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Full => "full",
            Self::Off => "off",
        }
    }
}

impl Grammar for PanicBacktrace {}

impl fmt::Display for PanicBacktrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

//! The setting `LOG_OUTPUT`, which decides where lines go.

use std::io::{self, IsTerminal as _};

use spanwise_core::internal::stdio;

/// Where lines go.
///
/// With [`Preset::Prod`](crate::Preset::Prod), a background thread writes lines. With the other
/// presets, each thread writes its own lines, so that log lines and other output keep their order.
/// A stalled reader blocks a thread for at most 100 ms. After that, the line is buffered, and
/// written with the next line or when the program ends. [`WhenFull`](crate::file::WhenFull) decides
/// what happens if the buffer is full.
///
/// A closed pipe does not end the program. The lines for this pipe are counted as lost, and the
/// loss is reported on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Nowhere. Files, exporters and layers that [`Builder::layer`](crate::Builder::layer) adds
    /// still receive events.
    None,
    /// The output that `cargo test` captures and shows for a failed test.
    TestHarness,
}

impl Output {
    pub(crate) fn is_terminal(self) -> bool {
        match self {
            Self::Stdout => io::stdout().is_terminal(),
            Self::Stderr => io::stderr().is_terminal(),
            Self::None | Self::TestHarness => false,
        }
    }

    /// Returns the number of columns of the terminal, if the output is a terminal.
    pub(crate) fn columns(self) -> Option<usize> {
        match self {
            Self::Stdout => stdio::columns(&io::stdout()),
            Self::Stderr => stdio::columns(&io::stderr()),
            Self::None | Self::TestHarness => None,
        }
    }
}

crate::named::named! {
    Output: Stdout = "stdout", Stderr = "stderr", None = "none"; shown TestHarness = "test harness"
}

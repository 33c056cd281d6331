//! The output of lines.

use std::io::{self, IsTerminal as _};

use spanwise_core::internal::stdio;

/// Where lines go.
///
/// Under [`Preset::Prod`](crate::Preset::Prod) a background thread writes lines. Under the other
/// presets the thread that logs writes its line, so that lines keep their order among the other
/// output of the program. It waits at most 100 ms for a stalled reader, and then holds the line
/// until the next one. [`WhenFull`](crate::file::WhenFull) decides what happens if the buffer is
/// full.
///
/// A closed pipe does not end the program: its lines are counted as lost, and reported on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Nowhere: only the layers added by [`Builder::layer`](crate::Builder::layer) see events.
    None,
    /// The output that `cargo test` captures and shows for a failed test.
    TestHarness,
}

impl Output {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::None => "none",
            Self::TestHarness => "test harness",
        }
    }

    pub(crate) fn is_terminal(self) -> bool {
        match self {
            Self::Stdout => io::stdout().is_terminal(),
            Self::Stderr => io::stderr().is_terminal(),
            Self::None | Self::TestHarness => false,
        }
    }

    /// Returns the columns of the terminal, if the output is one.
    pub(crate) fn columns(self) -> Option<usize> {
        match self {
            Self::Stdout => stdio::columns(&io::stdout()),
            Self::Stderr => stdio::columns(&io::stderr()),
            Self::None | Self::TestHarness => None,
        }
    }
}

crate::named::named!(Output: Stdout, Stderr, None);

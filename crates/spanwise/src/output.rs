//! Where lines go, and what they look like.

use std::io::{self, IsTerminal as _};

/// Where lines go.
///
/// Under [`Preset::Prod`](crate::Preset::Prod) lines are written in the background. Otherwise the
/// thread that logs writes its line, so that it is in its place among the lines that the program
/// prints. There a line waits for a reader that stalls for at most 100 ms, and then is held for the
/// next line. [`WhenFull`](crate::WhenFull) decides what happens when too much is held.
///
/// A pipe that nobody reads from any more does not end the program: its lines are counted as lost,
/// and reported on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Nowhere: only the layers added by [`Builder::layer`](crate::Builder::layer) see events.
    None,
    /// What `cargo test` captures, and shows for a test that fails.
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
}

crate::named::named!(Output: Stdout, Stderr, None);

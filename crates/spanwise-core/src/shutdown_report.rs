//! The result of a shutdown.

/// What became of all lines, as counted at the end of a shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Lines that the outputs took.
    pub delivered: u64,
    /// Lines that an output refused, that were shed, or that were still held at the deadline.
    pub lost: u64,
}

impl ShutdownReport {
    /// Creates a report of these counts.
    #[must_use]
    pub const fn new(delivered: u64, lost: u64) -> Self {
        Self { delivered, lost }
    }
}

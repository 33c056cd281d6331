//! The workloads of the producers.

use std::time::Duration;

/// A load on the writer, by several threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Workload {
    /// Prepared lines of about 300 bytes, as fast as possible.
    Lines,
    /// [`Lines`](Self::Lines), while the file rolls at a size and rolled files are compressed with
    /// gzip.
    LinesRotating,
    /// Prepared lines, twenty per millisecond and producer.
    Paced,
    /// [`Paced`](Self::Paced), with a roll and a compression soon after the beginning.
    PacedRotating,
    /// Events with four fields, through the layers of the contender. The texts are harmless.
    Flat,
    /// [`Flat`](Self::Flat) with texts half of which a policy hides.
    FlatMixed,
    /// Requests: two spans and four events.
    Request,
}

/// The number of lines that a paced producer writes in a row.
pub(crate) const BURST_LEN: u64 = 20;
/// The time between the starts of two bursts of a paced producer.
pub(crate) const BURST_INTERVAL: Duration = Duration::from_millis(1);

impl Workload {
    /// All workloads, in the order of the tables.
    pub const ALL: [Self; 7] = [
        Self::Lines,
        Self::Flat,
        Self::FlatMixed,
        Self::Request,
        Self::LinesRotating,
        Self::Paced,
        Self::PacedRotating,
    ];

    /// Returns the name in the tables and in `--workload`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::LinesRotating => "lines-rotating",
            Self::Paced => "paced",
            Self::PacedRotating => "paced-rotating",
            Self::Flat => "flat",
            Self::FlatMixed => "flat-mixed",
            Self::Request => "request",
        }
    }

    /// Returns the workload of the bench `peers` whose events are logged. `None` for prepared
    /// lines.
    pub(crate) fn events(self) -> Option<crate::Workload> {
        match self {
            Self::Flat => Some(crate::Workload::Flat),
            Self::FlatMixed => Some(crate::Workload::FlatMixed),
            Self::Request => Some(crate::Workload::Request),
            Self::Lines | Self::LinesRotating | Self::Paced | Self::PacedRotating => None,
        }
    }

    /// Returns the number of lines that one unit writes.
    pub(crate) fn lines_per_unit(self) -> u64 {
        if self == Self::Request { 4 } else { 1 }
    }

    pub(crate) fn is_paced(self) -> bool {
        matches!(self, Self::Paced | Self::PacedRotating)
    }

    pub(crate) fn rotates(self) -> bool {
        self.without_rotation() != self
    }

    /// Returns this workload without rotation.
    pub(crate) fn without_rotation(self) -> Self {
        match self {
            Self::LinesRotating => Self::Lines,
            Self::PacedRotating => Self::Paced,
            Self::Lines | Self::Paced | Self::Flat | Self::FlatMixed | Self::Request => self,
        }
    }

    /// Returns the numbers of producers without `--producers`.
    pub(crate) fn producers(self) -> &'static [u64] {
        match self {
            Self::Lines => &[1, 2, 4],
            Self::Flat => &[1, 2],
            _ => &[2],
        }
    }

    /// Returns the number of lines of all producers without `--lines`: a million, or for two paced
    /// producers the lines of five seconds.
    pub(crate) fn lines(self) -> u64 {
        if self.is_paced() { 200_000 } else { 1_000_000 }
    }
}

//! What the producers do.

use std::time::Duration;

/// A load on the writer, by several threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Workload {
    /// Prepared lines of about 300 bytes, as fast as they go.
    Lines,
    /// The same, while the file rolls at a size and what was rolled is compressed with gzip.
    LinesRotating,
    /// Prepared lines, twenty every millisecond and producer.
    Paced,
    /// The same, with one roll and compression soon after the beginning.
    PacedRotating,
    /// Events with four fields, through the layers that one would install. The texts are harmless.
    Flat,
    /// The same with texts half of which a policy hides.
    FlatMixed,
    /// Requests: two spans and four events.
    Request,
}

/// How many lines a paced producer writes in a row, and how often.
pub(crate) const BURST: u64 = 20;
pub(crate) const BURST_INTERVAL: Duration = Duration::from_millis(1);

impl Workload {
    /// In the order of the tables.
    pub const ALL: [Self; 7] = [
        Self::Lines,
        Self::Flat,
        Self::FlatMixed,
        Self::Request,
        Self::LinesRotating,
        Self::Paced,
        Self::PacedRotating,
    ];

    /// As in the tables and in `--workload`.
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

    /// The events of the other bench, if it is not prepared lines.
    pub(crate) fn events(self) -> Option<crate::Workload> {
        match self {
            Self::Flat => Some(crate::Workload::Flat),
            Self::FlatMixed => Some(crate::Workload::FlatMixed),
            Self::Request => Some(crate::Workload::Request),
            Self::Lines | Self::LinesRotating | Self::Paced | Self::PacedRotating => None,
        }
    }

    /// How many lines one unit writes.
    pub(crate) fn lines_per_unit(self) -> u64 {
        if self == Self::Request { 4 } else { 1 }
    }

    pub(crate) fn is_paced(self) -> bool {
        matches!(self, Self::Paced | Self::PacedRotating)
    }

    pub(crate) fn rotates(self) -> bool {
        self.still() != self
    }

    /// The same without rotation.
    pub(crate) fn still(self) -> Self {
        match self {
            Self::LinesRotating => Self::Lines,
            Self::PacedRotating => Self::Paced,
            Self::Lines | Self::Paced | Self::Flat | Self::FlatMixed | Self::Request => self,
        }
    }

    /// How many producers there are if nobody says.
    pub(crate) fn producers(self) -> &'static [u64] {
        match self {
            Self::Lines => &[1, 2, 4],
            Self::Flat => &[1, 2],
            _ => &[2],
        }
    }

    /// How many lines are written if nobody says, in all: a million, or for two paced producers
    /// five seconds.
    pub(crate) fn lines(self) -> u64 {
        if self.is_paced() { 200_000 } else { 1_000_000 }
    }
}

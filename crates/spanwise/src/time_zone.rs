//! The time zone of the lines.

use std::fmt;

use spanwise_core::internal::Grammar;

use spanwise_json::Timestamp;

/// The time zone of the times in lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeZone {
    /// That of the machine, or of the variable `TZ`: as clocks on the wall show it, also when
    /// summer time begins or ends.
    Local,
    /// Coordinated universal time.
    Utc,
}

impl TimeZone {
    pub(crate) const NAMED: [(&str, Self); 2] = [
        (Self::Local.name(), Self::Local),
        (Self::Utc.name(), Self::Utc),
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Utc => "utc",
        }
    }

    /// The times of lines in this zone.
    pub(crate) const fn timestamp(self) -> Timestamp {
        match self {
            Self::Local => Timestamp::micros().local(),
            Self::Utc => Timestamp::micros(),
        }
    }
}

impl Grammar for TimeZone {}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

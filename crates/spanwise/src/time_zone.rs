//! The time zone of the lines.

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

crate::named::named!(TimeZone: Local, Utc);

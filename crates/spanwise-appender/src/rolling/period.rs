//! Periods: the intervals of the clock, such as days and hours, after which a new file starts.

use std::time::SystemTime;

use spanwise_core::internal::rfc3339::since_epoch;
use time::{Date, OffsetDateTime, UtcOffset};

use super::rotation::{Interval, Rotation};

/// The interval of the clock that a time belongs to, and the date of this time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Period {
    /// The date for the name of the rolled file.
    pub(super) date: Date,
    key: IntervalKey,
}

/// Identifies an interval. Compared for equality only, because a clock that is set back also starts
/// a new period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IntervalKey {
    /// There are no intervals, so all times belong to the same period.
    Always,
    /// A day or a week: its Julian day, or that of its Monday.
    Day(i32),
    /// An hour or a minute: the Julian day, the minute of the day at which the interval starts, and
    /// the offset from UTC in seconds. When daylight saving time ends, an hour occurs twice, and
    /// only the offset differs.
    Minute { day: i32, minute: u16, offset: i32 },
}

impl Period {
    /// Returns the period of a time.
    pub(super) fn at(time: SystemTime, rotation: &Rotation) -> Self {
        let mut time = utc(time);
        if rotation.is_local_time {
            // Falls back to UTC if the time zone is unknown.
            let offset = UtcOffset::local_offset_at(time).unwrap_or(UtcOffset::UTC);
            time = time.to_offset(offset);
        }
        let date = time.date();
        let day = date.to_julian_day();
        let key_from_minute = |minute| IntervalKey::Minute {
            day,
            minute,
            offset: time.offset().whole_seconds(),
        };
        let start_of_hour = u16::from(time.hour()) * 60;
        let key = match rotation.every {
            None => IntervalKey::Always,
            Some(Interval::Weekly) => {
                IntervalKey::Day(day - i32::from(date.weekday().number_days_from_monday()))
            }
            Some(Interval::Daily) => IntervalKey::Day(day),
            Some(Interval::Hourly) => key_from_minute(start_of_hour),
            Some(Interval::Minutely) => key_from_minute(start_of_hour + u16::from(time.minute())),
        };
        Self { date, key }
    }

    pub(super) fn is_same(self, other: Self) -> bool {
        self.key == other.key
    }
}

/// Returns the number of minutes since 1970. All times in a minute have the same period, because
/// periods and offset changes only start with a minute.
pub(super) fn minutes_since_epoch(time: SystemTime) -> i64 {
    since_epoch(time).0.div_euclid(60)
}

fn utc(time: SystemTime) -> OffsetDateTime {
    // Limits the time to the years 0000 to 9999, without the first and the last day, so that the
    // local time is in these years, too.
    const MIN_SECONDS: i64 = -62_167_219_200 + 86_400;
    const MAX_SECONDS: i64 = 253_402_300_799 - 86_400;
    let seconds = since_epoch(time).0.clamp(MIN_SECONDS, MAX_SECONDS);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

//! Clock intervals, such as days and hours, and the interval of a record.

use std::time::SystemTime;

use spanwise_core::internal::rfc3339::since_epoch;
use time::{Date, OffsetDateTime, UtcOffset};

use super::rotation::{Interval, Rotation};

/// The clock interval that a record belongs to, and the date of the record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Period {
    pub(super) date: Date,
    key: Key,
}

/// Compared for equality only, because a clock that was set back also starts a new period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Always,
    /// The Julian day; for a week, that of its Monday.
    Day(i32),
    /// The day, the minute of the day at which the interval starts, and the offset from UTC in
    /// seconds. When daylight saving time ends, an hour occurs twice, and only the offset differs.
    Minute {
        day: i32,
        minute: u16,
        offset: i32,
    },
}

impl Period {
    pub(super) fn at(time: SystemTime, rotation: &Rotation) -> Self {
        let mut time = utc(time);
        if rotation.is_local_time {
            // Falls back to UTC if the time zone is unknown.
            let offset = UtcOffset::local_offset_at(time).unwrap_or(UtcOffset::UTC);
            time = time.to_offset(offset);
        }
        let date = time.date();
        let day = date.to_julian_day();
        let key_from_minute = |minute| Key::Minute {
            day,
            minute,
            offset: time.offset().whole_seconds(),
        };
        let start_of_hour = u16::from(time.hour()) * 60;
        let key = match rotation.every {
            None => Key::Always,
            Some(Interval::Weekly) => {
                Key::Day(day - i32::from(date.weekday().number_days_from_monday()))
            }
            Some(Interval::Daily) => Key::Day(day),
            Some(Interval::Hourly) => key_from_minute(start_of_hour),
            Some(Interval::Minutely) => key_from_minute(start_of_hour + u16::from(time.minute())),
        };
        Self { date, key }
    }

    pub(super) fn is_same(self, other: Self) -> bool {
        self.key == other.key
    }
}

/// Returns the minutes since 1970. Within a minute, the period does not change, because all periods
/// and all changes of the offset start with a minute.
pub(super) fn minute(time: SystemTime) -> i64 {
    since_epoch(time).0.div_euclid(60)
}

fn utc(time: SystemTime) -> OffsetDateTime {
    // Limits the time to the years 0000 to 9999, without the first and the last day, so that the
    // local time is in these years, too.
    const MAX_SECONDS: i64 = 253_402_300_799 - 86_400;
    let seconds = since_epoch(time)
        .0
        .clamp(-62_167_219_200 + 86_400, MAX_SECONDS);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

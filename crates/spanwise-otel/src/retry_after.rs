//! The delay that a server requests before the next attempt, with a `Retry-After` header.

use std::time::{Duration, SystemTime};

/// The shortest and the longest delay before the next attempt. A requested delay is clamped to
/// this range.
const MIN_DELAY: Duration = Duration::from_secs(1);
const MAX_DELAY: Duration = Duration::from_secs(60 * 60);

/// Returns the [bounded] delay that a `Retry-After` header requests. `value` is a number of
/// seconds, or a date, which is compared with `now`.
pub(crate) fn parse(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let delay = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        // A date in the past counts as a delay of 0.
        Err(_) => parse_date(value)?.duration_since(now).unwrap_or_default(),
    };
    Some(bounded(delay))
}

/// Returns the delay, but at least [`MIN_DELAY`] and at most [`MAX_DELAY`].
pub(crate) fn bounded(delay: Duration) -> Duration {
    delay.clamp(MIN_DELAY, MAX_DELAY)
}

/// Parses a date such as `Sun, 06 Nov 1994 08:49:37 GMT`, the form that servers must send.
fn parse_date(text: &str) -> Option<SystemTime> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_, date) = text.split_once(", ")?;
    let mut parts = date.split(' ');
    let day = parse_number(parts.next()?, 1..=31)?;
    let month = parts.next()?;
    let month = 1 + MONTHS.iter().position(|name| *name == month)? as u64;
    let year = parse_number(parts.next()?, 1970..=9999)?;
    let mut time = parts.next()?.split(':');
    let hours = parse_number(time.next()?, 0..=23)?;
    let minutes = parse_number(time.next()?, 0..=59)?;
    let seconds = parse_number(time.next()?, 0..=60)?;
    if parts.next() != Some("GMT") || parts.next().is_some() || time.next().is_some() {
        return None;
    }
    let days = days_since_epoch(year, month, day);
    let seconds = ((days * 24 + hours) * 60 + minutes) * 60 + seconds;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn parse_number(digits: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
    digits.parse().ok().filter(|number| range.contains(number))
}

/// Returns the days between 1 January 1970 and a later day.
fn days_since_epoch(year: u64, month: u64, day: u64) -> u64 {
    // Years begin in March here, so that the leap day is the last day of a year.
    let (year, month) = match month {
        1 | 2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    // From March on, five months have 153 days: 31, 30, 31, 30 and 31.
    let days_before_month = (153 * month + 2) / 5;
    // 719,468 days lie between 1 March of the year 0 and 1 January 1970.
    year * 365 + leap_days + days_before_month + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, expected: Option<u64>) {
        // Sun, 06 Nov 1994 08:49:37 GMT.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let expected = expected.map(Duration::from_secs);
        assert_eq!(parse(value, now), expected, "{value}");
    }

    #[test]
    fn seconds_and_dates_are_read_within_bounds() {
        check("120", Some(120));
        check(" 2 ", Some(2));
        check("0", Some(1));
        check("86400", Some(3600));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(1));
        check("Sun, 06 Nov 1994 08:50:37 GMT", Some(60));
        check("Sat, 05 Nov 1994 08:49:37 GMT", Some(1));
        check("Wed, 29 Feb 2096 00:00:00 GMT", Some(3600));
        for invalid in [
            "",
            "-1",
            "1.5",
            "soon",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Now 1994 08:49:37 GMT",
            "Sun, 32 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 0000 08:49:37 GMT",
        ] {
            check(invalid, None);
        }
    }

    #[test]
    fn days_agree_with_the_calendar() {
        let days = |year, month, day| days_since_epoch(year, month, day);
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(2000, 2, 29), 11_016);
        assert_eq!(days(2000, 3, 1), 11_017);
        assert_eq!(days(2026, 11, 29), 20_786);
    }
}

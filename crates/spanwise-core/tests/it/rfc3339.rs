//! Date-times of RFC 3339.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use spanwise_core::internal::rfc3339::{Utc, date_time, offset};

fn check(second: i64, expected: &str) {
    assert_eq!(str::from_utf8(&date_time(second)), Ok(expected));
}

#[test]
fn date_times_follow_the_calendar() {
    check(0, "1970-01-01T00:00:00");
    check(-1, "1969-12-31T23:59:59");
    check(951_782_400, "2000-02-29T00:00:00");
    check(1_735_689_599, "2024-12-31T23:59:59");
    check(1_795_275_906, "2026-11-21T15:45:06");
    check(4_107_542_400, "2100-03-01T00:00:00");
    check(-62_162_121_600, "0000-02-29T00:00:00");
    check(i64::MIN, "0000-01-01T00:00:00");
    check(253_402_300_799, "9999-12-31T23:59:59");
    check(i64::MAX, "9999-12-31T23:59:59");
}

#[test]
fn each_day_follows_the_day_before() {
    let is_leap = |year: u32| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let days_of = |year, month| match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let mut expected = (0_u32, 1, 1);
    // From 0000-01-01 to 9999-12-31.
    for days in -719_528..=2_932_896_i64 {
        let (year, month, day) = expected;
        let mut text = *b"0000-00-00T00:00:00";
        for (at, number) in [(0, year / 100), (2, year % 100), (5, month), (8, day)] {
            text[at] += (number / 10) as u8;
            text[at + 1] += (number % 10) as u8;
        }
        assert_eq!(date_time(days * 86_400), text);
        expected = match (month, day) {
            (12, 31) => (year + 1, 1, 1),
            (_, day) if day == days_of(year, month) => (year, month + 1, 1),
            (_, day) => (year, month, day + 1),
        };
    }
    assert_eq!(expected, (10_000, 1, 1));
}

#[test]
fn offsets_have_hours_and_minutes() {
    for (minutes, expected) in [
        (0, "+00:00"),
        (330, "+05:30"),
        (-600, "-10:00"),
        (-1_439, "-23:59"),
    ] {
        assert_eq!(str::from_utf8(&offset(minutes)), Ok(expected));
    }
}

#[test]
fn utc_shows_microseconds() {
    let check = |time: SystemTime, expected| assert_eq!(Utc(time).to_string(), expected);
    let since = |nanos| UNIX_EPOCH + Duration::from_nanos(nanos);
    check(
        since(1_795_275_906_000_001_999),
        "2026-11-21T15:45:06.000001Z",
    );
    check(since(999_999_999), "1970-01-01T00:00:00.999999Z");
    check(
        UNIX_EPOCH - Duration::from_nanos(1),
        "1969-12-31T23:59:59.999999Z",
    );
    let earliest = UNIX_EPOCH.checked_sub(Duration::from_secs(1 << 63));
    check(
        earliest.unwrap_or(UNIX_EPOCH - Duration::from_secs(1 << 36)),
        "0000-01-01T00:00:00.000000Z",
    );
}

//! [RFC 3339] date-times, written digit by digit, without allocation.
//!
//! The calendar covers the years 0 to 9999, which have four digits. An earlier time is shown as
//! 0000-01-01T00:00:00, and a later time as 9999-12-31T23:59:59.
//!
//! [RFC 3339]: https://www.rfc-editor.org/rfc/rfc3339

use std::{
    fmt,
    time::{SystemTime, SystemTimeError, UNIX_EPOCH},
};

/// Displays a time in UTC, with microseconds: `2026-11-20T08:46:12.123456Z`.
///
/// ```
/// use std::time::UNIX_EPOCH;
/// use spanwise_core::internal::rfc3339::Utc;
///
/// assert_eq!(Utc(UNIX_EPOCH).to_string(), "1970-01-01T00:00:00.000000Z");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Utc(pub SystemTime);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (second, nanos) = since_epoch(self.0);
        let mut micros = [0; 6];
        write_fraction(&mut micros, nanos);
        let ascii = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
        let date_time = date_time(second);
        write!(f, "{}.{}Z", ascii(&date_time), ascii(&micros))
    }
}

/// Returns the seconds since 1970 (negative for earlier times), and the nanoseconds within the
/// second.
#[inline(always)] // Called by `JsonLayer` for each line.
#[must_use]
pub fn since_epoch(time: SystemTime) -> (i64, u32) {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => (since.as_secs().cast_signed(), since.subsec_nanos()),
        Err(before) => before_epoch(&before),
    }
}

#[cold]
fn before_epoch(before: &SystemTimeError) -> (i64, u32) {
    let before = before.duration();
    // The earliest time of a system is 2⁶³ seconds before 1970, which is too large for an `i64`.
    let second = 0_i64.saturating_sub_unsigned(before.as_secs());
    match before.subsec_nanos() {
        0 => (second, 0),
        nanos => (second.saturating_sub(1), 1_000_000_000 - nanos),
    }
}

/// Returns the date and the time of day, `second` seconds after 1970 began:
/// `2026-11-20T08:46:12`. For local time, add the offset from UTC to `second`.
#[must_use]
pub fn date_time(second: i64) -> [u8; DATE_TIME_LEN] {
    let second = second.clamp(FIRST_SECOND, LAST_SECOND);
    let (year, month, day) = date(second.div_euclid(SECONDS_PER_DAY));
    let second_of_day = second.rem_euclid(SECONDS_PER_DAY) as u32;
    let mut text = *b"0000-00-00T00:00:00";
    write_digits(&mut text[..4], year);
    for (at, number) in [
        (5, month),
        (8, day),
        (11, second_of_day / 3600),
        (14, second_of_day / 60 % 60),
        (17, second_of_day % 60),
    ] {
        write_digits(&mut text[at..at + 2], number);
    }
    text
}

/// The length of a date and a time of day in bytes: `2026-11-20T08:46:12`.
pub const DATE_TIME_LEN: usize = 19;

/// Returns the offset from UTC of `minutes` east of Greenwich: `+05:30`. Hours above 99 lose all
/// but their last two digits.
#[must_use]
pub fn offset(minutes: i16) -> [u8; 6] {
    let mut text = *b"+00:00";
    if minutes < 0 {
        text[0] = b'-';
    }
    let minutes = u32::from(minutes.unsigned_abs());
    write_digits(&mut text[1..3], minutes / 60);
    write_digits(&mut text[4..], minutes % 60);
    text
}

/// Writes `nanos` as the decimal fraction of a second. The length of `digits` is 3, 6 or 9.
#[inline]
pub fn write_fraction(digits: &mut [u8], nanos: u32) {
    match digits.len() {
        3 => write_digits(digits, nanos / 1_000_000),
        6 => write_digits(digits, nanos / 1_000),
        _ => write_digits(digits, nanos),
    }
}

/// Fills `digits` with the last decimal digits of `number`. Works from the end, two digits at a
/// time.
#[inline]
fn write_digits(digits: &mut [u8], mut number: u32) {
    let mut pairs = digits.rchunks_exact_mut(2);
    for pair in &mut pairs {
        pair.copy_from_slice(&DIGIT_PAIRS[(number % 100) as usize]);
        number /= 100;
    }
    if let [first] = pairs.into_remainder() {
        *first = b'0' + (number % 10) as u8;
    }
}

/// Returns the year, the month and the day that is `days` days after 1970-01-01, with Howard
/// Hinnant's [`civil_from_days`]. The algorithm uses years that start in March, so that the leap
/// day is at the end. The lengths of these years repeat every 400 years, an era.
///
/// [`civil_from_days`]: https://howardhinnant.github.io/date_algorithms.html#civil_from_days
fn date(days: i64) -> (u32, u32, u32) {
    let days = days + 719_468; // days since 0000-03-01
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_after_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_after_march + 2) / 5 + 1;
    let month = if months_after_march < 10 {
        months_after_march + 3
    } else {
        months_after_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year as u32, month as u32, day as u32)
}

const SECONDS_PER_DAY: i64 = 86_400;

/// 0000-01-01T00:00:00Z
const FIRST_SECOND: i64 = -62_167_219_200;

/// 9999-12-31T23:59:59Z
const LAST_SECOND: i64 = 253_402_300_799;

/// The digits of the numbers `00` to `99`.
static DIGIT_PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut n = 0;
    while n < 100 {
        pairs[n] = [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    pairs
};

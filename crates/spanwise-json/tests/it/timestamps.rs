//! Timestamps at each precision and offset, and of clocks that are far off.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use spanwise_core::Clock;
use spanwise_json::{Format, Timestamp};
use tracing::info;

use crate::support::lines;

fn check_at(timestamp: Timestamp, now: SystemTime, expected: &str) {
    let clock = Clock::manual(now);
    let lines = lines(
        |layer| layer.clock(clock).timestamp(timestamp),
        || info!("m"),
    );
    assert_eq!(lines.only()["timestamp"], expected);
}

fn check(timestamp: Timestamp, nanos_since_epoch: i64, expected: &str) {
    let by = Duration::from_nanos(nanos_since_epoch.unsigned_abs());
    let now = match nanos_since_epoch {
        ..0 => UNIX_EPOCH - by,
        _ => UNIX_EPOCH + by,
    };
    check_at(timestamp, now, expected);
}

#[test]
fn timestamp_has_each_precision_and_offset() {
    let then = 1_795_165_687_123_456_789;
    let seconds = Timestamp::seconds();
    let millis = Timestamp::millis();
    check(seconds, then, "2026-11-20T09:08:07Z");
    check(millis, then, "2026-11-20T09:08:07.123Z");
    check(Timestamp::micros(), then, "2026-11-20T09:08:07.123456Z");
    check(Timestamp::nanos(), then, "2026-11-20T09:08:07.123456789Z");
    for (timestamp, expected) in [
        (
            millis.at_offset_minutes(330),
            "2026-11-20T14:38:07.123+05:30",
        ),
        (seconds.at_offset_minutes(-600), "2026-11-19T23:08:07-10:00"),
        (
            seconds.at_offset_minutes(i16::MIN),
            "2026-11-19T09:09:07-23:59",
        ),
    ] {
        check(timestamp, then, expected);
    }
}

#[test]
fn clock_outside_the_calendar_has_a_timestamp() {
    let seconds = Timestamp::seconds();
    check(Timestamp::micros(), -1, "1969-12-31T23:59:59.999999Z");
    check(seconds, -1_000_000_000, "1969-12-31T23:59:59Z");
    check(seconds, 951_782_400_000_000_000, "2000-02-29T00:00:00Z");
    let far = UNIX_EPOCH + Duration::from_secs(400_000_000_000);
    check_at(seconds, far, "9999-12-31T23:59:59Z");
}

#[test]
fn nanoseconds_since_1970_fit_in_64_bits() {
    for (seconds, expected) in [
        (18_446_744_072, "18446744072000000000"),
        (18_446_744_074, "18446744072000000000"),
        (u64::MAX / 2 - 1, "18446744072000000000"),
    ] {
        let clock = Clock::manual(UNIX_EPOCH + Duration::from_secs(seconds));
        let shown = lines(
            |layer| layer.clock(clock).format(Format::Otlp),
            || info!("m"),
        )
        .only();
        let record = &shown["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
        assert_eq!(record["timeUnixNano"], expected);
    }
}

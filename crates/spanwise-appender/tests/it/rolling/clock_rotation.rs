//! Files roll with every interval, for any change of the clock.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use super::support::{DAY, HOUR, MINUTE, clock, log, names, noon, read};
use spanwise_appender::{Retention, RollingFile};
use spanwise_core::Clock;
use tempfile::tempdir;

fn file(dir: &Path, rotation: &str, clock: &Clock) -> RollingFile {
    let builder = RollingFile::builder(dir.join("app.log")).rotation(rotation.parse().unwrap());
    builder
        .retention(Retention::all())
        .clock(clock.clone())
        .build()
        .unwrap()
}

#[test]
fn every_interval_has_its_file() {
    for (rotation, interval) in [
        ("minutely", MINUTE),
        ("hourly", HOUR),
        ("daily", DAY),
        ("weekly", 7 * DAY),
    ] {
        let (dir, clock) = (tempdir().unwrap(), clock());
        let file = file(dir.path(), rotation, &clock);
        log(&file, "a");
        log(&file, "b");
        clock.advance(interval);
        log(&file, "c");
        let rolled = read(dir.path().join("app.2026-11-20.1.log"));
        assert_eq!(
            (rolled.as_str(), read(file.path()).as_str()),
            ("a\nb\n", "c\n"),
            "{rotation}"
        );
    }
}

#[test]
fn days_start_at_midnight_and_weeks_on_monday() {
    for (rotation, within, over) in [
        ("daily", 12 * HOUR - MINUTE, MINUTE),
        ("weekly", 2 * DAY + 12 * HOUR - MINUTE, MINUTE),
    ] {
        let (dir, clock) = (tempdir().unwrap(), clock());
        let file = file(dir.path(), rotation, &clock);
        log(&file, "a");
        clock.advance(within);
        log(&file, "b");
        assert_eq!(names(dir.path()), ["app.log"], "{rotation}");
        clock.advance(over);
        log(&file, "c");
        assert_eq!(read(file.path()), "c\n", "{rotation}");
    }
}

#[test]
fn intervals_follow_the_calendar() {
    let second = Duration::from_secs(1);
    // A Friday.
    let midnight = noon() - 12 * HOUR;
    let monday = midnight - 4 * DAY;
    for (rotation, from, same, other) in [
        (
            "minutely",
            midnight,
            midnight + 59 * second,
            midnight + MINUTE,
        ),
        ("minutely", midnight, midnight, midnight + HOUR),
        (
            "hourly",
            midnight,
            midnight + HOUR - second,
            midnight + HOUR,
        ),
        ("hourly", midnight, midnight, midnight + DAY),
        (
            "daily",
            midnight,
            midnight + DAY - second,
            midnight - second,
        ),
        (
            "weekly",
            monday,
            monday + 7 * DAY - second,
            monday + 7 * DAY,
        ),
    ] {
        let (dir, clock) = (tempdir().unwrap(), clock());
        let file = file(dir.path(), rotation, &clock);
        for (now, line, files) in [(from, "a", 1), (same, "b", 1), (other, "c", 2)] {
            clock.set(now);
            log(&file, line);
            assert_eq!(names(dir.path()).len(), files, "{rotation}: {line}");
        }
    }
}

#[test]
fn time_without_a_date_becomes_the_nearest_date() {
    let epoch = SystemTime::UNIX_EPOCH;
    let centuries = Duration::from_secs(1 << 40);
    for (now, rolled) in [
        (epoch + centuries, "app.9999-12-30.1.log"),
        (epoch - centuries, "app.0000-01-02.1.log"),
        (epoch - Duration::from_millis(1), "app.1969-12-31.1.log"),
    ] {
        let (dir, clock) = (tempdir().unwrap(), Clock::manual(now));
        let file = file(dir.path(), "minutely,2B", &clock);
        ["a", "b"].iter().for_each(|line| log(&file, line));
        assert_eq!(names(dir.path()), [rolled, "app.log"]);
    }
}

#[test]
fn interval_without_records_has_no_file() {
    let (dir, clock) = (tempdir().unwrap(), clock());
    let file = file(dir.path(), "daily", &clock);
    clock.advance(DAY);
    log(&file, "a");
    clock.advance(9 * DAY);
    log(&file, "b");
    assert_eq!(names(dir.path()), ["app.2026-11-21.1.log", "app.log"]);
}

#[test]
fn jumping_clock_loses_nothing() {
    let (dir, clock) = (tempdir().unwrap(), clock());
    let file = file(dir.path(), "daily", &clock);
    let jumps = [
        noon(),
        noon() + 90 * MINUTE / 60,
        noon() - DAY,
        noon() + 3653 * DAY,
        noon(),
    ];
    for (n, now) in jumps.into_iter().enumerate() {
        clock.set(now);
        log(&file, &n.to_string());
    }
    assert_eq!(
        names(dir.path()),
        [
            "app.2026-11-19.1.log",
            "app.2026-11-20.1.log",
            "app.2036-11-20.1.log",
            "app.log"
        ]
    );
    assert_eq!(read(dir.path().join("app.2026-11-20.1.log")), "0\n1\n");
    clock.advance(DAY);
    log(&file, "5");
    assert_eq!(read(dir.path().join("app.2026-11-20.2.log")), "4\n");
}

#[test]
fn yesterdays_file_rolls_at_todays_first_record() {
    let (dir, clock) = (tempdir().unwrap(), clock());
    let path = dir.path().join("app.log");
    fs::write(&path, "yesterday\n").unwrap();
    fs::File::open(&path)
        .unwrap()
        .set_modified(noon() - DAY)
        .unwrap();
    let file = file(dir.path(), "daily", &clock);
    assert_eq!(names(dir.path()), ["app.log"]);
    log(&file, "today");
    assert_eq!(read(dir.path().join("app.2026-11-19.1.log")), "yesterday\n");
    assert_eq!(read(&path), "today\n");
}

#[test]
fn todays_file_is_appended_to_after_a_restart() {
    let (dir, clock) = (tempdir().unwrap(), Clock::system());
    log(&file(dir.path(), "weekly", &clock), "a");
    log(&file(dir.path(), "weekly", &clock), "b");
    // Unless it is Sunday night.
    let lines: String = names(dir.path())
        .iter()
        .map(|name| read(dir.path().join(name)))
        .collect();
    assert_eq!(lines, "a\nb\n");
}

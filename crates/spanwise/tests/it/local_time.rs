//! Local times. The process of the test is in a zone that is far from UTC.

use serde_json::Value;
use spanwise::{Builder, Preset, layer::JsonLayer};
use tracing::info;

use crate::support::{LOCAL_OFFSET, Lines};

/// The minute of the day in `10:23:45.678`.
fn minute_of_day(time: &str) -> i64 {
    let mut parts = time
        .split(':')
        .map(|part| part[..2].parse::<i64>().unwrap());
    let (hour, minute) = (parts.next().unwrap(), parts.next().unwrap());
    hour * 60 + minute
}

/// Returns the difference in minutes between `time` and UTC. Both were read within one minute.
fn offset(time: &str, utc: &Value) -> i64 {
    let utc = utc["timestamp"].as_str().unwrap();
    assert!(utc.ends_with('Z'), "{utc}");
    let (_, utc) = utc.split_once('T').unwrap();
    (minute_of_day(time) - minute_of_day(utc)).rem_euclid(24 * 60)
}

#[track_caller]
fn assert_offset(actual: i64, expected: i64) {
    assert!(
        (actual - expected).abs() <= 1,
        "{actual} and not {expected}"
    );
}

/// Returns the timestamp of the only line, and the same event in UTC.
fn lines(vars: &[(&str, &str)]) -> (String, Value) {
    let (lines, utc) = (Lines::default(), Lines::default());
    let _telemetry = Builder::from_vars(vars.iter().copied())
        .unwrap()
        .with_writer(lines.clone())
        .layer(JsonLayer::new().with_writer(utc.clone()))
        .init()
        .unwrap();
    info!("now");
    let is_event = |line: &&str| line.contains("now");
    (
        lines.text().lines().find(is_event).unwrap().to_owned(),
        utc.with_message("now"),
    )
}

#[test]
fn dev_shows_local_times() {
    alone!();
    let (line, utc) = lines(&[("LOG_PRESET", "dev"), ("LOG_COLOR", "never")]);
    assert_offset(offset(&line, &utc), LOCAL_OFFSET);
}

#[test]
fn dev_in_utc() {
    alone!();
    let (line, utc) = lines(&[
        ("LOG_PRESET", "dev"),
        ("LOG_TIME", "utc"),
        ("NO_COLOR", "1"),
    ]);
    assert_offset(offset(&line, &utc), 0);
}

#[test]
fn json_is_in_utc_under_every_preset() {
    alone!();
    let (line, utc) = lines(&[("LOG_PRESET", "dev"), ("LOG_FORMAT", "json")]);
    let line: Value = serde_json::from_str(&line).unwrap();
    let timestamp = line["timestamp"].as_str().unwrap();
    assert!(timestamp.ends_with('Z'), "{timestamp}");
    assert_offset(offset(timestamp.split_once('T').unwrap().1, &utc), 0);
}

#[test]
fn json_in_local_time_has_the_offset() {
    alone!();
    let (line, utc) = lines(&[("LOG_PRESET", "prod"), ("LOG_TIME", "local")]);
    let line: Value = serde_json::from_str(&line).unwrap();
    let timestamp = line["timestamp"].as_str().unwrap();
    assert!(timestamp.ends_with("+05:45"), "{timestamp}");
    assert_offset(
        offset(timestamp.split_once('T').unwrap().1, &utc),
        LOCAL_OFFSET,
    );
}

#[test]
fn zone_from_code_beats_variable_beats_preset() {
    let explained = |builder: Builder| {
        let text = builder.explain().to_string();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("LOG_TIME = "));
        line.unwrap().to_owned()
    };
    assert_eq!(explained(Builder::new(Preset::Dev)), "local (preset dev)");
    assert_eq!(
        explained(Builder::new(Preset::Dev).format("json")),
        "utc (default)"
    );
    assert_eq!(explained(Builder::new(Preset::Prod)), "utc (default)");
    assert_eq!(
        explained(Builder::new(Preset::Prod).format("pretty")),
        "utc (preset prod)"
    );
    assert_eq!(explained(Builder::new(Preset::Test)), "utc (preset test)");
    let env = || Builder::from_vars([("LOG_TIME", "local"), ("LOG_PRESET", "prod")]).unwrap();
    assert_eq!(explained(env()), "local (LOG_TIME)");
    assert_eq!(explained(env().time("utc")), "utc (code)");
}

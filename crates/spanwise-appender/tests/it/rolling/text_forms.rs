//! Text forms of the settings, and their errors.

use std::{fmt::Display, str::FromStr};

use spanwise_appender::{ByteSize, Compression, Retention, Rotation};

/// Checks that each text has this displayed form, which parses to the same value.
#[track_caller]
fn check_shown<T>(cases: &[(&str, &str)])
where
    T: FromStr<Err: PartialEq + std::fmt::Debug> + Display + PartialEq + std::fmt::Debug,
{
    for (text, shown) in cases {
        let value: T = text.parse().unwrap();
        assert_eq!(value.to_string(), *shown, "{text}");
        assert_eq!(shown.parse(), Ok(value));
    }
}

/// Checks that the error of each text contains this part.
#[track_caller]
fn check_errors<T>(cases: &[(&str, &str)])
where
    T: FromStr<Err: Display> + std::fmt::Debug,
{
    for (text, part) in cases {
        let error = text.parse::<T>().err().unwrap().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn sizes_round_trip() {
    for (text, bytes, shown) in [
        ("64MiB", 64 << 20, "64MiB"),
        ("1GB", 1_000_000_000, "1GB"),
        ("512 kib", 512 << 10, "512KiB"),
        ("100B", 100, "100B"),
        ("1024B", 1024, "1KiB"),
        ("0B", 0, "0B"),
        ("18446744073709551615B", u64::MAX, "18446744073709551615B"),
    ] {
        assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        check_shown::<ByteSize>(&[(text, shown)]);
    }
}

#[test]
fn invalid_sizes_explain_themselves() {
    check_errors::<ByteSize>(&[
        ("", "is not a size"),
        ("MiB", "is not a size"),
        ("-1MiB", "is not a size"),
        ("1.5GiB", "whole number"),
        ("10", "has no unit: write `10MiB`"),
        ("1024", "has no unit: write `1024B`"),
        ("10M", "did you mean `10MiB`?"),
        ("10XB", "one of B, KiB"),
        ("99999999999999999999TiB", "out of range"),
        ("16777216TiB", "out of range"),
    ]);
}

#[test]
fn retention_round_trips() {
    check_shown::<Retention>(&[
        ("14,30d,10GiB,free=5GiB", "14 files,30d,10GiB,free=5GiB"),
        ("free = 5GiB , 2w", "14d,free=5GiB"),
        ("90m", "90m"),
        ("30 d", "30d"),
        ("14 files, 2 w, 10 GiB", "14 files,14d,10GiB"),
        ("36h", "36h"),
        ("All", "all"),
    ]);
    assert_eq!(Retention::default().to_string(), "14 files");
}

#[test]
fn invalid_retentions_explain_themselves() {
    let forms = "write a number such as `14 files`, an age such as `30d`, a size such as \
                 `10GiB`, free space such as `free=5GiB`, or `all` alone";
    check_errors::<Retention>(&[
        ("", &format!("`` is not a valid retention: {forms}")),
        ("al", "did you mean `all`?"),
        ("0", "keeps no file"),
        ("0d", "keeps no file"),
        ("0 d", "keeps no file"),
        ("0B", "keeps no file"),
        (
            "14,15",
            "`14,15` has two limits of one kind: remove `15` or the other",
        ),
        (
            "14,all",
            "`14,all` has `all` and a limit: write `all` alone, or remove it",
        ),
        (
            "all,all",
            "`all,all` has `all` and a limit: write `all` alone, or remove it",
        ),
        ("fre=1GiB", "did you mean `free=5GiB`?"),
        ("free=1", "has no unit"),
        (
            "14z",
            "`14z` is not a valid retention: unknown unit `z`; write `14 files`, an age such as \
             `14d`, or a size such as `14GiB`",
        ),
        ("14 fils", "unknown unit `fils`"),
        ("30M", "did you mean `30MiB`?"),
        (
            "99999999999999999999",
            "out of range: write a smaller number",
        ),
        (
            "99999999999999999999d",
            "out of range: write a smaller number",
        ),
        (
            "18446744073709551615w",
            "out of range: write a smaller number",
        ),
        ("16777216TiB", "out of range"),
    ]);
}

#[test]
fn rotation_round_trips() {
    check_shown::<Rotation>(&[
        ("100MiB,daily", "daily,100MiB"),
        ("hourly", "hourly"),
        ("Minutely , UTC", "minutely"),
        ("weekly,local,start,1B", "weekly,1B,start,local"),
        ("never", "never"),
        ("never,local", "never,local"),
    ]);
    assert_eq!(Rotation::default().to_string(), "daily,100MiB");
}

#[test]
fn invalid_rotations_explain_themselves() {
    check_errors::<Rotation>(&[
        ("", "is not a rotation"),
        ("dailly", "did you mean `daily`?"),
        ("10", "`10` has no unit"),
        ("0MiB", "at least 1B"),
        ("daily,hourly", "twice"),
        ("never,daily", "only one of the two"),
        ("daily,local,utc", "only one of the two"),
        ("local", "has no rotation"),
        ("daily,", "is not a rotation"),
    ]);
}

#[test]
fn compression_round_trips_or_names_its_feature() {
    for (compression, is_compiled_in) in [
        (Compression::None, true),
        (Compression::Gzip, cfg!(feature = "gzip")),
        (Compression::Zstd, cfg!(feature = "zstd")),
    ] {
        match compression.to_string().parse::<Compression>() {
            Ok(parsed) => assert_eq!(parsed, compression),
            Err(error) => {
                assert!(!is_compiled_in);
                let error = error.to_string();
                assert!(error.contains("enable the cargo feature"), "{error}");
            }
        }
    }
    check_errors::<Compression>(&[(
        "gzp",
        "`gzp` is not a compression: did you mean `gzip`? write one of none, gzip, zstd",
    )]);
}

//! The retention deletes only old files.

use std::{
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::support::dir_in_memory;

use super::support::{DAY, HOUR, clock, log, names, noon};
use spanwise_appender::{ByteSize, Retention, RollingFile, Rotation};
use spanwise_core::{Fault, SelfReport};
use spanwise_testing::support::wait_until;
use tempfile::tempdir;

fn keeping(dir: &Path, retention: Retention) -> RollingFile {
    let builder =
        RollingFile::builder(dir.join("app.log")).rotation(Rotation::never().at_size(ByteSize(2)));
    builder.retention(retention).clock(clock()).build().unwrap()
}

fn rolled(dir: &Path, name: &str, bytes: usize, age: Duration) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, "x".repeat(bytes)).unwrap();
    fs::File::options()
        .append(true)
        .open(&path)
        .unwrap()
        .set_modified(noon() - age)
        .unwrap();
    path
}

/// Creates five rolled files of 100 bytes, one per day.
fn five(dir: &Path) {
    for (day, number) in [(16, 1), (17, 1), (18, 9), (18, 10), (19, 1)] {
        rolled(
            dir,
            &format!("app.2026-11-{day}.{number}.log"),
            100,
            DAY * (20 - day),
        );
    }
}

#[test]
fn every_limit_applies_from_the_start() {
    let files = |files| Retention::all().files(NonZeroUsize::new(files).unwrap());
    for (retention, stay) in [
        (Retention::all(), 5),
        (files(3), 3),
        (files(9), 5),
        (Retention::all().age(2 * DAY + HOUR), 3),
        (Retention::all().total(ByteSize(250)), 2),
        (files(4).age(3 * DAY + HOUR).total(ByteSize(150)), 1),
        (Retention::all().free(ByteSize(1)), 5),
        (Retention::all().free(ByteSize(u64::MAX)), 0),
    ] {
        let dir = tempdir().unwrap();
        five(dir.path());
        let all = names(dir.path());
        // In numeric order: 10 comes after 9.
        let order = [0, 1, 3, 2, 4];
        let expected: Vec<&str> = order[5 - stay..]
            .iter()
            .map(|index| all[*index].as_str())
            .collect();
        let _file = keeping(dir.path(), retention.clone());
        let same = || {
            let mut names = names(dir.path());
            names.retain(|name| name != "app.log");
            let mut expected = expected.clone();
            expected.sort_unstable();
            names == expected
        };
        wait_until(
            &format!("{retention}: {expected:?}, not {:?}", names(dir.path())),
            same,
        );
    }
}

#[test]
fn dry_run_lists_the_files_to_delete() {
    let dir = tempdir().unwrap();
    // The last step at the start.
    let old = rolled(dir.path(), "app.2026-11-01.1.log", 1000, DAY);
    let file = keeping(dir.path(), "250B".parse().unwrap());
    wait_until("the start is over", || !old.exists());
    five(dir.path());
    rolled(dir.path(), "app.2026-11-18.9.log.gz", 10, DAY);
    let mut going = file.retention_dry_run().unwrap();
    going.sort();
    let expected = [
        "app.2026-11-16.1.log",
        "app.2026-11-17.1.log",
        "app.2026-11-18.9.log",
        "app.2026-11-18.9.log.gz",
    ];
    assert_eq!(going, expected.map(|name| dir.path().join(name)));
    assert_eq!(names(dir.path()).len(), 7);
}

#[test]
fn roll_deletes_old_files() {
    let dir = tempdir().unwrap();
    let file = keeping(dir.path(), "3".parse().unwrap());
    for n in 0..10 {
        log(&file, &n.to_string());
    }
    let expected = [
        "app.2026-11-20.7.log",
        "app.2026-11-20.8.log",
        "app.2026-11-20.9.log",
        "app.log",
    ];
    wait_until("three are left", || names(dir.path()) == expected);
}

#[test]
fn similar_names_are_never_touched() {
    let dir = tempdir().unwrap();
    let foreign = [
        "app.log-payroll.db",
        "app.log.pgdump",
        "app.2026-11-01.3.log.bak",
        "app.2026-11-01.3.log.gz.bak",
        "app.2026-11-01.03.log",
        "app.2026-11-01.0.log",
        "app.2026-11-01..log",
        "app.2026-11-01.log",
        "app.2026-11-01.-3.log",
        "app.2026-11-01.9999999999999999999.log",
        "app.2026-02-29.3.log",
        "app.2026-11-31.1.log",
        "app.2026-13-01.3.log",
        "app.+026-11-01.3.log",
        "app.2026-11-2.33.log",
        "app2.2026-11-01.3.log",
        "app.2.2026-11-01.1.log",
        "App.2026-11-01.3.log",
        "app.2026-11-01.3",
        "app.2026-11-01.3.gz",
        "app.2026-11-01.3.logs",
        "other.2026-11-01.1.log",
        "app.2026-11-01.1.log.gz.tmp.bak",
    ];
    foreign
        .iter()
        .for_each(|name| drop(rolled(dir.path(), name, 1, 90 * DAY)));
    fs::create_dir(dir.path().join("app.2026-11-01.1.log")).unwrap();
    let elsewhere = tempdir().unwrap();
    let target = rolled(elsewhere.path(), "precious", 1, 90 * DAY);
    std::os::unix::fs::symlink(&target, dir.path().join("app.2026-11-01.2.log")).unwrap();
    let old = rolled(dir.path(), "app.2026-11-01.4.log", 1, 90 * DAY);
    let _file = keeping(dir.path(), "1d,1B".parse().unwrap());
    wait_until("the old file is deleted", || !old.exists());
    assert_eq!(names(dir.path()).len(), foreign.len() + 3);
    assert!(target.exists());
}

#[test]
fn names_without_an_ordinary_extension_are_known() {
    for (path, old) in [
        ("app.log", "app.2024-02-29.17.log"),
        ("app", "app.2024-02-29.17"),
        ("a.b.c", "a.b.2024-02-29.17.c"),
        (".hidden", ".hidden.2024-02-29.17"),
    ] {
        let dir = tempdir().unwrap();
        let forms = ["", ".gz", ".zst", ".gz.tmp", ".zst.tmp"];
        let old = forms.map(|form| rolled(dir.path(), &format!("{old}{form}"), 1, 90 * DAY));
        let builder = RollingFile::builder(dir.path().join(path)).clock(clock());
        let _file = builder.retention("1d".parse().unwrap()).build().unwrap();
        wait_until(path, || old.iter().all(|file| !file.exists()));
    }
}

#[test]
fn further_processes_have_rolled_files_of_their_own() {
    let dir = tempdir().unwrap();
    let mut files = Vec::new();
    for (name, rolled_name) in [
        ("app", "app.2026-11-20.1"),
        ("app.2", "app.2.2026-11-20.1"),
        ("app.3", "app.3.2026-11-20.1"),
    ] {
        let rotation = Rotation::never().at_size(ByteSize(2));
        let builder = RollingFile::builder(dir.path().join("app")).rotation(rotation);
        let file = builder.clock(clock()).per_process().build().unwrap();
        assert_eq!(file.path(), dir.path().join(name));
        ["a", "b"].iter().for_each(|line| log(&file, line));
        assert_eq!(fs::read(dir.path().join(rolled_name)).unwrap(), b"a\n");
        files.push(file);
    }
}

/// More names than a logging thread reads.
const FILE_COUNT: usize = 6_000;

#[test]
fn many_old_files_are_numbered_on_and_deleted() {
    let dir = dir_in_memory();
    for n in 1..=FILE_COUNT {
        let name = match n % 2 {
            1 => format!("foreign-{n}"),
            _ => format!("app.2026-11-20.{n}.log"),
        };
        fs::File::create(dir.path().join(name)).unwrap();
    }
    let report = SelfReport::silent();
    let builder = RollingFile::builder(dir.path().join("app.log"))
        .rotation(Rotation::never().at_size(ByteSize(2)));
    let file = builder
        .retention("10".parse().unwrap())
        .clock(clock())
        .report(&report)
        .build()
        .unwrap();
    // The file stays in use until the numbers were read.
    let mut lines = 0;
    let next = dir
        .path()
        .join(format!("app.2026-11-20.{}.log", FILE_COUNT + 1));
    wait_until("it rolls", || {
        log(&file, "a");
        lines += 1;
        next.exists()
    });
    let rolled = fs::read(&next).unwrap().len() + fs::read(file.path()).unwrap().len();
    assert_eq!(rolled, lines * "a\n".len());
    let left = || fs::read_dir(dir.path()).unwrap().count();
    // Ten rolled files, the active one and its lock.
    wait_until("ten are left", || left() == FILE_COUNT / 2 + 10 + 2);
    assert_eq!(report.stats().faults, []);
}

#[test]
fn numbers_stop_at_the_maximum() {
    let dir = tempdir().unwrap();
    let last = dir.path().join("app.2026-11-20.999999999999999999.log");
    fs::write(&last, "").unwrap();
    let (report, clock) = (SelfReport::silent(), clock());
    let builder =
        RollingFile::builder(dir.path().join("app.log")).rotation("daily,2B".parse().unwrap());
    let file = builder
        .clock(clock.clone())
        .report(&report)
        .build()
        .unwrap();
    ["a", "b"].iter().for_each(|line| log(&file, line));
    // On that day, the file stays in use.
    assert_eq!(fs::read(file.path()).unwrap(), b"a\nb\n");
    assert_eq!(report.stats().faults, [(Fault::Setup, 1)]);
    fs::rename(&last, dir.path().join("elsewhere")).unwrap();
    clock.advance(DAY);
    // The file rolls when a thread has scanned the directory. A scan from before the rename is used
    // once.
    wait_until("a file of the next day", || {
        clock.advance(Duration::from_secs(1));
        log(&file, "c");
        !fs::read(file.path()).unwrap().starts_with(b"a")
    });
    let next = fs::read(file.path()).unwrap();
    assert!(next.chunks(2).all(|line| line == b"c\n"), "{next:?}");
}

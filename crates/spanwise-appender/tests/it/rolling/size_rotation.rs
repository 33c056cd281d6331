//! Files roll before they exceed their size, and no name is used twice.

use std::{collections::BTreeSet, fs, io::Write as _, thread};

use super::support::{all_lines, clock, log, names, noon, read};
use spanwise_appender::{
    ByteSize, Compression, Retention, RollingFile, RollingFileBuilder, Rotation,
};
use tempfile::tempdir;

fn at_size(path: impl Into<std::path::PathBuf>, size: u64) -> RollingFileBuilder {
    let rotation = Rotation::never().at_size(ByteSize(size));
    RollingFile::builder(path)
        .rotation(rotation)
        .retention(Retention::all())
        .clock(clock())
}

#[test]
fn files_stay_within_size_and_records_whole() {
    let dir = tempdir().unwrap();
    let file = at_size(dir.path().join("app.log"), 100).build().unwrap();
    let lines: Vec<String> = (0..200)
        .map(|n| format!("{n:04}{}", "x".repeat(n % 90)))
        .collect();
    lines.iter().for_each(|line| log(&file, line));
    assert_eq!(all_lines(dir.path()), lines);
    for name in names(dir.path()) {
        let text = read(dir.path().join(&name));
        assert!(text.len() <= 100 && text.ends_with('\n'), "{name}: {text}");
    }
}

#[test]
fn file_is_filled_to_its_last_byte() {
    let dir = tempdir().unwrap();
    let file = at_size(dir.path().join("app.log"), 10).build().unwrap();
    ["1234", "6789", "b"]
        .into_iter()
        .for_each(|line| log(&file, line));
    assert_eq!(
        read(dir.path().join("app.2026-11-20.1.log")),
        "1234\n6789\n"
    );
    assert_eq!(read(file.path()), "b\n");
}

#[test]
fn oversize_record_is_whole_and_alone() {
    let dir = tempdir().unwrap();
    let file = at_size(dir.path().join("app.log"), 10).build().unwrap();
    let large = "x".repeat(1_000_000);
    ["a", &large, "b"]
        .into_iter()
        .for_each(|line| log(&file, line));
    assert_eq!(read(dir.path().join("app.2026-11-20.1.log")), "a\n");
    assert_eq!(
        read(dir.path().join("app.2026-11-20.2.log")).len(),
        1_000_001
    );
    assert_eq!(read(file.path()), "b\n");
}

#[test]
fn threads_share_a_file() {
    let dir = tempdir().unwrap();
    let file = at_size(dir.path().join("app.log"), 200).build().unwrap();
    thread::scope(|scope| {
        for thread in 0..4 {
            let file = &file;
            scope.spawn(move || (0..100).for_each(|n| log(file, &format!("{thread}-{n}"))));
        }
    });
    let lines = all_lines(dir.path());
    assert_eq!(lines.len(), 400);
    assert_eq!(lines.iter().collect::<BTreeSet<_>>().len(), 400);
}

#[test]
fn numbers_continue_after_restart_and_deletion() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("app.log");
    let write = |lines: &[&str]| {
        let file = at_size(&path, 2).build().unwrap();
        lines.iter().for_each(|line| log(&file, line));
    };
    write(&["a", "b", "c"]);
    assert_eq!(
        names(dir.path()),
        ["app.2026-11-20.1.log", "app.2026-11-20.2.log", "app.log"]
    );
    fs::remove_file(dir.path().join("app.2026-11-20.1.log")).unwrap();
    fs::remove_file(dir.path().join("app.2026-11-20.2.log")).unwrap();
    // The date of an existing file is the date of its first record.
    fs::File::open(&path).unwrap().set_modified(noon()).unwrap();
    write(&["d"]);
    assert_eq!(names(dir.path()), ["app.2026-11-20.3.log", "app.log"]);
}

#[test]
fn number_of_a_compressed_file_is_not_reused() {
    let dir = tempdir().unwrap();
    for name in [
        "app.2026-11-20.5.log.gz",
        "app.2026-11-20.7.log.zst",
        "app.2026-11-19.90.log",
    ] {
        fs::write(dir.path().join(name), "").unwrap();
    }
    fs::create_dir(dir.path().join("app.2026-11-20.8.log")).unwrap();
    let file = at_size(dir.path().join("app.log"), 2).build().unwrap();
    ["a", "b"].into_iter().for_each(|line| log(&file, line));
    // Another program created it after the scan.
    fs::write(dir.path().join("app.2026-11-20.10.log"), "theirs").unwrap();
    fs::write(dir.path().join("app.2026-11-20.11.log.gz"), "theirs").unwrap();
    log(&file, "c");
    assert_eq!(read(dir.path().join("app.2026-11-20.9.log")), "a\n");
    assert_eq!(read(dir.path().join("app.2026-11-20.10.log")), "theirs");
    assert_eq!(read(dir.path().join("app.2026-11-20.12.log")), "b\n");
}

#[test]
fn existing_file_is_appended_to() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("app.log");
    for n in 0..20 {
        log(&at_size(&path, 1000).build().unwrap(), &n.to_string());
    }
    let expected: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    assert_eq!(read(&path).lines().collect::<Vec<_>>(), expected);
    assert_eq!(names(dir.path()), ["app.log"]);
}

#[test]
fn partial_last_line_is_ended_first() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("app.log");
    fs::write(&path, "whole\nto").unwrap();
    log(&at_size(&path, 1000).build().unwrap(), "next");
    assert_eq!(read(&path), "whole\nto\nnext\n");
}

#[test]
fn newline_after_a_partial_line_counts_for_the_size() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("app.log");
    fs::write(&path, "12345").unwrap();
    let file = at_size(&path, 10).build().unwrap();
    log(&file, "789a");
    assert_eq!(read(&path), "789a\n");
    assert_eq!(names(dir.path()).len(), 2);
}

#[test]
fn start_rotation_rolls_the_existing_file() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("app.log");
    for n in 0..3 {
        let rotation = Rotation::never().at_start();
        let file = RollingFile::builder(&path)
            .rotation(rotation)
            .clock(clock())
            .build()
            .unwrap();
        ["a", "b"]
            .into_iter()
            .for_each(|line| log(&file, &format!("{line}{n}")));
    }
    assert_eq!(names(dir.path()).len(), 3);
    assert_eq!(read(&path), "a2\nb2\n");
}

#[test]
fn names_need_no_extension() {
    let dir = tempdir().unwrap();
    let file = at_size(dir.path().join("app"), 2).build().unwrap();
    ["a", "b"].into_iter().for_each(|line| log(&file, line));
    assert_eq!(names(dir.path()), ["app", "app.2026-11-20.1"]);
}

#[test]
fn many_quick_rolls_overwrite_nothing() {
    let dir = tempdir().unwrap();
    let file = at_size(dir.path().join("app.log"), 10).build().unwrap();
    let lines: Vec<String> = (0..300).map(|n| format!("line {n:04}")).collect();
    lines.iter().for_each(|line| log(&file, line));
    assert_eq!(all_lines(dir.path()), lines);
}

#[test]
fn fmt_layer_writes_to_the_file() {
    let dir = tempdir().unwrap();
    let file = at_size(dir.path().join("app.log"), 1000).build().unwrap();
    let subscriber = tracing_subscriber::fmt().with_writer(file.clone()).finish();
    tracing::subscriber::with_default(subscriber, || tracing::info!("order created"));
    assert!(read(file.path()).contains("order created"));
}

#[test]
fn empty_write_is_not_a_record() {
    let dir = tempdir().unwrap();
    let mut file = at_size(dir.path().join("app.log"), 1000).build().unwrap();
    assert_eq!(file.write(b"").unwrap(), 0);
    assert_eq!(read(file.path()), "");
}

#[test]
fn impossible_setting_is_an_error() {
    let error = at_size("app.log", 0).check().unwrap_err();
    assert!(error.to_string().contains("holds no record"), "{error}");
    if cfg!(not(feature = "gzip")) {
        let error = RollingFile::builder("app.log")
            .compression(Compression::Gzip)
            .check()
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("enable the cargo feature `gzip`"),
            "{error}"
        );
    }
}

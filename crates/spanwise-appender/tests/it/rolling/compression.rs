//! Rolled files are compressed completely or not at all.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::support::{clock, log, names, noon, read};
use spanwise_appender::{ByteSize, Compression, Retention, RollingFile, Rotation};
use spanwise_core::{Fault, SelfReport};
use spanwise_testing::support::wait_until;
use tempfile::tempdir;

fn packing(dir: &Path, compression: Compression, report: &SelfReport) -> RollingFile {
    let builder = RollingFile::builder(dir.join("app.log"))
        .rotation(Rotation::never().at_size(ByteSize(10_000)));
    let builder = builder.retention(Retention::all()).compression(compression);
    builder.clock(clock()).report(report).build().unwrap()
}

fn unpack(path: &Path) -> String {
    let file = fs::File::open(path).unwrap();
    let mut text = String::new();
    match path.extension().unwrap().to_str() {
        Some("gz") => flate2::read::GzDecoder::new(file)
            .read_to_string(&mut text)
            .unwrap(),
        _ => zstd::stream::read::Decoder::new(file)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap(),
    };
    text
}

fn gzip(path: &Path, text: &str) {
    let mut file =
        flate2::write::GzEncoder::new(fs::File::create(path).unwrap(), flate2::Compression::fast());
    file.write_all(text.as_bytes()).unwrap();
    file.finish().unwrap();
}

#[test]
fn compressed_file_keeps_mode_and_time() {
    for (compression, suffix) in [(Compression::Gzip, "gz"), (Compression::Zstd, "zst")] {
        let (dir, report) = (tempdir().unwrap(), SelfReport::silent());
        let file = packing(dir.path(), compression, &report);
        let line = "x".repeat(9_000);
        log(&file, &line);
        fs::File::open(file.path())
            .unwrap()
            .set_modified(noon())
            .unwrap();
        log(&file, &line);
        let packed = dir.path().join(format!("app.2026-11-20.1.log.{suffix}"));
        wait_until("it is packed", || {
            names(dir.path()).len() == 2 && packed.exists()
        });
        assert_eq!(unpack(&packed), format!("{line}\n"));
        let metadata = packed.metadata().unwrap();
        assert!(metadata.len() < 1000);
        assert_eq!(
            metadata.permissions().mode(),
            file.path().metadata().unwrap().permissions().mode()
        );
        assert_eq!(metadata.modified().unwrap(), noon());
        assert_eq!(report.stats().faults, []);
    }
}

#[test]
fn interrupted_compression_is_finished() {
    let (dir, report) = (tempdir().unwrap(), SelfReport::silent());
    let at = |name: &str| -> PathBuf { dir.path().join(name) };
    fs::write(at("app.2026-11-19.1.log"), "first\n").unwrap();
    fs::write(at("app.2026-11-19.1.log.gz.tmp"), "half").unwrap();
    fs::write(at("app.2026-11-19.2.log"), "second\n").unwrap();
    gzip(&at("app.2026-11-19.2.log.gz"), "second\n");
    fs::write(at("app.2026-11-19.3.log.zst.tmp"), "half").unwrap();
    fs::write(at(".app.log.new"), "").unwrap();
    let _file = packing(dir.path(), Compression::Gzip, &report);
    assert!(!at(".app.log.new").exists());
    let expected = [
        "app.2026-11-19.1.log.gz",
        "app.2026-11-19.2.log.gz",
        "app.log",
    ];
    wait_until("it is finished", || names(dir.path()) == expected);
    assert_eq!(unpack(&at(expected[0])), "first\n");
    assert_eq!(unpack(&at(expected[1])), "second\n");
    assert_eq!(report.stats().faults, []);
}

#[test]
fn different_compressed_file_replaces_nothing() {
    let (dir, report) = (tempdir().unwrap(), SelfReport::silent());
    let at = |name: &str| -> PathBuf { dir.path().join(name) };
    fs::write(at("app.2026-11-19.1.log"), "records\n").unwrap();
    gzip(&at("app.2026-11-19.1.log.gz"), "rec");
    fs::write(at("app.2026-11-19.2.log"), "records\n").unwrap();
    fs::write(at("app.2026-11-19.2.log.gz"), "broken").unwrap();
    let _file = packing(dir.path(), Compression::Gzip, &report);
    wait_until("it is reported", || {
        report.stats().faults == [(Fault::Setup, 2)]
    });
    assert_eq!(read(at("app.2026-11-19.1.log")), "records\n");
    assert_eq!(read(at("app.2026-11-19.2.log")), "records\n");
    assert_eq!(unpack(&at("app.2026-11-19.1.log.gz")), "rec");
}

#[test]
fn file_being_compressed_elsewhere_is_left_alone() {
    let (dir, report) = (tempdir().unwrap(), SelfReport::silent());
    let at = |name: &str| -> PathBuf { dir.path().join(name) };
    fs::write(at("app.2026-11-19.1.log"), "records\n").unwrap();
    fs::write(at("app.2026-11-19.2.log"), "records\n").unwrap();
    let theirs = fs::File::create(at("app.2026-11-19.1.log.gz.tmp")).unwrap();
    theirs.lock().unwrap();
    let _file = packing(dir.path(), Compression::Gzip, &report);
    wait_until("the other is packed", || {
        !at("app.2026-11-19.2.log").exists()
    });
    assert!(at("app.2026-11-19.1.log").exists());
    assert!(at("app.2026-11-19.1.log.gz.tmp").exists());
}

#[test]
fn housekeeping_finishes_after_the_last_handle() {
    let (dir, report) = (tempdir().unwrap(), SelfReport::silent());
    let file = packing(dir.path(), Compression::Zstd, &report);
    let line = "x".repeat(9_000);
    (0..20).for_each(|_| log(&file, &line));
    drop(file);
    let packed = || {
        names(dir.path())
            .iter()
            .filter(|name| name.ends_with(".log.zst"))
            .count()
    };
    wait_until("all are packed", || {
        packed() == 19 && names(dir.path()).len() == 20
    });
}

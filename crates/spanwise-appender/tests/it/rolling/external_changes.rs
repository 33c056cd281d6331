//! Files that other programs move, delete, truncate or replace while they are written.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use super::support::{all_lines, clock, log, names, read};
use spanwise_appender::{ByteSize, Retention, RollingFile, RollingFileBuilder, Rotation};
use spanwise_core::{Clock, Fault, SelfReport};
use tempfile::{TempDir, tempdir};

const SECOND: Duration = Duration::from_secs(1);

struct Log {
    dir: TempDir,
    clock: Clock,
    report: SelfReport,
    file: RollingFile,
}

impl Log {
    fn new(rotation: Rotation) -> Self {
        Self::with(rotation, |builder| builder)
    }

    fn with(
        rotation: Rotation,
        options: impl Fn(RollingFileBuilder) -> RollingFileBuilder,
    ) -> Self {
        let (dir, clock, report) = (tempdir().unwrap(), clock(), SelfReport::silent());
        let builder = RollingFile::builder(dir.path().join("logs/app.log")).rotation(rotation);
        let builder = builder
            .retention(Retention::all())
            .clock(clock.clone())
            .report(&report);
        let file = options(builder).build().unwrap();
        Self {
            dir,
            clock,
            report,
            file,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.logs().join(name)
    }

    fn logs(&self) -> PathBuf {
        self.dir.path().join("logs")
    }

    fn lines(&self, lines: &[&str]) {
        lines.iter().for_each(|line| log(&self.file, line));
    }
}

#[test]
fn moved_file_is_left_within_a_second() {
    let log = Log::new(Rotation::never());
    log.lines(&["a"]);
    fs::rename(log.at("app.log"), log.at("app.log.1")).unwrap();
    log.lines(&["b"]);
    assert!(!log.at("app.log").exists());
    log.clock.advance(SECOND);
    log.lines(&["c"]);
    assert_eq!(read(log.at("app.log.1")), "a\nb\n");
    assert_eq!(read(log.at("app.log")), "c\n");
    assert_eq!(log.report.stats().faults, []);
}

#[test]
fn reopen_leaves_a_moved_file_at_once() {
    let log = Log::new(Rotation::never());
    log.lines(&["a"]);
    fs::rename(log.at("app.log"), log.at("app.log.1")).unwrap();
    fs::write(log.at("app.log"), "made by logrotate\n").unwrap();
    log.file.reopen().unwrap();
    log.lines(&["b"]);
    assert_eq!(read(log.at("app.log.1")), "a\n");
    assert_eq!(read(log.at("app.log")), "made by logrotate\nb\n");
}

#[test]
fn records_of_a_deleted_file_move_to_the_next() {
    let log = Log::new(Rotation::never());
    log.lines(&["a"]);
    log.clock.advance(SECOND);
    log.lines(&["b", "c"]);
    fs::remove_file(log.at("app.log")).unwrap();
    log.lines(&["d"]);
    log.clock.advance(SECOND);
    log.lines(&["e"]);
    // The path was checked after the first record, so the deletion was intended.
    assert_eq!(read(log.at("app.log")), "b\nc\nd\ne\n");
    assert_eq!(log.report.stats().faults, []);
}

#[test]
fn records_of_a_truncated_deleted_file_move_on() {
    let log = Log::new(Rotation::never());
    log.lines(&["before the cut"]);
    log.clock.advance(SECOND);
    log.lines(&["and so was this"]);
    let file = fs::File::options().write(true).open(log.at("app.log"));
    file.unwrap().set_len(0).unwrap();
    log.lines(&["a"]);
    fs::remove_file(log.at("app.log")).unwrap();
    log.clock.advance(SECOND);
    log.lines(&["b"]);
    assert_eq!(read(log.at("app.log")), "a\nb\n");
}

#[test]
fn large_deleted_file_is_split_by_size() {
    let log = Log::new(Rotation::never().at_size(ByteSize(3_000_000)));
    fs::remove_file(log.at("app.log")).unwrap();
    let lines: Vec<String> = (0..2000)
        .map(|n| format!("{n:04}{}", "x".repeat(1000)))
        .collect();
    lines.iter().for_each(|line| log.lines(&[line]));
    log.clock.advance(SECOND);
    log.lines(&["last"]);
    let mut expected = lines;
    expected.push("last".to_owned());
    assert_eq!(all_lines(&log.logs()), expected);
    for name in names(&log.logs()) {
        assert!(log.at(&name).metadata().unwrap().len() <= 3_000_000);
    }
}

#[test]
fn flush_and_drop_notice_a_deleted_file() {
    let mut log = Log::new(Rotation::never());
    log.lines(&["a"]);
    fs::remove_file(log.at("app.log")).unwrap();
    log.file.flush().unwrap();
    assert_eq!(read(log.at("app.log")), "a\n");
    log.lines(&["b"]);
    fs::remove_file(log.at("app.log")).unwrap();
    let other = RollingFile::builder(log.at("other.log")).build().unwrap();
    drop(std::mem::replace(&mut log.file, other));
    // The path was not checked after the first record.
    assert_eq!(read(log.at("app.log")), "a\nb\n");
}

#[test]
fn drop_rewrites_records_despite_the_backoff() {
    let log = Log::new(Rotation::never());
    log.lines(&["a"]);
    fs::remove_dir_all(log.logs()).unwrap();
    fs::write(log.logs(), "in the way").unwrap();
    log.clock.advance(SECOND);
    let mut file = &log.file;
    assert!(file.write_all(b"b\n").is_err());
    fs::remove_file(log.logs()).unwrap();
    fs::create_dir(log.logs()).unwrap();
    assert!(file.flush().is_err(), "it is too early to try again");
    let (path, report) = (log.at("app.log"), log.report);
    drop(log.file);
    assert_eq!(read(path), "a\n");
    assert_eq!(report.stats().faults, [(Fault::WriteFailed, 1)]);
}

#[test]
fn drop_creates_nothing_needlessly() {
    let log = Log::new(Rotation::never());
    log.lines(&["a"]);
    fs::rename(log.at("app.log"), log.at("app.log.1")).unwrap();
    let (dir, other) = (log.logs(), Log::new(Rotation::never()));
    drop(log.file);
    assert_eq!(names(&dir), ["app.log.1"]);
    other.lines(&["a"]);
    fs::remove_dir_all(other.logs()).unwrap();
    let (dir, report) = (other.logs(), other.report);
    drop(other.file);
    assert!(!dir.exists());
    // The records since the last check of the directory are lost, which is reported.
    assert_eq!(report.stats().faults, [(Fault::WriteFailed, 1)]);
}

#[test]
fn deleted_directory_is_created_with_its_lock() {
    let log = Log::with(Rotation::never(), RollingFileBuilder::link_latest);
    log.lines(&["a"]);
    fs::remove_dir_all(log.logs()).unwrap();
    log.lines(&["b"]);
    log.clock.advance(SECOND);
    log.lines(&["c"]);
    assert_eq!(read(log.at("app.log")), "a\nb\nc\n");
    assert_eq!(read(log.at("app.latest.log")), "a\nb\nc\n");
    assert!(RollingFile::builder(log.at("app.log")).build().is_err());
    assert_eq!(log.report.stats().faults, []);
}

#[test]
fn deleted_directory_is_created_when_a_roll_is_due() {
    let log = Log::new(Rotation::never().at_size(ByteSize(4)));
    log.lines(&["a", "b"]);
    fs::remove_dir_all(log.logs()).unwrap();
    log.lines(&["c"]);
    assert_eq!(all_lines(&log.logs()), ["a", "b", "c"]);
}

#[test]
fn truncated_file_is_not_rolled_early() {
    let log = Log::new(Rotation::never().at_size(ByteSize(10)));
    log.lines(&["1234", "678"]);
    fs::File::options()
        .write(true)
        .open(log.at("app.log"))
        .unwrap()
        .set_len(0)
        .unwrap();
    log.lines(&["abcd", "fgh"]);
    assert_eq!(read(log.at("app.log")), "abcd\nfgh\n");
    assert_eq!(names(&log.logs()), ["app.log"]);
}

#[test]
fn records_of_other_processes_count_for_the_size() {
    let log = Log::new(Rotation::never().at_size(ByteSize(10)));
    log.lines(&["a"]);
    fs::File::options()
        .append(true)
        .open(log.at("app.log"))
        .unwrap()
        .write_all(b"theirs\n")
        .unwrap();
    log.clock.advance(SECOND);
    log.lines(&["b"]);
    assert_eq!(names(&log.logs()), ["app.2026-11-20.1.log", "app.log"]);
}

#[test]
fn failed_roll_is_retried_later() {
    let log = Log::new(Rotation::never().at_size(ByteSize(4)));
    // A directory in place of the next file.
    fs::create_dir_all(log.at(".app.log.new/in")).unwrap();
    log.lines(&["a", "b", "c", "d"]);
    assert_eq!(read(log.at("app.log")), "a\nb\nc\nd\n");
    assert_eq!(log.report.stats().faults, [(Fault::Setup, 1)]);
    fs::remove_dir_all(log.at(".app.log.new")).unwrap();
    log.lines(&["e"]);
    assert_eq!(
        names(&log.logs()),
        ["app.log"],
        "it waits before it tries again"
    );
    log.clock.advance(Duration::from_millis(10));
    log.lines(&["f"]);
    assert_eq!(read(log.at("app.2026-11-20.1.log")), "a\nb\nc\nd\ne\n");
    assert_eq!(read(log.at("app.log")), "f\n");
}

#[test]
fn file_with_a_taken_path_stays_in_use() {
    let log = Log::new(Rotation::never().at_size(ByteSize(100)));
    log.lines(&["a"]);
    fs::rename(log.at("app.log"), log.at("moved")).unwrap();
    std::os::unix::fs::symlink(log.at("moved"), log.at("app.log")).unwrap();
    log.clock.advance(SECOND);
    log.lines(&["b"]);
    assert_eq!(read(log.at("moved")), "a\nb\n");
    assert_eq!(log.report.stats().faults, [(Fault::Setup, 1)]);
    fs::remove_file(log.at("app.log")).unwrap();
    log.clock.advance(SECOND);
    log.lines(&["c"]);
    assert_eq!(read(log.at("app.log")), "c\n");
}

#[test]
fn unrecoverable_deleted_file_refuses_records() {
    let log = Log::new(Rotation::never());
    fs::remove_dir_all(log.logs()).unwrap();
    fs::write(log.logs(), "in the way").unwrap();
    log.lines(&["a"]);
    log.clock.advance(SECOND);
    let mut file = &log.file;
    for _ in 0..3 {
        assert!(file.write_all(b"b\n").is_err());
    }
    assert_eq!(log.report.stats().faults, [(Fault::WriteFailed, 1)]);
    fs::remove_file(log.logs()).unwrap();
    log.clock.advance(SECOND);
    log.lines(&["c"]);
    // The name of the first link existed, but not the second one.
    assert_eq!(read(log.at("app.log")), "a\nc\n");
}

#[test]
fn latest_link_failure_is_only_reported() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("app.latest.log"), "theirs").unwrap();
    let report = SelfReport::silent();
    let builder = RollingFile::builder(dir.path().join("app.log"))
        .link_latest()
        .report(&report);
    log(&builder.build().unwrap(), "a");
    assert_eq!(read(dir.path().join("app.latest.log")), "theirs");
    assert_eq!(read(dir.path().join("app.log")), "a\n");
    assert_eq!(report.stats().faults, [(Fault::Setup, 1)]);
}

#[test]
fn latest_link_points_to_the_active_file() {
    let log = Log::with(
        Rotation::never().at_size(ByteSize(2)),
        RollingFileBuilder::link_latest,
    );
    log.lines(&["a", "b"]);
    assert_eq!(
        fs::read_link(log.at("app.latest.log")).unwrap(),
        Path::new("app.log")
    );
    assert_eq!(read(log.at("app.latest.log")), "b\n");
}

/// Only Linux is known to show the first part of a write while the rest is being written.
#[cfg(target_os = "linux")]
#[test]
fn line_in_progress_gets_no_newline() {
    use std::thread;

    const ROUNDS: usize = 5;
    let log = Log::new(Rotation::never());
    let path = log.at("app.log");
    let len = || fs::metadata(&path).unwrap().len();
    // The write of these bytes takes long enough to observe it.
    let line = "x".repeat(8 * 1024 * 1024) + "\n";
    for _ in 0..ROUNDS {
        let before = len();
        let mut other = fs::OpenOptions::new().append(true).open(&path).unwrap();
        let written = thread::scope(|scope| {
            let written = scope.spawn(|| other.write(line.as_bytes()).unwrap());
            while len() == before && !written.is_finished() {
                thread::yield_now();
            }
            log.file.reopen().unwrap();
            log.lines(&["a"]);
            written.join().unwrap()
        });
        assert_eq!(written, line.len());
    }
    let is_as_written = read(path) == (line + "a\n").repeat(ROUNDS);
    assert!(is_as_written);
}

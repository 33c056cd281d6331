//! Limits that need a separate process, such as its file size, its user and its time zone.

use std::{
    borrow::Cow,
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use super::support::{HOUR, clock, log, names, read};
use crate::support::within;
use spanwise_appender::{ByteSize, OpenErrorKind, Retention, RollingFile, Rotation};
use spanwise_core::{Clock, Fault, KeyVerdict, Redact, SelfReport};

#[test]
fn partially_written_record_is_removed() {
    let wrapper = ["sh", "-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "-"];
    within(
        module_path!(),
        "partially_written_record_is_removed",
        &wrapper,
        |dir| {
            let (clock, report) = (clock(), SelfReport::silent());
            let builder = RollingFile::builder(dir.join("app.log")).rotation(Rotation::never());
            let file = builder
                .clock(clock.clone())
                .report(&report)
                .build()
                .unwrap();
            let limit = 4096;
            let line = "x".repeat(999);
            (0..limit / 1000).for_each(|_| log(&file, &line));
            for _ in 0..3 {
                let error = (&file)
                    .write_all(format!("{line}\n").as_bytes())
                    .unwrap_err();
                assert_eq!(error.kind(), std::io::ErrorKind::FileTooLarge);
            }
            assert_eq!(read(file.path()).len(), 4000);
            assert_eq!(report.stats().faults, [(Fault::WriteFailed, 1)]);
            // A shorter record is accepted, once the file is tried again.
            assert!((&file).write_all(b"short\n").is_err());
            clock.advance(Duration::from_millis(500));
            log(&file, "short");
            assert!(read(file.path()).ends_with("x\nshort\n"));
        },
    );
}

/// Collects the texts of reports.
#[derive(Debug, Default)]
struct ReportTexts(Mutex<Vec<String>>);

impl Redact for ReportTexts {
    fn key(&self, _: &str) -> KeyVerdict {
        KeyVerdict::Pass
    }

    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.0.lock().unwrap().push(text.to_owned());
        text.into()
    }
}

#[test]
fn loss_report_counts_every_deleted_file() {
    let wrapper = ["sh", "-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "-"];
    within(
        module_path!(),
        "loss_report_counts_every_deleted_file",
        &wrapper,
        |dir| {
            let (report, texts) = (SelfReport::new(), Arc::<ReportTexts>::default());
            report.redact(texts.clone());
            let logs = dir.join("logs");
            let builder = RollingFile::builder(logs.join("app.log")).rotation(Rotation::never());
            let file = builder.clock(clock()).report(&report).build().unwrap();
            let line = "x".repeat(999);
            (0..4).for_each(|_| log(&file, &line));
            // Three of the four lines fit into the file of another program, up to the limit.
            fs::remove_file(file.path()).unwrap();
            fs::write(file.path(), "x".repeat(1095) + "\n").unwrap();
            assert!((&file).flush().is_err());
            assert_eq!(read(file.path()).len(), 4096);
            fs::remove_dir_all(&logs).unwrap();
            drop(file);
            let texts = texts.0.lock().unwrap();
            let last = texts.last().unwrap();
            assert!(last.contains("and 4000 bytes with it"), "{texts:?}");
        },
    );
}

/// Returns a command that runs another command without the permissions of root. If there is no such
/// command, prints this.
fn as_nobody() -> Option<[&'static str; 4]> {
    let wrapper = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    let mut command = Command::new(wrapper[0]);
    let status = command.args(&wrapper[1..]).arg("true").status();
    if status.is_ok_and(|status| status.success()) {
        return Some(wrapper);
    }
    // The harness does not capture it, unlike `eprintln!`.
    let _ = writeln!(std::io::stderr(), "SKIPPED: it needs root and setpriv");
    None
}

#[test]
fn missing_permission_is_reported_at_the_start() {
    let Some(wrapper) = as_nobody() else {
        return;
    };
    within(
        module_path!(),
        "missing_permission_is_reported_at_the_start",
        &wrapper,
        |dir| {
            let locked = dir.join("locked");
            let path = locked.join("app.log");
            fs::create_dir(&locked).unwrap();
            fs::write(locked.join("there.log"), "").unwrap();
            allow(&locked, 0o555);
            for path in [
                path.clone(),
                locked.join("further/app.log"),
                locked.join("there.log"),
            ] {
                for error in [
                    RollingFile::builder(&path).check().unwrap_err(),
                    RollingFile::builder(&path).build().unwrap_err(),
                ] {
                    assert_eq!(error.kind(), OpenErrorKind::PermissionDenied, "{error}");
                    assert!(
                        error.to_string().contains(locked.to_str().unwrap()),
                        "{error}"
                    );
                    assert!(error.to_string().contains("permission denied"), "{error}");
                }
            }
            // A file that is never rolled needs no permission for its directory.
            let report = SelfReport::silent();
            let builder = RollingFile::builder(locked.join("there.log")).report(&report);
            log(&builder.rotation(Rotation::never()).build().unwrap(), "a");
            assert_eq!(report.stats().faults, [(Fault::Setup, 1)]);
        },
    );
}

#[test]
fn unwritable_directory_only_stops_rolling() {
    let Some(wrapper) = as_nobody() else {
        return;
    };
    within(
        module_path!(),
        "unwritable_directory_only_stops_rolling",
        &wrapper,
        |dir| {
            let (clock, report, logs) = (clock(), SelfReport::silent(), dir.join("logs"));
            let builder = RollingFile::builder(logs.join("app.log"))
                .rotation(Rotation::never().at_size(ByteSize(4)));
            let file = builder
                .retention(Retention::all())
                .clock(clock.clone())
                .report(&report)
                .build()
                .unwrap();
            allow(&logs, 0o555);
            (0..5).for_each(|n| log(&file, &n.to_string()));
            clock.advance(Duration::from_secs(1));
            log(&file, "5");
            assert_eq!(read(file.path()), "0\n1\n2\n3\n4\n5\n");
            assert_eq!(report.stats().faults, [(Fault::Setup, 2)]);
            allow(&logs, 0o755);
            clock.advance(Duration::from_secs(1));
            log(&file, "6");
            assert_eq!(names(&logs), ["app.2026-11-20.1.log", "app.log"]);
            assert_eq!(read(file.path()), "6\n");
        },
    );
}

#[test]
fn local_time_is_right_when_clocks_go_back() {
    let wrapper = ["env", "TZ=CET-1CEST,M3.5.0,M10.5.0/3"];
    within(
        module_path!(),
        "local_time_is_right_when_clocks_go_back",
        &wrapper,
        |dir| {
            // 2026-10-24 21:30 UTC is 23:30 in Berlin, where daylight saving time ends at 01:00
            // UTC.
            let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_792_877_400);
            let written = |rotation: &str| {
                let (dir, clock) = (dir.join(rotation), Clock::manual(start));
                let builder =
                    RollingFile::builder(dir.join("app.log")).rotation(rotation.parse().unwrap());
                let file = builder
                    .retention(Retention::all())
                    .clock(clock.clone())
                    .build()
                    .unwrap();
                for n in 0..6 {
                    log(&file, &n.to_string());
                    clock.advance(HOUR);
                }
                names(&dir)
            };
            assert_eq!(written("daily,local"), ["app.2026-10-24.1.log", "app.log"]);
            assert_eq!(
                written("hourly,local"),
                [
                    "app.2026-10-24.1.log",
                    "app.2026-10-25.1.log",
                    "app.2026-10-25.2.log",
                    "app.2026-10-25.3.log",
                    "app.2026-10-25.4.log",
                    "app.log"
                ]
            );
            assert_eq!(read(dir.join("hourly,local/app.2026-10-25.4.log")), "4\n");
        },
    );
}

fn allow(dir: &Path, mode: u32) {
    fs::set_permissions(dir, fs::Permissions::from_mode(mode)).unwrap();
}

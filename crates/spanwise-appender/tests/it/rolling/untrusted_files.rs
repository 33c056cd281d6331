//! Files, names, locks and directories that other users may have changed.

use std::{
    ffi::OsString,
    fs,
    os::unix::{
        ffi::OsStringExt as _,
        fs::{MetadataExt as _, PermissionsExt as _, chown, symlink},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use spanwise_appender::{
    ByteSize, Compression, OpenError, OpenErrorKind, Retention, RollingFile, RollingFileBuilder,
    Rotation,
};
use spanwise_core::{Clock, Fault, SelfReport};
use tempfile::tempdir;

use super::support::{all_lines, clock, log, names, read};
use crate::support::is_root;

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Returns the common result of `check` and `build`, and asserts that no file changes.
#[track_caller]
fn refusal(builder: &RollingFileBuilder, path: &Path) -> Option<OpenError> {
    let before = (fs::read(path).unwrap(), path.metadata().unwrap().mode());
    let checked = builder.check().err();
    let built = builder.clone().build().err();
    assert_eq!(
        checked.as_ref().map(ToString::to_string),
        built.as_ref().map(ToString::to_string)
    );
    if built.is_some() {
        let after = (fs::read(path).unwrap(), path.metadata().unwrap().mode());
        assert_eq!(before, after);
    }
    let hidden = fs::read_dir(path.parent().unwrap()).unwrap();
    let mut hidden = hidden.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left = hidden.find(|name| name.starts_with('.') && !name.ends_with(".lock"));
    assert_eq!(left, None);
    built
}

#[test]
fn untrusted_existing_file_is_refused() {
    const NOBODY: u32 = 65_534;
    if !is_root("owners of files") {
        return;
    }
    for owner in [0, NOBODY] {
        for mode in [0o600, 0o640, 0o660, 0o666, 0o777, 0o602] {
            for link in [false, true] {
                for parent in [0, NOBODY] {
                    let dir = tempdir().unwrap();
                    let path = dir.path().join("app.log");
                    fs::write(&path, "before\n").unwrap();
                    chown(&path, Some(owner), None).unwrap();
                    allow(&path, mode);
                    if link {
                        fs::hard_link(&path, dir.path().join("other")).unwrap();
                    }
                    chown(dir.path(), Some(parent), None).unwrap();
                    let what = format!("owner {owner}, mode {mode:o}, link {link}, in {parent}");
                    let refused = refusal(&RollingFile::builder(&path), &path);
                    let expected = [
                        (
                            link,
                            "it has another hard link; delete that link or this file",
                        ),
                        (
                            owner == NOBODY,
                            "it belongs to user 65534, and this process runs as user 0; run `chown 0` on it",
                        ),
                        (mode & 0o002 != 0, "every user may write to it"),
                    ];
                    match expected.iter().find(|(holds, _)| *holds) {
                        None => assert!(refused.is_none(), "{what}: {refused:?}"),
                        Some((_, text)) => {
                            let error = refused.unwrap_or_else(|| panic!("{what} is accepted"));
                            assert_eq!(error.kind(), OpenErrorKind::Untrusted, "{what}");
                            assert!(error.to_string().contains(text), "{what}: {error}");
                            assert!(error.to_string().contains("choose another path"), "{error}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn requested_mode_is_trusted() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("app.log");
    fs::write(&path, "").unwrap();
    allow(&path, 0o666);
    assert!(refusal(&RollingFile::builder(&path), &path).is_some());
    assert!(refusal(&RollingFile::builder(&path).mode(0o666), &path).is_none());
}

#[test]
fn file_of_an_interrupted_roll_is_trusted() {
    for second in [".app.log.new", "app.2026-11-20.7.log"] {
        let dir = tempdir().unwrap();
        let path = dir.path().join("app.log");
        fs::write(&path, "before\n").unwrap();
        fs::hard_link(&path, dir.path().join(second)).unwrap();
        let builder = RollingFile::builder(&path).clock(clock());
        builder.check().unwrap();
        log(&builder.build().unwrap(), "after");
        let all: String = names(dir.path())
            .iter()
            .map(|name| read(dir.path().join(name)))
            .collect();
        assert_eq!(all, "before\nafter\n", "{second}");
    }
}

#[test]
fn replacement_file_is_checked() {
    let dir = tempdir().unwrap();
    let (report, clock) = (SelfReport::silent(), clock());
    let file = RollingFile::builder(dir.path().join("app.log"))
        .clock(clock.clone())
        .report(&report)
        .build()
        .unwrap();
    log(&file, "a");
    let at = |name: &str| dir.path().join(name);
    fs::rename(file.path(), at("ours")).unwrap();
    fs::write(at("precious"), "precious\n").unwrap();
    fs::hard_link(at("precious"), file.path()).unwrap();
    clock.advance(Duration::from_secs(1));
    log(&file, "b");
    assert_eq!(read(at("precious")), "precious\n");
    assert_eq!(read(at("ours")), "a\nb\n");
    assert_eq!(report.stats().faults, [(Fault::Setup, 1)]);
}

#[test]
fn lock_file_is_private_and_nothing_else() {
    let dir = tempdir().unwrap();
    let lock = dir.path().join(".app.log.lock");
    // The mode of a lock of an earlier version.
    fs::write(&lock, "").unwrap();
    allow(&lock, 0o640);
    let builder = RollingFile::builder(dir.path().join("app.log"));
    drop(builder.clone().build().unwrap());
    assert_eq!(lock.metadata().unwrap().mode() & 0o777, 0o600);
    fs::remove_file(&lock).unwrap();
    fs::write(dir.path().join("other"), "").unwrap();
    fs::hard_link(dir.path().join("other"), &lock).unwrap();
    let error = builder.build().unwrap_err().to_string();
    assert!(error.contains("it, or choose another path"), "{error}");
    assert_eq!(read(dir.path().join("other")), "");
}

struct Log {
    outer: tempfile::TempDir,
    clock: Clock,
    report: SelfReport,
    file: RollingFile,
}

impl Log {
    fn new() -> Self {
        Self::at_path("logs/app.log", |_| {})
    }

    /// Opens the log at a path in a directory that `prepare` fills.
    fn at_path(path: &str, prepare: impl FnOnce(&Path)) -> Self {
        let (outer, clock, report) = (tempdir().unwrap(), clock(), SelfReport::silent());
        prepare(outer.path());
        let file = RollingFile::builder(outer.path().join(path))
            .rotation(Rotation::never().at_size(ByteSize(4)))
            .retention(Retention::all())
            .clock(clock.clone())
            .report(&report)
            .build()
            .unwrap();
        Self {
            outer,
            clock,
            report,
            file,
        }
    }

    /// Opens the log in `disk/logs`, and `link` leads to `disk`.
    fn behind_a_link() -> Self {
        Self::at_path("link/logs/app.log", |outer| {
            fs::create_dir(outer.join("disk")).unwrap();
            symlink(outer.join("disk"), outer.join("link")).unwrap();
        })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.outer.path().join(name)
    }

    /// Writes enough lines for a roll, before and after a check of the path.
    fn lines(&self) {
        ["a", "b", "c"]
            .iter()
            .for_each(|line| log(&self.file, line));
        self.clock.advance(Duration::from_secs(1));
        ["d", "e", "f"]
            .iter()
            .for_each(|line| log(&self.file, line));
    }
}

#[test]
fn link_in_place_of_the_directory_is_not_followed() {
    let log = Log::new();
    let theirs = log.at("theirs");
    fs::create_dir(&theirs).unwrap();
    fs::write(theirs.join("app.log"), "theirs\n").unwrap();
    fs::rename(log.at("logs"), log.at("moved")).unwrap();
    symlink(&theirs, log.at("logs")).unwrap();
    log.lines();
    assert_eq!(read(theirs.join("app.log")), "theirs\n");
    assert_eq!(fs::read_dir(&theirs).unwrap().count(), 1);
    let moved: String = names(&log.at("moved"))
        .iter()
        .map(|name| read(log.at("moved").join(name)))
        .collect();
    assert_eq!(moved, "a\nb\nc\nd\ne\nf\n");
    assert!(
        log.report
            .stats()
            .faults
            .iter()
            .all(|(fault, _)| *fault == Fault::Setup)
    );
    // A link to it is not trusted either.
    fs::remove_file(log.at("logs")).unwrap();
    fs::rename(log.at("moved"), log.at("logs")).unwrap();
    log.clock.advance(Duration::from_secs(1));
    log.lines();
    assert!(names(&log.at("logs")).len() > 3);
}

#[test]
fn link_in_place_of_a_parent_is_not_followed() {
    for has_directory in [false, true] {
        let log = Log::at_path("service/logs/app.log", |_| {});
        let theirs = log.at("theirs");
        fs::create_dir(&theirs).unwrap();
        if has_directory {
            fs::create_dir(theirs.join("logs")).unwrap();
        }
        fs::rename(log.at("service"), log.at("moved")).unwrap();
        symlink(&theirs, log.at("service")).unwrap();
        log.lines();
        assert_eq!(theirs.join("logs").exists(), has_directory);
        assert!(!theirs.join("logs/app.log").exists());
        assert_eq!(
            all_lines(&log.at("moved/logs")),
            ["a", "b", "c", "d", "e", "f"]
        );
        let faults = log.report.stats().faults;
        assert!(matches!(faults[..], [(Fault::Setup, 1..)]), "{faults:?}");
        // A new directory without a link is used.
        fs::remove_file(log.at("service")).unwrap();
        log.clock.advance(Duration::from_secs(1));
        log.lines();
        assert!(!names(&log.at("service/logs")).is_empty());
    }
}

#[test]
fn deleted_directory_behind_an_old_link_is_created() {
    for deleted in ["disk/logs", "disk"] {
        let log = Log::behind_a_link();
        fs::remove_dir_all(log.at(deleted)).unwrap();
        log.lines();
        assert_eq!(
            all_lines(&log.at("disk/logs")),
            ["a", "b", "c", "d", "e", "f"]
        );
        assert_eq!(log.report.stats().faults, []);
    }
}

#[test]
fn directory_behind_a_changed_link_is_not_used() {
    let log = Log::behind_a_link();
    fs::rename(log.at("disk"), log.at("moved")).unwrap();
    fs::remove_file(log.at("link")).unwrap();
    fs::create_dir_all(log.at("other/logs")).unwrap();
    symlink(log.at("other"), log.at("link")).unwrap();
    log.lines();
    assert_eq!(fs::read_dir(log.at("other/logs")).unwrap().count(), 0);
    assert!(!log.at("disk").exists(), "created needlessly");
    assert_eq!(
        all_lines(&log.at("moved/logs")),
        ["a", "b", "c", "d", "e", "f"]
    );
}

#[test]
fn changed_link_to_nothing_creates_no_directory() {
    for new_target in [None, Some("other")] {
        let log = Log::behind_a_link();
        fs::rename(log.at("disk"), log.at("moved")).unwrap();
        fs::remove_file(log.at("link")).unwrap();
        let leads_to = match new_target {
            Some(other) => {
                fs::create_dir(log.at(other)).unwrap();
                symlink(other, log.at("link")).unwrap();
                "other/logs"
            }
            None => "link/logs",
        };
        log.lines();
        for needless in ["disk", "link/logs"] {
            assert!(!log.at(needless).exists(), "created needlessly: {needless}");
        }
        assert_eq!(
            all_lines(&log.at("moved/logs")),
            ["a", "b", "c", "d", "e", "f"]
        );
        let error = log.file.reopen().unwrap_err().to_string();
        let outer = log.outer.path().canonicalize().unwrap();
        let expected = format!(
            "leads to {} instead of {}, because a symbolic link was added, changed or removed",
            outer.join(leads_to).display(),
            outer.join("disk/logs").display()
        );
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn untrusted_directory_is_not_written_to() {
    if !is_root("owners of directories") {
        return;
    }
    for (owner, mode) in [(65_534, 0o755), (0, 0o777)] {
        let log = Log::new();
        fs::rename(log.at("logs"), log.at("moved")).unwrap();
        fs::create_dir(log.at("logs")).unwrap();
        chown(log.at("logs"), Some(owner), None).unwrap();
        allow(&log.at("logs"), mode);
        log.lines();
        assert_eq!(fs::read_dir(log.at("logs")).unwrap().count(), 0);
        assert!(!log.report.stats().faults.is_empty());
        assert_eq!(fs::metadata(log.at("moved/app.log")).unwrap().len() % 2, 0);
    }
}

#[test]
fn recreated_directory_is_written_to() {
    let log = Log::new();
    fs::rename(log.at("logs"), log.at("moved")).unwrap();
    fs::create_dir(log.at("logs")).unwrap();
    log.lines();
    assert!(!names(&log.at("logs")).is_empty());
    assert_eq!(log.report.stats().faults, []);
}

/// Returns the length of the longest file name that is accepted.
fn longest_name(options: impl Fn(RollingFileBuilder) -> RollingFileBuilder) -> usize {
    let dir = tempdir().unwrap();
    let accepts = |length: usize| {
        let name = OsString::from_vec(vec![b'a'; length - 4])
            .into_string()
            .unwrap()
            + ".log";
        let builder = options(RollingFile::builder(dir.path().join(name)).clock(clock()));
        let checked = builder.check();
        if let Err(error) = &checked {
            assert_eq!(error.kind(), OpenErrorKind::TooLong, "{error}");
            assert!(builder.build().is_err());
            return false;
        }
        // A file with an accepted name rolls, and is compressed.
        let file = builder.build().unwrap();
        ["a", "b"].iter().for_each(|line| log(&file, line));
        true
    };
    let longest = (5..=255).rev().find(|length| accepts(*length)).unwrap();
    (1..5).for_each(|shorter| assert!(accepts(longest - shorter)));
    longest
}

#[test]
fn length_check_covers_every_possible_name() {
    let at_size =
        |builder: RollingFileBuilder| builder.rotation(Rotation::never().at_size(ByteSize(2)));
    // `.2026-11-20.` and eighteen digits.
    assert_eq!(longest_name(at_size), 255 - 30);
    assert_eq!(
        longest_name(|builder| at_size(builder).per_process()),
        255 - 30 - 6
    );
    if cfg!(feature = "gzip") {
        let packed = |builder| at_size(builder).compression(Compression::Gzip);
        assert_eq!(longest_name(packed), 255 - 30 - ".gz.tmp".len());
    }
    let never = |builder: RollingFileBuilder| builder.rotation(Rotation::never());
    assert_eq!(longest_name(never), 255 - "..probe".len());
    let path = Path::new("/tmp")
        .join("d/".repeat(2_030))
        .join("application.log");
    let error = RollingFile::builder(path).check().unwrap_err();
    assert_eq!(error.kind(), OpenErrorKind::TooLong, "{error}");
}

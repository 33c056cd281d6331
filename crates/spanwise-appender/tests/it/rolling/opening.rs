//! Paths that can be opened, and the errors for other paths.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::Command,
};

use super::support::{log, names, read};
use spanwise_appender::{ByteSize, OpenErrorKind, Retention, RollingFile, Rotation};
use tempfile::tempdir;

fn mode(path: impl AsRef<Path>) -> u32 {
    path.as_ref().metadata().unwrap().permissions().mode() & 0o7777
}

/// Asserts that `build` and `check` return the same error, and leave no file behind.
fn refused(path: &Path, kind: OpenErrorKind, message: &str) {
    let before = path
        .parent()
        .filter(|dir| dir.is_dir() && !dir.starts_with("/dev"))
        .map(names);
    for error in [
        RollingFile::builder(path).check().unwrap_err(),
        RollingFile::builder(path).build().unwrap_err(),
    ] {
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(message), "{error}");
    }
    if let Some(before) = before {
        assert_eq!(path.parent().map(names), Some(before));
    }
}

#[test]
fn files_and_directories_get_their_modes() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a/b/app.log");
    let builder = RollingFile::builder(&path).rotation(Rotation::never().at_size(ByteSize(2)));
    builder.check().unwrap();
    assert!(!dir.path().join("a").exists());
    let file = builder.clone().build().unwrap();
    ["a", "b"].into_iter().for_each(|line| log(&file, line));
    assert_eq!(names(path.parent().unwrap()).len(), 2);
    for name in names(path.parent().unwrap()) {
        assert_eq!(mode(path.with_file_name(name)), 0o640);
    }
    assert_eq!(mode(path.with_file_name(".app.log.lock")), 0o600);
    assert_eq!(mode(dir.path().join("a")), 0o750);
    assert_eq!(mode(dir.path().join("a/b")), 0o750);

    let private = builder.mode(0o600);
    drop(file);
    fs::remove_file(&path).unwrap();
    assert_eq!(mode(private.build().unwrap().path()), 0o600);
}

#[test]
fn non_files_are_refused() {
    let dir = tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("directory")).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(at("pipe"))
            .status()
            .unwrap()
            .success()
    );
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    fs::write(at("file"), "").unwrap();
    symlink(at("file"), at("link")).unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    refused(
        &at("directory"),
        OpenErrorKind::NotAFile,
        "it is a directory; name a file in it",
    );
    refused(
        &at("directory/"),
        OpenErrorKind::NotAFile,
        "it names a directory",
    );
    refused(
        &at("missing/"),
        OpenErrorKind::NotAFile,
        "it names a directory",
    );
    refused(
        &at("missing/.."),
        OpenErrorKind::NotAFile,
        "it names a directory",
    );
    refused(
        &at("pipe"),
        OpenErrorKind::NotAFile,
        "it is a named pipe; name a regular file",
    );
    refused(&at("socket"), OpenErrorKind::NotAFile, "it is a socket");
    refused(
        &at("link"),
        OpenErrorKind::SymbolicLink,
        "which is not followed; name the file it points to",
    );
    refused(
        &at("dangling"),
        OpenErrorKind::SymbolicLink,
        "it is a symbolic link",
    );
    refused(
        &at("file/app.log"),
        OpenErrorKind::Directory,
        "is not a directory",
    );
    refused(
        &at("file/logs/app.log"),
        OpenErrorKind::Directory,
        "is not a directory",
    );
    refused(Path::new(""), OpenErrorKind::NotAFile, "is empty");
    refused(
        Path::new("/dev/null"),
        OpenErrorKind::NotAFile,
        "do not log to a file",
    );
    refused(
        Path::new("/dev/stdout"),
        OpenErrorKind::SymbolicLink,
        "to log to standard output",
    );
    refused(
        Path::new("a\0b"),
        OpenErrorKind::NotAFile,
        "cannot contain a zero byte",
    );
    assert!(!at("nowhere").exists());
}

#[test]
fn second_log_at_a_path_is_refused() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("app.log");
    let first = RollingFile::builder(&path).build().unwrap();
    let error = RollingFile::builder(&path).build().unwrap_err();
    assert_eq!(error.kind(), OpenErrorKind::InUse);
    assert!(
        error
            .to_string()
            .contains("this process already logs to it"),
        "{error}"
    );
    assert!(error.to_string().contains("per_process()"), "{error}");
    let clone = first.clone();
    drop(first);
    assert!(RollingFile::builder(&path).build().is_err());
    drop(clone);
    RollingFile::builder(&path).build().unwrap();
}

#[test]
fn one_of_several_racing_starts_opens_the_file() {
    let dir = tempdir().unwrap();
    for round in 0..5 {
        let path = dir.path().join(format!("{round}.log"));
        let open = || RollingFile::builder(&path).build();
        let opened: Vec<_> = std::thread::scope(|threads| {
            let starts: Vec<_> = (0..8).map(|_| threads.spawn(open)).collect();
            starts
                .into_iter()
                .map(|start| start.join().unwrap())
                .collect()
        });
        let errors: Vec<_> = opened
            .iter()
            .filter_map(|opened| opened.as_ref().err())
            .collect();
        assert_eq!(errors.len(), 7);
        for error in errors {
            assert_eq!(error.kind(), OpenErrorKind::InUse, "{error}");
            assert!(
                error
                    .to_string()
                    .contains("this process already logs to it"),
                "{error}"
            );
        }
    }
}

#[test]
fn error_names_the_other_process() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("app.log");
    let lock = dir.path().join(".app.log.lock");
    fs::write(&lock, "      4711          -                    0\n").unwrap();
    let theirs = fs::File::open(&lock).unwrap();
    theirs.lock().unwrap();
    let error = RollingFile::builder(&path).build().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("process 4711 already logs to it"),
        "{error}"
    );
    assert!(!path.exists());
}

#[test]
fn each_process_can_have_its_own_file() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("app.log");
    let builder = RollingFile::builder(&path)
        .rotation(Rotation::never().at_size(ByteSize(2)))
        .retention(Retention::all());
    let builder = builder.per_process().link_latest();
    let first = builder.clone().build().unwrap();
    let second = builder.clone().build().unwrap();
    let third = builder.clone().build().unwrap();
    assert_eq!(first.path(), path);
    assert_eq!(second.path(), dir.path().join("app.2.log"));
    assert_eq!(third.path(), dir.path().join("app.3.log"));
    for file in [&first, &second, &third] {
        ["a", "b"].into_iter().for_each(|line| log(file, line));
    }
    assert_eq!(
        names(dir.path())
            .iter()
            .filter(|name| name.contains(".1.log"))
            .count(),
        3
    );
    let latest = dir.path().join("app.latest.log");
    assert_eq!(fs::read_link(&latest).unwrap(), Path::new("app.3.log"));
    // A slot is reused, so that its retention covers the files of the earlier process.
    drop(second);
    let again = builder.build().unwrap();
    assert_eq!(again.path(), dir.path().join("app.2.log"));
    log(&again, "c");
    assert_eq!(fs::read_link(&latest).unwrap(), Path::new("app.2.log"));
    assert_eq!(read(dir.path().join("app.2.log")), "c\n");
}

#[test]
fn relative_path_becomes_absolute() {
    let file = RollingFile::builder("../../target/no/such");
    assert!(!format!("{file:?}").is_empty());
    file.check().unwrap();
}

#[test]
fn foreign_file_at_the_lock_path_is_not_written() {
    let dir = tempdir().unwrap();
    let precious = "nobody else has this, and it is longer than what stands in a lock\n";
    fs::write(dir.path().join("precious"), precious).unwrap();
    fs::hard_link(
        dir.path().join("precious"),
        dir.path().join(".app.log.lock"),
    )
    .unwrap();
    let opened = RollingFile::builder(dir.path().join("app.log")).build();
    assert_eq!(
        fs::read_to_string(dir.path().join("precious")).unwrap(),
        precious
    );
    assert!(opened.is_err());
}

/// On a file system without atomic renames, a second link gives a file its name.
#[test]
fn interrupted_roll_does_not_stop_rolling() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("app.log");
    fs::write(&path, "old\n").unwrap();
    fs::hard_link(&path, dir.path().join(".app.log.new")).unwrap();
    let rotation = Rotation::never().at_size(ByteSize(4));
    let file = RollingFile::builder(&path)
        .rotation(rotation)
        .build()
        .unwrap();
    log(&file, "new");
    assert_eq!(read(&path), "new\n");
    assert_eq!(names(dir.path()).len(), 2);
}

use std::{fs, path::Path};

use spanwise_core::{Clock, SelfReport};
use tempfile::tempdir;

use std::time::Duration;

use super::*;
use crate::ByteSize;

/// Records of a line each.
fn write(file: &RollingFile, lines: &[&str]) -> WriteOutcome {
    let bytes: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let ends: Vec<usize> = bytes.match_indices('\n').map(|(at, _)| at + 1).collect();
    file.write_records(Records::new(bytes.as_bytes(), &ends), Retry::AfterBackoff)
}

fn at_size(dir: &Path, size: u64) -> RollingFileBuilder {
    let rotation = Rotation::never().at_size(ByteSize(size));
    let builder = RollingFile::builder(dir.join("app.log")).rotation(rotation);
    builder
        .retention(Retention::all())
        .report(&SelfReport::silent())
}

/// What is in each file, oldest first.
fn contents(file: &RollingFile) -> Vec<String> {
    let names = &file.0.settings.names;
    let mut entries = names.list(&Dir::open(names.dir()).unwrap()).unwrap();
    entries.sort_unstable();
    let paths = entries
        .iter()
        .map(|entry| names.path(&names.rolled(entry.id, entry.form)));
    let paths = paths.chain([file.path().to_owned()]);
    paths
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}

#[test]
fn batch_is_split_between_records_only() {
    let dir = tempdir().unwrap();
    let file = at_size(dir.path(), 6).build().unwrap();
    let written = write(&file, &["a", "b", "c", "d", "longer than that", "e", "f"]);
    assert_eq!((written.delivered, written.refused), (7, 0));
    assert!(written.error.is_none());
    assert_eq!(
        contents(&file),
        ["a\nb\nc\n", "d\n", "longer than that\n", "e\nf\n"]
    );
}

#[test]
fn empty_batch_is_written() {
    let dir = tempdir().unwrap();
    let file = at_size(dir.path(), 6).build().unwrap();
    let written = write(&file, &[]);
    assert_eq!((written.delivered, written.refused), (0, 0));
    assert!(written.error.is_none());
}

#[cfg(unix)]
#[test]
fn refused_records_are_retried_without_a_fallback() {
    for (falls_back, refused) in [(false, 0), (true, 2)] {
        let dir = tempdir().unwrap();
        let clock = Clock::manual(std::time::SystemTime::UNIX_EPOCH);
        let mut builder = at_size(&dir.path().join("logs"), 1000).clock(clock.clone());
        if falls_back {
            builder = builder.fallback_to_stderr();
        }
        let file = builder.build().unwrap();
        fs::remove_dir_all(dir.path().join("logs")).unwrap();
        fs::write(dir.path().join("logs"), "in the way").unwrap();
        clock.advance(Duration::from_secs(1));
        for _ in 0..2 {
            let written = write(&file, &["to stderr", "to stderr, too"]);
            assert_eq!((written.delivered, written.refused), (0, refused));
            let kind = written.error.map(|error| error.kind());
            assert_eq!(kind, Some(io::ErrorKind::AlreadyExists));
        }
        fs::remove_file(dir.path().join("logs")).unwrap();
        clock.advance(Duration::from_millis(10));
        assert_eq!(write(&file, &["a"]).delivered, 1);
        assert_eq!(contents(&file), ["a\n"]);
    }
}

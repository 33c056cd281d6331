//! Helpers for the tests of rolling files.

use std::{
    fs,
    io::Write as _,
    path::Path,
    time::{Duration, SystemTime},
};

use spanwise_appender::RollingFile;
use spanwise_core::Clock;

/// Returns 2026-11-20 12:00:00 UTC, a Friday.
pub(crate) fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_176_000)
}

pub(crate) fn clock() -> Clock {
    Clock::manual(noon())
}

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Writes one record.
pub(crate) fn log(mut file: &RollingFile, line: &str) {
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Returns the names in a directory that are not hidden, sorted.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

/// Returns all lines of all files, in the order of the names, with the active file last.
pub(crate) fn all_lines(dir: &Path) -> Vec<String> {
    let mut names = names(dir);
    names.sort_by_key(|name| {
        let number = name
            .split('.')
            .nth(2)
            .and_then(|number| number.parse::<u64>().ok());
        (number.is_none(), number)
    });
    let text: String = names.iter().map(|name| read(dir.join(name))).collect();
    text.lines().map(str::to_owned).collect()
}

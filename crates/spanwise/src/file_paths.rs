//! What a path means before a file is opened at it: whether two are the same, and whether its
//! directory may be made.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Whether both paths lead to one file, however they are written: through `.` and `..`, symbolic
/// links or hard links, and from the current directory.
pub(crate) fn are_same(one: &Path, other: &Path) -> bool {
    match (resolved(one), resolved(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// The path without links and dots, as far as it is there.
fn resolved(path: &Path) -> Option<PathBuf> {
    if let Ok(path) = fs::canonicalize(path) {
        return Some(path);
    }
    let path = std::path::absolute(path).ok()?;
    let (directory, name) = (path.parent()?, path.file_name()?);
    match fs::canonicalize(directory) {
        Ok(directory) => Some(directory.join(name)),
        // A start makes one directory, so the one above is there.
        Err(_) => Some(resolved_directory(directory)?.join(name)),
    }
}

fn resolved_directory(directory: &Path) -> Option<PathBuf> {
    let above = fs::canonicalize(directory.parent()?).ok()?;
    Some(above.join(directory.file_name()?))
}

/// The first directory that is missing on the way to `path`, if there is more to make than the
/// directory of the file.
///
/// `/var/log/shop/shop.log` works on a machine where nobody made `/var/log/shop`. But whoever writes
/// `/vra/log/shop/shop.log`, or forgets to mount a volume, is told, and has no tree of directories
/// that nobody collects.
pub(crate) fn missing_directory(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let missing = path
        .ancestors()
        .skip(1)
        .take_while(|directory| is_missing(directory));
    let missing: Vec<&Path> = missing.collect();
    match missing[..] {
        [] | [_] => None,
        [.., first] => Some(first.to_owned()),
    }
}

fn is_missing(directory: &Path) -> bool {
    let there = fs::metadata(directory);
    there.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

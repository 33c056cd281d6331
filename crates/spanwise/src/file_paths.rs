//! Checks of the paths of log files, which find mistakes before a file is opened or created.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Returns whether both paths name the same file. Resolves `.` and `..`, symbolic links and the
/// current directory.
pub(crate) fn are_same(path: &Path, other: &Path) -> bool {
    match (resolved(path), resolved(other)) {
        (Some(path), Some(other)) => path == other,
        _ => path == other,
    }
}

/// Returns the path without symbolic links, `.` and `..`. The file and its directory need not
/// exist. Returns `None` if the parent of the directory does not exist.
fn resolved(path: &Path) -> Option<PathBuf> {
    if let Ok(path) = fs::canonicalize(path) {
        return Some(path);
    }
    let path = std::path::absolute(path).ok()?;
    let (directory, name) = (path.parent()?, path.file_name()?);
    match fs::canonicalize(directory) {
        Ok(directory) => Some(directory.join(name)),
        // The directory is missing. The start creates this directory, but not its parent.
        Err(_) => Some(resolved_missing_directory(directory)?.join(name)),
    }
}

/// Like [`resolved`], for a missing directory whose parent exists.
fn resolved_missing_directory(directory: &Path) -> Option<PathBuf> {
    let parent = fs::canonicalize(directory.parent()?).ok()?;
    Some(parent.join(directory.file_name()?))
}

/// Returns the first missing directory on the way to `path`, if more than the directory of the file
/// is missing.
///
/// `/var/log/shop/shop.log` works on a machine without `/var/log/shop`. But
/// `/vra/log/shop/shop.log`, or a path on a volume that is not mounted, is a mistake. Creating it
/// would make a tree that no collector reads.
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
    let metadata = fs::metadata(directory);
    metadata.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Returns whether `path` has a `~` at its start, or a `$`, which a shell would have expanded.
pub(crate) fn is_to_be_expanded(path: &str) -> bool {
    path.starts_with('~') || path.contains('$')
}

/// The end of the error about a path that [`is_to_be_expanded`].
pub(crate) const NOT_EXPANDED: &str = " contains `~` or `$`, which is not expanded: write the \
                                       whole path";

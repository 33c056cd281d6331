//! Checks of a path before the file is opened, and the errors of the checks.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    error::{DisplayDistrust, DisplayIoError, OpenError, OpenErrorKind},
    file_names::FileNames,
    fs::{self, Dir, Distrust, Meta},
};

/// Checks that a path can name a file. Does not access the file system.
pub(super) fn check_name(path: &Path) -> Result<(), OpenError> {
    let text = path.as_os_str().as_encoded_bytes();
    let not_a_file = |message| Err(OpenError::new(OpenErrorKind::NotAFile, message));
    if text.is_empty() {
        return not_a_file(
            "the path of the log file is empty: name a file, such as \"/var/log/app/app.log\""
                .to_owned(),
        );
    }
    if text.contains(&0) {
        return not_a_file(format!(
            "cannot log to {path:?}: a path cannot contain a zero byte; choose another path"
        ));
    }
    let is_separator = |last: &u8| std::path::is_separator(*last as char);
    let ends_with_separator = text.last().is_some_and(is_separator);
    if ends_with_separator || path.file_name().is_none() || text.ends_with(b"/.") {
        let example = path.join("app.log");
        return not_a_file(format!(
            "cannot log to {path:?}: it names a directory; name a file in it, such as {example:?}"
        ));
    }
    Ok(())
}

/// Checks that the file system accepts the longest name and path of the log's files. `max_len` is
/// the length of the longest name, in bytes.
pub(super) fn check_length(names: &FileNames, max_len: usize) -> Result<(), OpenError> {
    let dir = names.dir();
    let existing = dir.ancestors().find(|ancestor| ancestor.is_dir());
    let (max_name, max_path) = Dir::max_lengths(existing.unwrap_or(dir));
    let path_len = dir.as_os_str().len() + 1 + max_len;
    for (part, len, max) in [("name", max_len, max_name), ("path", path_len, max_path)] {
        if len > max {
            let message = format!(
                "cannot log to {:?}: its {part}, or the {part} of a file beside it such as a rolled \
                 one, can have {len} bytes, and {max} are allowed; choose a {part} that is {} bytes \
                 shorter",
                names.active_path(),
                len - max
            );
            return Err(OpenError::new(OpenErrorKind::TooLong, message));
        }
    }
    Ok(())
}

/// Checks that the user of this process may create files in `dir`, or in its nearest ancestor that
/// exists.
pub(super) fn check_dir(dir: &Path) -> Result<(), OpenError> {
    use io::ErrorKind::{NotADirectory, NotFound};
    for ancestor in dir.ancestors() {
        match ancestor.metadata() {
            Ok(existing) if !existing.is_dir() => {
                let message = format!(
                    "cannot create log directory {dir:?}: {ancestor:?} is not a directory; \
                     choose another path"
                );
                return Err(OpenError::new(OpenErrorKind::Directory, message));
            }
            Ok(_) => {
                return fs::may_create_in(ancestor).map_err(|error| match ancestor == dir {
                    true => cannot_write_dir(dir, error),
                    false => cannot_create_dir(dir, error),
                });
            }
            Err(error) if [NotFound, NotADirectory].contains(&error.kind()) => {}
            Err(error) => return Err(cannot_create_dir(dir, error)),
        }
    }
    Ok(())
}

/// Returns the reason why an existing file must not be used, if there is one: see [`fs::distrust`].
pub(super) fn check_trust(
    file: &Meta,
    names: &FileNames,
    dir: &Dir,
    mode: u32,
) -> Option<Distrust> {
    let own_links = || names.own_links(file, dir).len() as u64;
    let probe = || {
        let name = names.probe_name();
        // A process that was killed at this point may have left a probe file.
        let _ = dir.remove(&name);
        let probe = dir.create_private(&name).ok()?;
        let _ = dir.remove(&name);
        Meta::from_file(&probe).ok()
    };
    fs::distrust(file, mode, own_links, probe)
}

pub(super) fn absolute(path: &Path) -> Result<PathBuf, OpenError> {
    std::path::absolute(path).map_err(|error| cannot_open(path, error))
}

pub(super) fn untrusted(path: &Path, distrust: Distrust) -> OpenError {
    let why = DisplayDistrust(distrust);
    OpenError::new(
        OpenErrorKind::Untrusted,
        format!("cannot log to {path:?}: {why}"),
    )
}

pub(super) fn in_use(names: &FileNames, pid: Option<u32>) -> OpenError {
    let owner = match pid {
        Some(pid) if pid == std::process::id() => "this process".to_owned(),
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    };
    let path = names.active_path();
    OpenError::new(
        OpenErrorKind::InUse,
        format!(
            "cannot log to {path:?}: {owner} already logs to it; choose another path, or give each \
             process a file of its own with `per_process()`"
        ),
    )
}

fn cannot_write_dir(dir: &Path, error: io::Error) -> OpenError {
    let message = format!(
        "cannot write to log directory {dir:?}: {}; give the user of this process write access to \
         it, or choose another path",
        DisplayIoError(&error)
    );
    OpenError::new(error_kind(&error), message).caused_by(error)
}

pub(super) fn cannot_create_dir(dir: &Path, error: io::Error) -> OpenError {
    let message = format!(
        "cannot create log directory {dir:?}: {}; create it, or choose another path",
        DisplayIoError(&error)
    );
    let kind = match error_kind(&error) {
        OpenErrorKind::PermissionDenied => OpenErrorKind::PermissionDenied,
        _ => OpenErrorKind::Directory,
    };
    OpenError::new(kind, message).caused_by(error)
}

pub(super) fn cannot_open(path: &Path, error: io::Error) -> OpenError {
    let advice = match error_kind(&error) {
        OpenErrorKind::PermissionDenied => {
            "; give the user of this process write access to it, or choose another path"
        }
        _ => "",
    };
    let why = DisplayIoError(&error);
    let message = format!("cannot open log file {path:?}: {why}{advice}");
    OpenError::new(error_kind(&error), message).caused_by(error)
}

fn error_kind(error: &io::Error) -> OpenErrorKind {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            OpenErrorKind::PermissionDenied
        }
        io::ErrorKind::NotADirectory => OpenErrorKind::Directory,
        _ => OpenErrorKind::Other,
    }
}

/// Returns the error for a path that does not name a regular file. `file_kind` is the kind of file
/// that it names, such as "a directory".
pub(super) fn not_a_file(path: &Path, file_kind: &str) -> OpenError {
    let (kind, note, advice) = match file_kind {
        "a symbolic link" => (
            OpenErrorKind::SymbolicLink,
            ", which is not followed",
            "name the file it points to".to_owned(),
        ),
        "a directory" => (
            OpenErrorKind::NotAFile,
            "",
            format!("name a file in it, such as {:?}", path.join("app.log")),
        ),
        _ => (
            OpenErrorKind::NotAFile,
            "",
            "name a regular file".to_owned(),
        ),
    };
    let is_stream = path.starts_with("/dev") || path.starts_with("/proc");
    let advice = match is_stream {
        true => "to log to standard output or standard error, do not log to a file",
        false => &advice,
    };
    OpenError::new(
        kind,
        format!("cannot log to {path:?}: it is {file_kind}{note}; {advice}"),
    )
}

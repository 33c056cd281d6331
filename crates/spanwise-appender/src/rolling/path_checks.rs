//! What is at a path, and what is wrong with it.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    error::{DisplayIoError, OpenError, OpenErrorKind, Untrusted},
    file_names::FileNames,
    fs::{self, Dir, Distrust, Meta},
};

pub(super) fn in_use(names: &FileNames, pid: Option<u32>) -> OpenError {
    let who = match pid {
        Some(pid) if pid == std::process::id() => "this process".to_owned(),
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    };
    let path = names.current();
    OpenError::new(
        OpenErrorKind::InUse,
        format!(
            "cannot log to {path:?}: {who} does already; name another path, or give each process a \
             file of its own with `per_process()`"
        ),
    )
}

/// What is wrong with a file that is there already, as [`fs::distrust`] says.
pub(super) fn check_trust(
    file: &Meta,
    names: &FileNames,
    dir: &Dir,
    mode: u32,
) -> Option<Distrust> {
    let own_links = || names.own_links(file, dir).len() as u64;
    let probe = || {
        let name = names.probe();
        // Left by a process that was ended here.
        let _ = dir.remove(&name);
        let made = dir.create_private(&name).ok()?;
        let _ = dir.remove(&name);
        Meta::from_file(&made).ok()
    };
    fs::distrust(file, mode, own_links, probe)
}

pub(super) fn untrusted(path: &Path, distrust: Distrust) -> OpenError {
    OpenError::new(
        OpenErrorKind::Untrusted,
        format!("cannot log to {path:?}: {}", Untrusted(distrust)),
    )
}

/// The longest of the names, and its path, are not too long for the disk.
pub(super) fn check_length(names: &FileNames, longest: usize) -> Result<(), OpenError> {
    let dir = names.dir();
    let existing = dir.ancestors().find(|ancestor| ancestor.is_dir());
    let (most_name, most_path) = Dir::max_lengths(existing.unwrap_or(dir));
    let path_length = dir.as_os_str().len() + 1 + longest;
    let too_long = |what: &str, length: usize, most: usize| {
        OpenError::new(
            OpenErrorKind::TooLong,
            format!(
                "cannot log to {:?}: {what}, or that of a file beside it such as a rolled one, \
                 can have {length} bytes, and {most} are allowed; name one that is {} bytes shorter",
                names.current(),
                length - most
            ),
        )
    };
    if longest > most_name {
        return Err(too_long("its name", longest, most_name));
    }
    if path_length > most_path {
        return Err(too_long("its path", path_length, most_path));
    }
    Ok(())
}

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
            "cannot log to {path:?}: a path has no zero byte; name another path"
        ));
    }
    if text
        .last()
        .is_some_and(|last| std::path::is_separator(*last as char))
        || path.file_name().is_none()
        || text.ends_with(b"/.")
    {
        let example = path.join("app.log");
        return not_a_file(format!(
            "cannot log to {path:?}: it names a directory; name a file in it, such as {example:?}"
        ));
    }
    Ok(())
}

/// The nearest directory that is there is one, and lets files and directories be made.
pub(super) fn check_dir(dir: &Path) -> Result<(), OpenError> {
    for ancestor in dir.ancestors() {
        match ancestor.metadata() {
            Ok(there) if !there.is_dir() => {
                let message = format!(
                    "cannot make log directory {dir:?}: {ancestor:?} is not a directory; name another path"
                );
                return Err(OpenError::new(OpenErrorKind::Directory, message));
            }
            Ok(_) => {
                return fs::may_write(ancestor, true).map_err(|error| match ancestor == dir {
                    true => cannot_write_dir(dir, error),
                    false => cannot_make_dir(dir, error),
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
            Err(error) => return Err(cannot_make_dir(dir, error)),
        }
    }
    Ok(())
}

pub(super) fn absolute(path: &Path) -> Result<PathBuf, OpenError> {
    std::path::absolute(path).map_err(|error| cannot_open(path, error))
}

fn cannot_write_dir(dir: &Path, error: io::Error) -> OpenError {
    let message = format!(
        "cannot write to log directory {dir:?}: {}; let this user write there, or name another path",
        DisplayIoError(&error)
    );
    OpenError::new(kind(&error), message).caused_by(error)
}

pub(super) fn cannot_make_dir(dir: &Path, error: io::Error) -> OpenError {
    let message = format!(
        "cannot make log directory {dir:?}: {}; make it, or name another path",
        DisplayIoError(&error)
    );
    let kind = match kind(&error) {
        OpenErrorKind::PermissionDenied => OpenErrorKind::PermissionDenied,
        _ => OpenErrorKind::Directory,
    };
    OpenError::new(kind, message).caused_by(error)
}

pub(super) fn cannot_open(path: &Path, error: io::Error) -> OpenError {
    let todo = match kind(&error) {
        OpenErrorKind::PermissionDenied => "; let this user write there, or name another path",
        _ => "",
    };
    let message = format!(
        "cannot open log file {path:?}: {}{todo}",
        DisplayIoError(&error)
    );
    OpenError::new(kind(&error), message).caused_by(error)
}

fn kind(error: &io::Error) -> OpenErrorKind {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            OpenErrorKind::PermissionDenied
        }
        io::ErrorKind::NotADirectory => OpenErrorKind::Directory,
        _ => OpenErrorKind::Other,
    }
}

pub(super) fn not_a_file(path: &Path, what: &str) -> OpenError {
    let is_link = what == "a symbolic link";
    let todo = match () {
        () if path.starts_with("/dev") || path.starts_with("/proc") => {
            "to log to standard output or standard error, do not log to a file".to_owned()
        }
        () if is_link => "name the file it points to".to_owned(),
        () if what == "a directory" => {
            format!("name a file in it, such as {:?}", path.join("app.log"))
        }
        () => "name a regular file".to_owned(),
    };
    let followed = if is_link {
        ", which is not followed"
    } else {
        ""
    };
    let kind = if is_link {
        OpenErrorKind::SymbolicLink
    } else {
        OpenErrorKind::NotAFile
    };
    OpenError::new(
        kind,
        format!("cannot log to {path:?}: it is {what}{followed}; {todo}"),
    )
}

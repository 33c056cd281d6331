//! Operations on files and directories that differ between systems.
//!
//! A log keeps its directory open and names its files within it. So it does not write to another
//! directory, or through a link, that takes the place of its own.

use std::{ffi::OsStr, fs::File, io, sync::Arc};

#[cfg_attr(unix, path = "fs/unix.rs")]
#[cfg_attr(not(unix), path = "fs/other.rs")]
mod system;

pub(super) use system::*;

/// Whether a file may exist already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Create {
    IfMissing,
    New,
}

/// Whether both are the same file, as far as the system distinguishes files.
pub(super) fn is_same(one: &Meta, other: &Meta) -> bool {
    one.identity() == other.identity()
}

impl Meta {
    /// Whether no name leads to the file.
    pub(crate) fn is_deleted(&self) -> bool {
        self.links() == 0
    }

    pub(crate) fn is_file(&self) -> bool {
        self.non_file_kind().is_none()
    }

    pub(crate) fn is_symlink(&self) -> bool {
        self.non_file_kind() == Some("a symbolic link")
    }
}

impl Dir {
    /// Whether the open file is at its name.
    pub(super) fn has(&self, file: &File, name: &OsStr) -> bool {
        match (Meta::from_file(file), self.meta(name)) {
            (Ok(file), Ok(at_name)) => is_same(&file, &at_name),
            _ => false,
        }
    }

    /// Returns the directory if it is at its path, and otherwise the one that took its place.
    pub(super) fn current(dir: &Arc<Self>) -> io::Result<Arc<Self>> {
        match dir.is_in_place() {
            true => Ok(Arc::clone(dir)),
            false => dir.open_replacement().map(Arc::new),
        }
    }
}

//! Operations on files and directories that differ between systems.
//!
//! On Unix, a log keeps its directory open and accesses files relative to it. If another directory
//! or a link replaces this directory, the log writes there only if [`Dir::open_replacement`] allows
//! it.

use std::{ffi::OsStr, fs::File, io, sync::Arc};

#[cfg_attr(unix, path = "fs/unix.rs")]
#[cfg_attr(not(unix), path = "fs/other.rs")]
mod system;

pub(super) use system::*;

/// Whether a file to be created may already exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Create {
    /// Opens an existing file, or creates the file.
    IfMissing,
    /// Creates the file. Fails if it exists.
    New,
}

/// Returns whether both are the same file. Returns true if the system cannot distinguish files.
pub(super) fn is_same(one: &Meta, other: &Meta) -> bool {
    one.identity() == other.identity()
}

impl Meta {
    /// Returns whether the file was deleted, so that no name leads to it.
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
    /// Returns whether the file with this name is the open `file`.
    pub(super) fn has(&self, file: &File, name: &OsStr) -> bool {
        match (Meta::from_file(file), self.meta(name)) {
            (Ok(file), Ok(at_name)) => is_same(&file, &at_name),
            _ => false,
        }
    }

    /// Returns the directory if it is still at its path, or else the directory that replaced it.
    pub(super) fn current(dir: &Arc<Self>) -> io::Result<Arc<Self>> {
        match dir.is_in_place() {
            true => Ok(Arc::clone(dir)),
            false => dir.open_replacement().map(Arc::new),
        }
    }
}

//! Operations on files and directories that differ between systems.
//!
//! A log keeps its directory open and names its files within it. So it does not write to another
//! directory, or through a link, that takes the place of its own.

use std::{io, sync::Arc};

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

impl Dir {
    /// Returns the directory if it is at its path, and otherwise the one that took its place.
    pub(super) fn current(dir: &Arc<Self>) -> io::Result<Arc<Self>> {
        match dir.is_in_place() {
            true => Ok(Arc::clone(dir)),
            false => dir.open_replacement().map(Arc::new),
        }
    }
}

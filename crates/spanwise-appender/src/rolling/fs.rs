//! Directories and files, where the standard library does not ask the same way on every system.
//!
//! A log keeps its directory open and names its files within it. So another directory, or a link, that somebody puts in its place
//! is not written to.

use std::{io, sync::Arc};

#[cfg_attr(unix, path = "fs/unix.rs")]
#[cfg_attr(not(unix), path = "fs/other.rs")]
mod system;

pub(super) use system::*;

/// Whether a file may be there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Create {
    IfMissing,
    New,
}

/// Whether both are one file, as far as the system tells files apart.
pub(super) fn is_same(one: &Meta, other: &Meta) -> bool {
    one.identity() == other.identity()
}

impl Dir {
    /// The directory if it is at its path, or else the one that took its place.
    pub(super) fn current(dir: &Arc<Self>) -> io::Result<Arc<Self>> {
        match dir.is_in_place() {
            true => Ok(Arc::clone(dir)),
            false => dir.open_replacement().map(Arc::new),
        }
    }
}

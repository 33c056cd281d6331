//! What files are asked that the standard library does not ask the same way everywhere.

use std::{
    fs::{File, Metadata},
    path::Path,
};

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

/// Makes what was renamed outlive a loss of power. Only the directories of some systems can do it.
pub(super) fn sync_dir(dir: &Path) {
    if let Ok(dir) = File::open(dir) {
        let _ = dir.sync_all();
    }
}

/// Whether both are one file, as far as the system tells files apart.
pub(super) fn is_same(one: &Metadata, other: &Metadata) -> bool {
    identity(one) == identity(other)
}

//! The link `app.latest.log` to the active file.

use std::io;

use super::{Settings, error::DisplayIoError, file_names::FileNames, fs::Dir};

impl Settings {
    /// Makes the link point to the active file of this process, if the option is set.
    pub(super) fn update_latest_link(&self, dir: &Dir) {
        if self.options.link_latest
            && let Err(error) = replace_link(&self.names, dir)
        {
            let path = self.names.path(self.names.latest_link_name());
            let why = DisplayIoError(&error);
            let message = format_args!("cannot link {}: {why}", path.display());
            self.report_failure(&message);
        }
    }

    /// Creates the link if it is missing. Keeps an existing link, because it may be that of a
    /// process that started later.
    pub(super) fn restore_latest_link(&self, dir: &Dir) {
        if self.options.link_latest && dir.meta(self.names.latest_link_name()).is_err() {
            self.update_latest_link(dir);
        }
    }
}

/// Replaces the link by a rename, so that it always exists.
fn replace_link(names: &FileNames, dir: &Dir) -> io::Result<()> {
    let latest = names.latest_link_name();
    if dir
        .meta(latest)
        .is_ok_and(|existing| !existing.is_symlink())
    {
        let why = "it is not a link, and is left alone";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    let next = names.next_latest_link_name();
    // A process that was killed at this point may have left a temporary link.
    let _ = dir.remove(&next);
    dir.symlink(names.active_name(), &next)?;
    dir.rename(&next, latest).inspect_err(|_| {
        let _ = dir.remove(&next);
    })
}

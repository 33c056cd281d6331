//! `app.latest.log`, a link to the file that is written.

use std::io;

use spanwise_core::Fault;

use super::{Settings, error::DisplayIoError, file_names::FileNames, fs::Dir};

impl Settings {
    /// Lets the link point to our file, whoever's it points to.
    pub(super) fn update_latest_link(&self, dir: &Dir) {
        if self.link_latest
            && let Err(error) = link(&self.names, dir)
        {
            let path = self.names.path(self.names.latest());
            let what = format_args!("cannot link {}: {}", path.display(), DisplayIoError(&error));
            self.report.fault(Fault::Setup, &what);
        }
    }

    /// Makes the link if it is gone. One that is there may be that of a process that started after us.
    pub(super) fn restore_latest_link(&self, dir: &Dir) {
        if self.link_latest && dir.meta(self.names.latest()).is_err() {
            self.update_latest_link(dir);
        }
    }
}

/// What is there and is not a link stays.
fn link(names: &FileNames, dir: &Dir) -> io::Result<()> {
    if dir
        .meta(names.latest())
        .is_ok_and(|there| !there.is_symlink())
    {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "what is there is not a link, and stays",
        ));
    }
    let next = names.next_latest();
    // Left by a process that was ended here.
    let _ = dir.remove(&next);
    dir.symlink(names.current_name(), &next)?;
    dir.rename(&next, names.latest()).inspect_err(|_| {
        let _ = dir.remove(&next);
    })
}

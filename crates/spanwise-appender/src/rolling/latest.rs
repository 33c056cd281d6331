//! `app.latest.log`, a link to the file that is written.

use std::{fs, io, path::Path};

use spanwise_core::Fault;

use super::{Settings, error::Why, fs::symlink, name::Names};

impl Settings {
    /// Lets the link point to our file, whoever's it points to.
    pub(super) fn take_latest(&self) {
        if self.link_latest
            && let Err(error) = link(&self.names)
        {
            let path = self.names.latest().display();
            let what = format_args!("cannot link {path}: {}", Why(&error));
            self.report.fault(Fault::Setup, &what);
        }
    }

    /// Makes the link if it is gone. One that is there may be that of a process that started after us.
    pub(super) fn keep_latest(&self) {
        if self.link_latest && self.names.latest().symlink_metadata().is_err() {
            self.take_latest();
        }
    }
}

/// What is there and is not a link stays.
fn link(names: &Names) -> io::Result<()> {
    if names
        .latest()
        .symlink_metadata()
        .is_ok_and(|there| !there.is_symlink())
    {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "what is there is not a link, and stays",
        ));
    }
    let next = names.next_latest();
    // Left by a process that was ended here.
    let _ = fs::remove_file(&next);
    symlink(
        Path::new(names.current().file_name().unwrap_or_default()),
        &next,
    )?;
    fs::rename(&next, names.latest()).inspect_err(|_| {
        let _ = fs::remove_file(&next);
    })
}

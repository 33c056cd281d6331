//! From one file to the next, or not at all.

use std::{fs as std_fs, io, sync::Arc};

use spanwise_core::Fault;

use super::{
    current::{Current, NotOpened},
    error::Why,
    fs::{self, Create},
    name::{Form, Rolled},
    state::{State, open},
};

impl State {
    /// Starts a new file if a record of `next` bytes asks for one. Should that fail, the old file is written on, and it is tried
    /// again later; an error only if there is no file to write to.
    pub(super) fn roll_if_due(&mut self, next: u64) -> io::Result<()> {
        if !self.is_due(next)
            || self
                .rolling
                .refusal(|| self.settings.clock.instant())
                .is_some()
        {
            return Ok(());
        }
        // Somebody may have moved, cut or rolled the file since it was last looked at.
        self.look_at_path(true)?;
        if !self.is_due(next) {
            return Ok(());
        }
        match self.roll() {
            Ok(()) => self.rolling.worked(),
            Err(error) => {
                self.rolling.failed(&error, self.settings.clock.instant());
                let path = self.settings.names.current().display();
                self.settings.report.fault(
                    Fault::Setup,
                    &format_args!(
                        "cannot start a new log file after {path}: {}; the old one is written on",
                        Why(&error)
                    ),
                );
            }
        }
        Ok(())
    }

    /// Makes the next file under another name, moves the old one aside, then the new one to its place. A step that fails takes back
    /// those before it.
    fn roll(&mut self) -> io::Result<()> {
        let settings = Arc::clone(&self.settings);
        let next = settings.names.next();
        let fresh = self.open_next()?;
        let remove_next = |_: &io::Error| {
            let _ = std_fs::remove_file(&next);
        };
        let rolled = self.move_aside().inspect_err(remove_next)?;
        let fresh =
            match fs::rename_to_new(&next, settings.names.current()).inspect_err(remove_next) {
                Ok(()) => fresh,
                // Somebody made a file there in this moment.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    open(&settings, Create::IfMissing)?
                }
                Err(error) => {
                    let _ = fs::rename_to_new(
                        &settings.names.rolled(rolled, Form::Plain),
                        settings.names.current(),
                    );
                    return Err(error);
                }
            };
        self.current = fresh;
        self.roll_at_start = false;
        // What took its place may be the next file of a fork that rolled in this moment.
        self.look_at_path(true)?;
        if let Some(lock) = &self.lock {
            lock.remember(Some(rolled));
        }
        settings.keep_latest();
        self.housekeeper.wake(&settings);
        Ok(())
    }

    fn open_next(&self) -> io::Result<Current> {
        match open(&self.settings, Create::New) {
            Err(NotOpened::Io(error)) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.settings.remove_next();
                Ok(open(&self.settings, Create::New)?)
            }
            opened => Ok(opened?),
        }
    }

    /// Gives the old file the next name that is free.
    fn move_aside(&mut self) -> io::Result<Rolled> {
        let date = self.current.period.unwrap_or(self.period_now()).date;
        let names = &self.settings.names;
        for attempt in 0..MOST_ATTEMPTS {
            let rolled = self.numbers.next(date, names);
            let path = names.rolled(rolled, Form::Plain);
            let taken = || io::Error::from(io::ErrorKind::AlreadyExists);
            let moved = match names.is_taken(rolled) {
                true => Err(taken()),
                false => fs::rename_to_new(names.current(), &path),
            };
            match moved {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    self.numbers.give(rolled);
                    if attempt == 0 {
                        self.numbers.look(names);
                    }
                }
                Err(error) => return Err(error),
                Ok(()) => {
                    self.numbers.give(rolled);
                    if fs::is_same(&self.current.file.metadata()?, &path.symlink_metadata()?) {
                        return Ok(rolled);
                    }
                    // Another process rolled in this moment, and what was moved is its new file.
                    fs::rename_to_new(&path, names.current())?;
                    return Err(io::Error::other("another process rolled it"));
                }
            }
        }
        Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "no name is free",
        ))
    }
}

impl super::Settings {
    /// Removes the next file if a process ended before it took its place. It is empty then, or has its place and still this name.
    pub(super) fn remove_next(&self) {
        let next = self.names.next();
        if next
            .symlink_metadata()
            .is_ok_and(|next| next.is_file() && (next.len() == 0 || fs::has_other_names(&next)))
        {
            let _ = std_fs::remove_file(next);
        }
    }
}

/// A directory that may not be read does not tell which numbers are free.
const MOST_ATTEMPTS: u32 = 10_000;

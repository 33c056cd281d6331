//! From one file to the next, or not at all.

use std::{io, sync::Arc};

use spanwise_core::Fault;
use time::Date;

use super::{
    active_file::{ActiveFile, OpenFailure},
    error::DisplayIoError,
    file_names::{Form, RolledId},
    file_writer::{FileWriter, open},
    fs::{self, Create, Dir, Meta},
};

impl FileWriter {
    /// Starts a new file if a record of `next` bytes asks for one. Should that fail, the old file is written on, and it is tried
    /// again later; an error only if there is no file to write to.
    pub(super) fn roll_if_due(&mut self, next: u64) -> io::Result<()> {
        if !self.is_roll_due(next)
            || self
                .roll_backoff
                .refusal(|| self.settings.clock.instant())
                .is_some()
        {
            return Ok(());
        }
        // Somebody may have moved, cut or rolled the file since it was last looked at.
        if !self.check_path(true)? || !self.is_roll_due(next) {
            return Ok(());
        }
        match self.roll() {
            Ok(RollOutcome::Done) => self.roll_backoff.worked(),
            // The numbers in a large directory are not known for a moment: the old file is written on.
            Ok(RollOutcome::Later) => {}
            Err(error) => {
                self.roll_backoff
                    .failed(&error, self.settings.clock.instant());
                let path = self.settings.names.current().display();
                self.settings.report.fault(
                    Fault::Setup,
                    &format_args!(
                        "cannot start a new log file after {path}: {}; the old one is written on",
                        DisplayIoError(&error)
                    ),
                );
            }
        }
        Ok(())
    }

    /// Makes the next file under another name, moves the old one aside, then the new one to its place. A step that fails takes back
    /// those before it.
    fn roll(&mut self) -> io::Result<RollOutcome> {
        let (settings, dir) = (Arc::clone(&self.settings), Arc::clone(&self.dir));
        let date = self.current.period.unwrap_or(self.current_period()).date;
        if self.next_number(date)?.is_none() {
            return Ok(RollOutcome::Later);
        }
        let (next, current) = (settings.names.next(), settings.names.current_name());
        let fresh = self.open_next()?;
        let remove_next = |_: &io::Error| {
            let _ = dir.remove(&next);
        };
        let rolled = self.move_aside(date).inspect_err(remove_next)?;
        let fresh = match dir.rename_to_new(&next, current).inspect_err(remove_next) {
            Ok(()) => fresh,
            // Somebody made a file there in this moment.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                open(&settings, &dir, Create::IfMissing)?
            }
            Err(error) => {
                let name = settings.names.rolled(rolled, Form::Plain);
                let _ = dir.rename_to_new(&name, current);
                return Err(error);
            }
        };
        self.current = fresh;
        self.roll_at_start = false;
        // What took its place may be the next file of a fork that rolled in this moment.
        self.check_path(true)?;
        if let Some(lock) = &self.lock {
            lock.remember(Some(rolled));
        }
        settings.restore_latest_link(&dir);
        self.housekeeper.wake(&settings, &dir);
        Ok(RollOutcome::Done)
    }

    /// The next number, if it is known: the housekeeping reads a large directory. Without a thread for that it is read here.
    fn next_number(&mut self, date: Date) -> io::Result<Option<RolledId>> {
        let Self {
            settings,
            dir,
            numbers,
            housekeeper,
            ..
        } = self;
        let names = &settings.names;
        let was_known = numbers.is_scan_pending();
        let next = numbers.next(date, names, dir, housekeeper.found())?;
        if next.is_some() || was_known || housekeeper.wake(settings, dir) {
            return Ok(next);
        }
        numbers.scan_all(names, dir, housekeeper.found());
        numbers.next(date, names, dir, housekeeper.found())
    }

    fn open_next(&self) -> io::Result<ActiveFile> {
        match open(&self.settings, &self.dir, Create::New) {
            Err(OpenFailure::Io(error)) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.settings.remove_leftover_next(&self.dir);
                Ok(open(&self.settings, &self.dir, Create::New)?)
            }
            opened => Ok(opened?),
        }
    }

    /// Gives the old file the next name that is free.
    fn move_aside(&mut self, date: Date) -> io::Result<RolledId> {
        let (settings, dir) = (Arc::clone(&self.settings), Arc::clone(&self.dir));
        let (names, current) = (&settings.names, settings.names.current_name());
        for attempt in 0..MAX_ATTEMPTS {
            let Some(rolled) = self.next_number(date)? else {
                break;
            };
            let name = names.rolled(rolled, Form::Plain);
            let taken = || io::Error::from(io::ErrorKind::AlreadyExists);
            let moved = match names.is_taken(rolled, &dir) {
                true => Err(taken()),
                false => dir.rename_to_new(current, &name),
            };
            match moved {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    self.numbers.mark_used(rolled);
                    if attempt == 0 {
                        self.numbers.rescan(names, &dir, self.housekeeper.found());
                    }
                }
                Err(error) => return Err(error),
                Ok(()) => {
                    self.numbers.mark_used(rolled);
                    if fs::is_same(&Meta::from_file(&self.current.file)?, &dir.meta(&name)?) {
                        return Ok(rolled);
                    }
                    // Another process rolled in this moment, and what was moved is its new file.
                    dir.rename_to_new(&name, current)?;
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

/// What came of an attempt to roll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RollOutcome {
    Done,
    Later,
}

impl super::Settings {
    /// Removes the next file if a process ended before it took its place. It is empty then, or has its place and still this name.
    pub(super) fn remove_leftover_next(&self, dir: &Dir) {
        let next = self.names.next();
        if dir
            .meta(&next)
            .is_ok_and(|next| next.is_file() && (next.len() == 0 || next.links() > 1))
        {
            let _ = dir.remove(&next);
        }
    }

    /// Moves the file aside if a process ended while it did: it has its rolled name, and still the current one.
    pub(super) fn finish_interrupted_roll(&self, dir: &Dir) {
        let current = self.names.current_name();
        let Ok(file) = dir.meta(current) else { return };
        if file.is_file() && file.links() > 1 && !self.names.own_links(&file, dir).is_empty() {
            let _ = dir.remove(current);
        }
    }
}

/// A directory that may not be read does not tell which numbers are free.
const MAX_ATTEMPTS: u32 = 10_000;

//! The roll: the change from the active file to the next one. It happens completely or not at all,
//! unless another process creates a file at the path meanwhile.

use std::{io, sync::Arc};

use time::Date;

use super::{
    Settings,
    active_file::{ActiveFile, OpenFailure},
    error::DisplayIoError,
    file_names::{Form, RolledId},
    file_writer::{FileWriter, open},
    fs::{self, Create, Dir, Meta},
};

/// The maximum number of file numbers that a roll tries, one after the other. It needs more than a
/// few only if the directory cannot be read.
const MAX_ATTEMPTS: u32 = 10_000;

impl FileWriter {
    /// Starts a new file before a record of this length, if that is due. If the roll fails, the old
    /// file stays in use, and the roll is retried later.
    ///
    /// # Errors
    /// If there is no file to write to.
    pub(super) fn roll_if_due(&mut self, record_len: u64) -> io::Result<()> {
        let now = || self.settings.options.clock.instant();
        if self.roll_retry.refusal(now).is_some() || !self.is_roll_due(record_len) {
            return Ok(());
        }
        // Another program may have moved, truncated or rolled the file. If so, no roll is due now.
        let is_forced = true;
        if !self.check_path(is_forced)? || !self.is_roll_due(record_len) {
            return Ok(());
        }
        if let Err(error) = self.roll() {
            self.roll_retry
                .note_failure(&error, self.settings.options.clock.instant());
            let path = self.settings.names.active_path().display();
            let why = DisplayIoError(&error);
            self.settings.report_failure(&format_args!(
                "cannot start a new log file after {path}: {why}; the old one stays in use"
            ));
        }
        Ok(())
    }

    /// Creates the next file under a temporary name, renames the old file, and then renames the new
    /// file to the path. If a step fails, the earlier steps are reverted. Does nothing while the
    /// number of the old file is unknown.
    ///
    /// The rename of the old file cannot be reverted if another process has created a file at the
    /// path, and this file cannot be opened. The old file then stays in use under its new name.
    fn roll(&mut self) -> io::Result<()> {
        let (settings, dir) = (Arc::clone(&self.settings), Arc::clone(&self.dir));
        let date = self.active.period.unwrap_or(self.current_period()).date;
        if self.next_number(date)?.is_none() {
            // The housekeeping thread is scanning a large directory for the next number. Until it
            // has finished, the roll stays due.
            return Ok(());
        }
        let (next, active) = (
            settings.names.next_file_name(),
            settings.names.active_name(),
        );
        let new_file = self.open_next()?;
        let remove_next = |_: &io::Error| {
            let _ = dir.remove(&next);
        };
        let rolled = self.rename_active(date).inspect_err(remove_next)?;
        let new_file = match dir.rename_to_new(&next, active).inspect_err(remove_next) {
            Ok(()) => new_file,
            // Another process has just created the file at the path.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                open(&settings, &dir, Create::IfMissing)?
            }
            Err(error) => {
                let name = settings.names.rolled_name(rolled, Form::Plain);
                let _ = dir.rename_to_new(&name, active);
                return Err(error);
            }
        };
        self.active = new_file;
        self.roll_at_start = false;
        // A child process may have rolled at the same time, so that its new file is at the path.
        let is_forced = true;
        self.check_path(is_forced)?;
        if let Some(lock) = &self.lock {
            lock.store_last_used(Some(rolled));
        }
        settings.restore_latest_link(&dir);
        self.housekeeper.wake(&settings, &dir);
        self.roll_retry.note_success();
        Ok(())
    }

    /// Returns the next number, or `None` until the housekeeping thread has scanned a large
    /// directory. If that thread cannot be started, this thread scans.
    fn next_number(&mut self, date: Date) -> io::Result<Option<RolledId>> {
        let Self {
            settings,
            dir,
            numbers,
            housekeeper,
            ..
        } = self;
        let names = &settings.names;
        let was_pending = numbers.is_scan_pending();
        let next = numbers.next(date, names, dir, housekeeper.scanned_numbers())?;
        if next.is_some() || was_pending || housekeeper.wake(settings, dir) {
            return Ok(next);
        }
        numbers.scan(names, dir, usize::MAX);
        numbers.next(date, names, dir, housekeeper.scanned_numbers())
    }

    /// Creates the next file under its temporary name.
    fn open_next(&self) -> io::Result<ActiveFile> {
        match open(&self.settings, &self.dir, Create::New) {
            Err(OpenFailure::Io(error)) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.settings.remove_leftover_next(&self.dir);
                Ok(open(&self.settings, &self.dir, Create::New)?)
            }
            opened => Ok(opened?),
        }
    }

    /// Renames the active file to the name with the next free number, and returns this number.
    fn rename_active(&mut self, date: Date) -> io::Result<RolledId> {
        let (settings, dir) = (Arc::clone(&self.settings), Arc::clone(&self.dir));
        let (names, active) = (&settings.names, settings.names.active_name());
        for attempt in 0..MAX_ATTEMPTS {
            let Some(rolled) = self.next_number(date)? else {
                break;
            };
            let name = names.rolled_name(rolled, Form::Plain);
            let renamed = match names.is_taken(rolled, &dir) {
                true => Err(io::ErrorKind::AlreadyExists.into()),
                false => dir.rename_to_new(active, &name),
            };
            match renamed {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    self.numbers.mark_used(rolled);
                    if attempt == 0 {
                        // Another program created this file, so the known numbers are out of date.
                        let scanned = self.housekeeper.scanned_numbers();
                        self.numbers.rescan(names, &dir, scanned);
                    }
                }
                Err(error) => return Err(error),
                Ok(()) => {
                    self.numbers.mark_used(rolled);
                    if fs::is_same(&Meta::from_file(&self.active.file)?, &dir.meta(&name)?) {
                        return Ok(rolled);
                    }
                    // Another process rolled at the same time, so this rename was applied to its
                    // new file. Renames that file back.
                    dir.rename_to_new(&name, active)?;
                    return Err(io::Error::other("another process rolled it"));
                }
            }
        }
        let why = "no name is free";
        Err(io::Error::new(io::ErrorKind::AlreadyExists, why))
    }
}

impl Settings {
    /// Removes the temporary name that a process left when it ended during a roll. A file with this
    /// name is either empty, or also has the name of the active file.
    pub(super) fn remove_leftover_next(&self, dir: &Dir) {
        let next = self.names.next_file_name();
        let is_leftover = |next: Meta| next.is_file() && (next.len() == 0 || next.links() > 1);
        if dir.meta(&next).is_ok_and(is_leftover) {
            let _ = dir.remove(&next);
        }
    }

    /// Completes the roll of a process that ended during it: if the active file also has a rolled
    /// name, removes the name of the active file.
    pub(super) fn finish_interrupted_roll(&self, dir: &Dir) {
        let active = self.names.active_name();
        let Ok(file) = dir.meta(active) else { return };
        if file.is_file() && file.links() > 1 && !self.names.own_links(&file, dir).is_empty() {
            let _ = dir.remove(active);
        }
    }
}

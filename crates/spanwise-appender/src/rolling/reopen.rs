//! Staying with the path, whatever others do to the file.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use spanwise_core::Fault;

use super::{
    deleted_file::DeletedFileTail,
    error::DisplayIoError,
    file_writer::{FileWriter, open},
    fs::{self, Create, Dir, Meta},
    path_lock::{LockOutcome, PathLock},
};
use crate::record_sink::Records;

impl FileWriter {
    /// Sees whether the path still names our file, at most once a second unless `now`; if not, opens what it names. False if our file
    /// is written on although it is not there.
    pub(super) fn check_path(&mut self, now: bool) -> io::Result<bool> {
        let asked = self.reopen_requested.load(Ordering::Relaxed)
            && self.reopen_requested.swap(false, Ordering::Relaxed);
        let instant = self.settings.clock.instant();
        if !asked && !now && instant.saturating_duration_since(self.path_checked_at) < POLL_INTERVAL
        {
            return Ok(true);
        }
        self.path_checked_at = instant;
        let ours = Meta::from_file(&self.current.file);
        if !self.write_backoff.is_failing()
            && self.dir.is_in_place()
            && let (Ok(ours), Ok(there)) =
                (&ours, self.dir.meta(self.settings.names.current_name()))
            && fs::is_same(ours, &there)
            && there.is_file()
        {
            self.current.mark_verified(&there);
            return Ok(true);
        }
        match self.reopen() {
            Err(error) if ours.is_ok_and(|ours| ours.is_deleted()) => Err(error),
            Err(error) => {
                // Moved away, it still holds all that is written to it.
                let path = self.settings.names.current().display();
                self.settings.report.fault(
                    Fault::Setup,
                    &format_args!(
                        "cannot reopen log file {path}: {}; the old one is written on",
                        DisplayIoError(&error)
                    ),
                );
                Ok(false)
            }
            Ok(()) => Ok(true),
        }
    }

    /// Opens what is at the path, and tries that at once whatever failed before.
    pub(super) fn reopen_now(&mut self) -> io::Result<()> {
        self.reopen()?;
        self.write_backoff.worked();
        self.roll_backoff.worked();
        Ok(())
    }

    /// Sees to it that what was written is in a file that has a name.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if let Some(error) = self.write_backoff.refusal(|| self.settings.clock.instant()) {
            return Err(error);
        }
        self.check_path(true)?;
        self.write_salvage()
    }

    /// Writes again what was written in the last second to a file that was deleted, unless its directory went with it.
    pub(super) fn finish(&mut self) {
        let is_deleted = Meta::from_file(&self.current.file).is_ok_and(|ours| ours.is_deleted());
        let unsafe_bytes = match is_deleted {
            true => self
                .current
                .length
                .saturating_sub(self.current.verified_len),
            false => 0,
        };
        if unsafe_bytes == 0 && self.deleted_tails.is_empty() {
            return;
        }
        let flushed = match self.settings.names.dir().is_dir() {
            true => self.flush(),
            false => Err(io::ErrorKind::NotFound.into()),
        };
        if let Err(error) = flushed {
            let left = self
                .deleted_tails
                .iter()
                .map(DeletedFileTail::left)
                .sum::<u64>();
            let what = self.loss_text(Some(left.max(unsafe_bytes)), &error);
            // There is no later time to tell it.
            self.settings
                .report
                .fault_unthrottled(Fault::WriteFailed, &what);
            self.deleted_tails.clear();
        }
    }

    /// Opens what is at the path, and goes on there.
    fn reopen(&mut self) -> io::Result<()> {
        let settings = Arc::clone(&self.settings);
        let dir = Dir::current(&self.dir)?;
        let fresh = open(&settings, &dir, Create::IfMissing)?;
        self.dir = dir;
        let is_same = match (
            Meta::from_file(&self.current.file),
            Meta::from_file(&fresh.file),
        ) {
            (Ok(ours), Ok(there)) => fs::is_same(&ours, &there),
            _ => false,
        };
        let period = self.current.period;
        let old = std::mem::replace(&mut self.current, fresh);
        if is_same {
            self.current.period = period.filter(|_| self.current.length > 0);
            return Ok(());
        }
        self.roll_at_start = false;
        if Meta::from_file(&old.file).is_ok_and(|old| old.is_deleted()) {
            match DeletedFileTail::from_deleted(old) {
                Ok(deleted_tails) => deleted_tails
                    .into_iter()
                    .for_each(|deleted_tails| self.deleted_tails.push_front(deleted_tails)),
                Err(error) => self.report_lost(None, &error),
            }
        }
        self.restore_companions();
        Ok(())
    }

    /// Makes again what belongs beside the file.
    fn restore_companions(&mut self) {
        let settings = &self.settings;
        if !self
            .lock
            .as_ref()
            .is_none_or(|lock| lock.is_in_place(&settings.names, &self.dir))
        {
            match PathLock::try_take(&settings.names, &self.dir) {
                Ok(LockOutcome::Taken(lock, _)) => self.lock = Some(lock),
                Ok(LockOutcome::InUse(_) | LockOutcome::Unsupported(_)) | Err(_) => {
                    settings.report.fault(
                        Fault::Setup,
                        &format_args!(
                            "cannot lock {} again; another process may use the log file",
                            settings.names.path(&settings.names.lock()).display()
                        ),
                    )
                }
            }
        }
        settings.restore_latest_link(&self.dir);
    }

    /// Writes what was in a deleted file again.
    pub(super) fn write_salvage(&mut self) -> io::Result<()> {
        while let Some(mut deleted_tails) = self.deleted_tails.pop_front() {
            loop {
                let (bytes, ends) = match deleted_tails.lines() {
                    Ok(lines) => lines,
                    Err(error) => {
                        self.report_lost(Some(deleted_tails.left()), &error);
                        break;
                    }
                };
                if ends.is_empty() {
                    break;
                }
                let records = Records::new(&bytes[..ends[ends.len() - 1]], &ends);
                let (delivered, error) = self.append_records(records);
                let written = records.start_of(delivered);
                deleted_tails.written(written);
                if let Some(error) = error {
                    self.deleted_tails.push_front(deleted_tails);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn report_lost(&self, bytes: Option<u64>, error: &io::Error) {
        let what = self.loss_text(bytes, error);
        self.settings.report.fault(Fault::WriteFailed, &what);
    }

    fn loss_text(&self, bytes: Option<u64>, error: &io::Error) -> String {
        let path = self.settings.names.current().display();
        let bytes = bytes.map_or_else(
            || "what was written in the last second".to_owned(),
            |bytes| format!("{bytes} bytes"),
        );
        format!(
            "log file {path} was deleted, and {bytes} with it: {}",
            DisplayIoError(error)
        )
    }
}

const POLL_INTERVAL: Duration = Duration::from_secs(1);

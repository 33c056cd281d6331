//! Reopens the path after other programs moved, deleted or truncated the file.

use std::{
    io, mem,
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

/// The minimum time between two checks of the path that nothing requested.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

impl FileWriter {
    /// Checks whether the path still names the active file, at most once a second unless the check
    /// is forced or was requested by a signal. If the path names another file or none, or if the
    /// last write failed, opens or creates the file at the path. Returns false if this fails. In
    /// that case the active file stays in use without a path.
    ///
    /// # Errors
    /// If the path cannot be reopened, and the active file was deleted.
    pub(super) fn check_path(&mut self, is_forced: bool) -> io::Result<bool> {
        let is_requested = self.reopen_requested.load(Ordering::Relaxed)
            && self.reopen_requested.swap(false, Ordering::Relaxed);
        let instant = self.settings.options.clock.instant();
        let since = instant.saturating_duration_since(self.path_checked_at);
        if !is_requested && !is_forced && since < CHECK_INTERVAL {
            return Ok(true);
        }
        self.path_checked_at = instant;
        let active = Meta::from_file(&self.active.file);
        if !self.write_retry.is_failing()
            && self.dir.is_in_place()
            && let (Ok(active), Ok(at_path)) =
                (&active, self.dir.meta(self.settings.names.current_name()))
            && fs::is_same(active, &at_path)
            && at_path.is_file()
        {
            self.active.mark_verified(&at_path);
            return Ok(true);
        }
        let Err(error) = self.reopen() else {
            return Ok(true);
        };
        if active.is_ok_and(|active| active.is_deleted()) {
            return Err(error);
        }
        // Records in a moved file are not lost, so this is not an error.
        let path = self.settings.names.current().display();
        let why = DisplayIoError(&error);
        self.settings.report_failure(&format_args!(
            "cannot reopen log file {path}: {why}; the old one stays in use"
        ));
        Ok(false)
    }

    /// Opens the file at the path. Retries earlier failures at once.
    pub(super) fn reopen_now(&mut self) -> io::Result<()> {
        self.reopen()?;
        self.write_retry.worked();
        self.roll_retry.worked();
        Ok(())
    }

    /// Checks the path, and rewrites the records of a deleted file.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if let Some(error) = self
            .write_retry
            .refusal(|| self.settings.options.clock.instant())
        {
            return Err(error);
        }
        self.try_to_flush()
    }

    /// Flushes, even if it is too early for another attempt after a failed write.
    fn try_to_flush(&mut self) -> io::Result<()> {
        let is_forced = true;
        self.check_path(is_forced)?;
        self.write_deleted_tails(0)
    }

    /// If the file was deleted, rewrites the records since the last check of the path. If its
    /// directory was deleted, too, only reports the loss.
    pub(super) fn finish(&mut self) {
        if self.unverified_len() == 0 && self.deleted_tails.is_empty() {
            return;
        }
        // The last attempt, so it does not wait for the time of the next one.
        let flushed = match self.settings.names.dir().is_dir() {
            true => self.try_to_flush(),
            false => Err(io::ErrorKind::NotFound.into()),
        };
        if let Err(error) = flushed {
            let tails = self.deleted_tails.iter().map(DeletedFileTail::left);
            // If the path was not reopened, the records of the active file are in no tail yet.
            let lost = tails.sum::<u64>().saturating_add(self.unverified_len());
            let what = self.loss_text(Some(lost), &error);
            // This is the last chance to report the loss.
            let report = &self.settings.options.report;
            report.fault_unthrottled(Fault::WriteFailed, &what);
            self.deleted_tails.clear();
        }
    }

    /// Returns the length of the records that must be rewritten because the active file was
    /// deleted.
    fn unverified_len(&self) -> u64 {
        match Meta::from_file(&self.active.file).is_ok_and(|active| active.is_deleted()) {
            true => self.active.len.saturating_sub(self.active.verified_len),
            false => 0,
        }
    }

    /// Opens the file at the path, and continues with it.
    fn reopen(&mut self) -> io::Result<()> {
        let settings = Arc::clone(&self.settings);
        let dir = Dir::current(&self.dir)?;
        let fresh = open(&settings, &dir, Create::IfMissing)?;
        self.dir = dir;
        let is_same = match (
            Meta::from_file(&self.active.file),
            Meta::from_file(&fresh.file),
        ) {
            (Ok(active), Ok(at_path)) => fs::is_same(&active, &at_path),
            _ => false,
        };
        let period = self.active.period;
        let old = mem::replace(&mut self.active, fresh);
        if is_same {
            self.active.period = period.filter(|_| self.active.len > 0);
            return Ok(());
        }
        self.roll_at_start = false;
        if Meta::from_file(&old.file).is_ok_and(|old| old.is_deleted()) {
            match DeletedFileTail::from_deleted(old) {
                Ok(Some(tail)) => self.deleted_tails.push_front(tail),
                Ok(None) => {}
                Err(error) => self.report_lost(None, &error),
            }
        }
        self.restore_companions();
        Ok(())
    }

    /// Restores missing files beside the active file: the lock and the link.
    fn restore_companions(&mut self) {
        let settings = &self.settings;
        let is_in_place = |lock: &PathLock| lock.is_in_place(&settings.names, &self.dir);
        if !self.lock.as_ref().is_none_or(is_in_place) {
            match PathLock::try_take(&settings.names, &self.dir) {
                Ok(LockOutcome::Taken(lock, _)) => self.lock = Some(lock),
                Ok(LockOutcome::InUse(_) | LockOutcome::Unsupported(_)) | Err(_) => {
                    let path = settings.names.path(&settings.names.lock());
                    let what = format_args!(
                        "cannot lock {} again; another process may use the log file",
                        path.display()
                    );
                    settings.report_failure(&what);
                }
            }
        }
        settings.restore_latest_link(&self.dir);
    }

    /// Writes the records of deleted files to the active file, in their order. Leaves those of the
    /// last `kept` files.
    pub(super) fn write_deleted_tails(&mut self, kept: usize) -> io::Result<()> {
        while self.deleted_tails.len() > kept
            && let Some(mut tail) = self.deleted_tails.pop_front()
        {
            let later = self.deleted_tails.len();
            loop {
                let (bytes, ends) = match tail.lines() {
                    Ok(lines) => lines,
                    Err(error) => {
                        self.report_lost(Some(tail.left()), &error);
                        break;
                    }
                };
                let Some(end) = ends.last() else {
                    break;
                };
                let records = Records::new(&bytes[..*end], &ends);
                let (delivered, error) = self.append(records);
                let written = records.start_of(delivered);
                tail.remove_written(written);
                if let Some(error) = error {
                    // A file that was deleted during the write has earlier records of this tail.
                    let earlier = self.deleted_tails.len() - later;
                    self.deleted_tails.insert(earlier, tail);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn report_lost(&self, bytes: Option<u64>, error: &io::Error) {
        let what = self.loss_text(bytes, error);
        self.settings
            .options
            .report
            .fault(Fault::WriteFailed, &what);
    }

    fn loss_text(&self, bytes: Option<u64>, error: &io::Error) -> String {
        let path = self.settings.names.current().display();
        let bytes = bytes.map_or_else(
            || "the records of the last second".to_owned(),
            |bytes| format!("{bytes} bytes"),
        );
        let why = DisplayIoError(error);
        format!("log file {path} was deleted, and {bytes} with it: {why}")
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use spanwise_testing::support::fixed_clock;

    use crate::{RollingFile, Rotation};

    #[test]
    fn records_of_deleted_files_keep_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.log");
        let file = RollingFile::builder(&path)
            .rotation(Rotation::never())
            .clock(fixed_clock())
            .build()
            .unwrap();
        let mut writer = file.0.lock().unwrap();
        // The file of the last records is deleted first, and its records cannot be rewritten. The
        // file with the first of them is deleted later.
        for record in ["4\n", "2\n3\n", "1\n"] {
            writer.active.append(record.as_bytes()).unwrap();
            fs::remove_file(&path).unwrap();
            let is_forced = true;
            assert!(writer.check_path(is_forced).unwrap());
        }
        assert_eq!(writer.deleted_tails.len(), 3);
        writer.flush().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n2\n3\n4\n");
    }
}

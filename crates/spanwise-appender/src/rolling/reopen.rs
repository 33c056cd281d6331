//! Follows the path after other programs moved, deleted or truncated the file.

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

/// The minimum time between two checks of the path, unless a check is forced or requested.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

impl FileWriter {
    /// Checks whether the path still names the active file. Does so at most once a second, unless
    /// the check is forced or was requested by a signal. If the path names another file or none, or
    /// if the last write failed, reopens the path. Returns false if the path cannot be reopened. In
    /// that case the active file stays in use, although the path does not name it.
    ///
    /// # Errors
    /// If the path cannot be reopened, and the active file was deleted.
    pub(super) fn check_path(&mut self, is_forced: bool) -> io::Result<bool> {
        let requested = &self.settings.reopen_requested;
        let is_requested =
            requested.load(Ordering::Relaxed) && requested.swap(false, Ordering::Relaxed);
        let instant = self.settings.options.clock.instant();
        let elapsed = instant.saturating_duration_since(self.path_checked_at);
        if !is_requested && !is_forced && elapsed < CHECK_INTERVAL {
            return Ok(true);
        }
        self.path_checked_at = instant;
        let active = Meta::from_file(&self.active.file);
        if !self.write_retry.is_failing()
            && self.dir.is_in_place()
            && let (Ok(active), Ok(at_path)) =
                (&active, self.dir.meta(self.settings.names.active_name()))
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
        // The records in the active file are not lost, so this is not an error.
        let path = self.settings.names.active_path().display();
        let why = DisplayIoError(&error);
        self.settings.report_failure(&format_args!(
            "cannot reopen log file {path}: {why}; the old one stays in use"
        ));
        Ok(false)
    }

    /// Reopens the path. Afterwards, writes and rolls that failed before are retried at once.
    pub(super) fn reopen_now(&mut self) -> io::Result<()> {
        self.reopen()?;
        self.write_retry.note_success();
        self.roll_retry.note_success();
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

    /// Flushes like [`flush`](Self::flush), even if it is too early for another attempt after a
    /// failed write.
    fn try_to_flush(&mut self) -> io::Result<()> {
        let is_forced = true;
        self.check_path(is_forced)?;
        self.write_deleted_tails(0)
    }

    /// If the file was deleted, rewrites the records since the last check of the path. If the
    /// directory was deleted, too, only reports the loss. Called when the log is closed.
    pub(super) fn finish(&mut self) {
        if self.unverified_len() == 0 && self.deleted_tails.is_empty() {
            return;
        }
        // This is the last attempt, so it is made even if it is early for one.
        let flushed = match self.settings.names.dir().is_dir() {
            true => self.try_to_flush(),
            false => Err(io::ErrorKind::NotFound.into()),
        };
        if let Err(error) = flushed {
            let tails = self
                .deleted_tails
                .iter()
                .map(DeletedFileTail::remaining_len);
            // If the path was not reopened, the records of the active file are in no tail yet.
            let lost = tails.sum::<u64>().saturating_add(self.unverified_len());
            let message = self.loss_text(Some(lost), &error);
            // This is the last chance to report the loss.
            let report = &self.settings.options.report;
            report.fault_unthrottled(Fault::WriteFailed, &message);
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

    /// Opens or creates the file at the path, and makes it the active file. If the old file was
    /// deleted, its tail becomes the first one to rewrite.
    fn reopen(&mut self) -> io::Result<()> {
        let settings = Arc::clone(&self.settings);
        let dir = Dir::current(&self.dir)?;
        let new_file = open(&settings, &dir, Create::IfMissing)?;
        self.dir = dir;
        let is_same = match (
            Meta::from_file(&self.active.file),
            Meta::from_file(&new_file.file),
        ) {
            (Ok(active), Ok(at_path)) => fs::is_same(&active, &at_path),
            _ => false,
        };
        let period = self.active.period;
        let old = mem::replace(&mut self.active, new_file);
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

    /// Restores the lock file and the link, if they are missing beside the active file.
    fn restore_companions(&mut self) {
        let settings = &self.settings;
        let is_in_place = |lock: &PathLock| lock.is_in_place(&settings.names, &self.dir);
        if !self.lock.as_ref().is_none_or(is_in_place) {
            match PathLock::try_take(&settings.names, &self.dir) {
                Ok(LockOutcome::Taken(lock, _)) => self.lock = Some(lock),
                Ok(LockOutcome::InUse(_) | LockOutcome::Unsupported(_)) | Err(_) => {
                    let path = settings.names.path(&settings.names.lock_name());
                    let message = format_args!(
                        "cannot lock {} again; another process may use the log file",
                        path.display()
                    );
                    settings.report_failure(&message);
                }
            }
        }
        settings.restore_latest_link(&self.dir);
    }

    /// Writes the tails of deleted files to the active file, the oldest first, until `kept_tails`
    /// remain.
    pub(super) fn write_deleted_tails(&mut self, kept_tails: usize) -> io::Result<()> {
        while self.deleted_tails.len() > kept_tails
            && let Some(mut tail) = self.deleted_tails.pop_front()
        {
            let later_tails = self.deleted_tails.len();
            loop {
                let (bytes, ends) = match tail.next_lines() {
                    Ok(lines) => lines,
                    Err(error) => {
                        self.report_lost(Some(tail.remaining_len()), &error);
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
                    // Files that were deleted during the write have the first records of this tail,
                    // so their tails stay before the rest.
                    let earlier_tails = self.deleted_tails.len() - later_tails;
                    self.deleted_tails.insert(earlier_tails, tail);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Reports the loss of this many bytes, or of an unknown number.
    fn report_lost(&self, bytes: Option<u64>, error: &io::Error) {
        let message = self.loss_text(bytes, error);
        self.settings
            .options
            .report
            .fault(Fault::WriteFailed, &message);
    }

    fn loss_text(&self, bytes: Option<u64>, error: &io::Error) -> String {
        let path = self.settings.names.active_path().display();
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
    use std::{fs, sync::atomic::Ordering};

    use spanwise_testing::support::fixed_clock;

    use super::FileWriter;
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
        // As if each file were deleted before the records of the previous ones are rewritten. Each
        // has earlier records than the previous ones: see `FileWriter::deleted_tails`.
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

    #[test]
    fn writer_of_a_child_obeys_signals() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.log");
        let builder = RollingFile::builder(&path).rotation(Rotation::never());
        // The clock stands still, so only a request causes a check of the path.
        let file = builder.clock(fixed_clock()).build().unwrap();
        let settings = &file.0.settings;
        let mut writer_of_child = FileWriter::for_child(settings).unwrap();
        fs::rename(&path, dir.path().join("app.log.1")).unwrap();
        assert!(writer_of_child.check_path(false).unwrap());
        assert!(!path.exists());
        settings.reopen_requested.store(true, Ordering::Relaxed);
        assert!(writer_of_child.check_path(false).unwrap());
        assert!(path.exists());
    }
}

//! Writes records to the active file.

use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    time::{Instant, SystemTime},
};

use spanwise_core::{Fault, internal::stdio};

use super::{
    Settings,
    active_file::{ActiveFile, OpenFailure},
    deleted_file::DeletedFileTail,
    error::DisplayIoError,
    file_numbers::FileNumbers,
    fs::{Create, Dir},
    housekeeping::Housekeeper,
    path_checks::check_trust,
    path_lock::PathLock,
    period::{self, Period},
    retry_timer::RetryTimer,
};
use crate::record_sink::{Records, Retry, WriteOutcome};

/// The mutable state of a log, behind a lock. `roll.rs` and `reopen.rs` have further methods.
#[derive(Debug)]
pub(super) struct FileWriter {
    pub(super) settings: Arc<Settings>,
    pub(super) dir: Arc<Dir>,
    pub(super) active: ActiveFile,
    pub(super) numbers: FileNumbers,
    /// `None` in a child process, or if there are no locks.
    pub(super) lock: Option<PathLock>,
    pub(super) housekeeper: Housekeeper,
    /// Whether to roll the file that existed at the start, before the first record is written.
    pub(super) roll_at_start: bool,
    pub(super) roll_retry: RetryTimer,
    pub(super) write_retry: RetryTimer,
    /// The time of the last check of the path.
    pub(super) path_checked_at: Instant,
    /// The minute since 1970 in which the period was last computed, and the period.
    minute_and_period: (i64, Period),
    /// The records of deleted files that must be rewritten, the oldest first. If the file to which
    /// they are rewritten is deleted, too, it has the oldest ones, so its tail goes to the front.
    pub(super) deleted_tails: VecDeque<DeletedFileTail>,
}

impl FileWriter {
    pub(super) fn new(
        settings: Arc<Settings>,
        dir: Arc<Dir>,
        active: ActiveFile,
        numbers: FileNumbers,
        lock: Option<PathLock>,
    ) -> Self {
        let now = settings.options.clock.now();
        Self {
            path_checked_at: settings.options.clock.instant(),
            minute_and_period: (
                period::minutes_since_epoch(now),
                Period::at(now, &settings.options.rotation),
            ),
            roll_at_start: settings.options.rotation.is_at_start && active.len > 0,
            settings,
            dir,
            active,
            numbers,
            lock,
            housekeeper: Housekeeper::new(),
            roll_retry: RetryTimer::default(),
            write_retry: RetryTimer::default(),
            deleted_tails: VecDeque::new(),
        }
    }

    /// Opens the file for a child process that cannot use its parent's writer. The child takes no
    /// path lock, because that of the parent is valid for both processes.
    pub(super) fn for_child(settings: &Arc<Settings>) -> io::Result<Self> {
        let dir = Dir::current(&settings.dir)?;
        let mut active = open(settings, &dir, Create::IfMissing)?;
        active.assume_complete_line();
        let numbers = FileNumbers::new(None);
        let settings = Arc::clone(settings);
        let mut writer = Self::new(settings, dir, active, numbers, None);
        writer.roll_at_start = false;
        Ok(writer)
    }

    /// Writes as many of the records as it can.
    pub(super) fn write(&mut self, records: Records<'_>, retry: Retry) -> WriteOutcome {
        // With a fallback, the failed records count as refused, so `Background` does not delay the
        // next records. Without the backoff of this file, each call would try the failed file.
        let obeys_backoff = retry == Retry::AfterBackoff || self.settings.falls_back();
        let refusal = obeys_backoff
            .then(|| {
                self.write_retry
                    .refusal(|| self.settings.options.clock.instant())
            })
            .flatten();
        let (delivered, error) = match refusal {
            Some(error) => (0, Some(error)),
            None => self.try_to_write(records),
        };
        self.settings.write_outcome(records, delivered, error)
    }

    fn try_to_write(&mut self, records: Records<'_>) -> (usize, Option<io::Error>) {
        // After a failed write, reopens the file, because the old handle may be invalid after a
        // disk was mounted again.
        let ready = self
            .check_path(self.write_retry.is_failing())
            .and_then(|_| self.write_deleted_tails(0));
        let (delivered, error) = match ready {
            Ok(()) => self.append(records),
            Err(error) => (0, Some(error)),
        };
        match &error {
            None => self.write_retry.note_success(),
            Some(error) => {
                self.write_retry
                    .note_failure(error, self.settings.options.clock.instant());
                self.settings.report_write_error(error);
                if error.kind() == io::ErrorKind::StorageFull {
                    // Applying the retention may free space on the disk.
                    self.housekeeper.wake(&self.settings, &self.dir);
                }
            }
        }
        (delivered, error)
    }

    /// Writes the records in runs. A run has as many records as fit into the file, and usually
    /// needs one system call. Before each run, rolls the file if a roll is due. Returns the number
    /// of written records, and the error that prevented the rest.
    pub(super) fn append(&mut self, records: Records<'_>) -> (usize, Option<io::Error>) {
        let (mut delivered, mut was_retried) = (0, false);
        // If tails exist here, `write_deleted_tails` is rewriting the tail before them. So they
        // have later records than these.
        let later_tails = self.deleted_tails.len();
        while delivered < records.len() {
            let run_start = records.start_of(delivered);
            let record_len = records.start_of(delivered + 1) - run_start;
            if let Err(error) = self.roll_if_due(record_len as u64) {
                return (delivered, Some(error));
            }
            if self.deleted_tails.len() > later_tails {
                // The roll found that the active file was deleted. Its records come before these.
                match self.write_deleted_tails(later_tails) {
                    Ok(()) => continue,
                    Err(error) => return (delivered, Some(error)),
                }
            }
            if self.active.len == 0 {
                self.active.period = Some(self.current_period());
            }
            let delivered_after_run = delivered + self.count_fitting(records, delivered);
            let run = &records.as_bytes()[run_start..records.start_of(delivered_after_run)];
            match self.active.append(run) {
                Ok(()) => {
                    delivered = delivered_after_run;
                    was_retried = false;
                }
                Err((written, error)) => {
                    let complete = records.count_within(run_start + written) - delivered;
                    delivered += complete;
                    let partial_len = run_start + written - records.start_of(delivered);
                    self.active.truncate_partial(partial_len as u64);
                    // Retries once immediately, because the cause of the error may have ended.
                    if was_retried && complete == 0 {
                        return (delivered, Some(error));
                    }
                    was_retried = true;
                }
            }
        }
        (delivered, None)
    }

    /// Returns how many records, starting at `first`, fit into the file: at least one.
    fn count_fitting(&self, records: Records<'_>, first: usize) -> usize {
        let ends = &records.ends()[first..];
        let start = records.start_of(first);
        match self.settings.options.rotation.size {
            // A file that already exceeds the size could not be rolled, so it takes all records.
            Some(size) if self.active.len_with(0) <= size.0 => {
                let fits = |end: &usize| self.active.len_with((end - start) as u64) <= size.0;
                ends.partition_point(fits).max(1)
            }
            _ => ends.len(),
        }
    }

    /// Returns whether a record of this length requires a new file.
    pub(super) fn is_roll_due(&mut self, record_len: u64) -> bool {
        if self.active.len == 0 {
            return false;
        }
        let size = self.settings.options.rotation.size;
        let is_too_long = size.is_some_and(|size| self.active.len_with(record_len) > size.0);
        let now = self.current_period();
        let has_ended = |period: Period| !period.is_same(now);
        self.roll_at_start || is_too_long || self.active.period.is_some_and(has_ended)
    }

    pub(super) fn current_period(&mut self) -> Period {
        let now = self.settings.options.clock.now();
        let minute = period::minutes_since_epoch(now);
        let (cached_minute, cached_period) = self.minute_and_period;
        if minute == cached_minute {
            return cached_period;
        }
        let period = Period::at(now, &self.settings.options.rotation);
        self.minute_and_period = (minute, period);
        period
    }
}

impl Settings {
    /// Returns the outcome of a write. After an error, writes the records that were not delivered
    /// to stderr, if that is the fallback.
    pub(super) fn write_outcome(
        &self,
        records: Records<'_>,
        delivered: usize,
        error: Option<io::Error>,
    ) -> WriteOutcome {
        let mut outcome = WriteOutcome::partial(delivered);
        if error.is_some() && self.falls_back() {
            outcome.refused = records.len() - delivered;
            // If stderr fails, too, the records are lost. In both cases they count as failed.
            let _ = stdio::write_to_stderr(&records.as_bytes()[records.start_of(delivered)..]);
        }
        outcome.error = error;
        outcome
    }

    pub(super) fn report_write_error(&self, error: &io::Error) {
        let path = self.names.active_path().display();
        let why = DisplayIoError(error);
        let message = format_args!("cannot write to log file {path}: {why}; it is tried again");
        self.options.report.fault(Fault::WriteFailed, &message);
    }
}

/// Opens the active file, or with [`Create::New`] creates the next file under its temporary name.
pub(super) fn open(
    settings: &Settings,
    dir: &Dir,
    create: Create,
) -> Result<ActiveFile, OpenFailure> {
    let names = &settings.names;
    let next;
    let name = match create {
        Create::IfMissing => names.active_name(),
        Create::New => {
            next = names.next_file_name();
            &next
        }
    };
    let period_at = |time: SystemTime| Period::at(time, &settings.options.rotation);
    let distrust = |file: &_| check_trust(file, names, dir, settings.options.mode);
    ActiveFile::open(
        dir,
        name,
        settings.options.mode,
        create,
        distrust,
        period_at,
    )
}

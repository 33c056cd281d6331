//! The way of a record into the file.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, atomic::AtomicBool},
    time::{Instant, SystemTime},
};

use spanwise_core::{Fault, internal::stdio};

use super::{
    Settings,
    active_file::{ActiveFile, OpenFailure},
    backoff::Backoff,
    deleted_file::DeletedFileTail,
    error::DisplayIoError,
    file_numbers::FileNumbers,
    fs::{Create, Dir},
    housekeeping::Housekeeper,
    path_checks::check_trust,
    path_lock::PathLock,
    period::{self, Period},
};
use crate::record_sink::{Records, Retry, WriteOutcome};

/// All that changes while a file is written. One thread at a time has it.
#[derive(Debug)]
pub(super) struct FileWriter {
    pub(super) settings: Arc<Settings>,
    pub(super) dir: Arc<Dir>,
    pub(super) current: ActiveFile,
    pub(super) numbers: FileNumbers,
    pub(super) lock: Option<PathLock>,
    pub(super) housekeeper: Housekeeper,
    /// The file that was there when we came is to be rolled.
    pub(super) roll_at_start: bool,
    /// Set from outside, by a signal.
    pub(super) reopen_requested: Arc<AtomicBool>,
    pub(super) roll_backoff: Backoff,
    pub(super) write_backoff: Backoff,
    /// When the path was last looked at.
    pub(super) path_checked_at: Instant,
    /// The period of the minute it was computed in.
    current_period: (i64, Period),
    /// What deleted files held, still to be written again.
    pub(super) deleted_tails: VecDeque<DeletedFileTail>,
}

impl FileWriter {
    pub(super) fn new(
        settings: Arc<Settings>,
        dir: Arc<Dir>,
        current: ActiveFile,
        numbers: FileNumbers,
        lock: Option<PathLock>,
        housekeeper: Housekeeper,
        reopen_requested: Arc<AtomicBool>,
    ) -> Self {
        let now = settings.clock.now();
        Self {
            path_checked_at: settings.clock.instant(),
            current_period: (period::minute(now), Period::at(now, &settings.rotation)),
            roll_at_start: settings.rotation.start && current.length > 0,
            settings,
            dir,
            current,
            numbers,
            lock,
            housekeeper,
            reopen_requested,
            roll_backoff: Backoff::default(),
            write_backoff: Backoff::default(),
            deleted_tails: VecDeque::new(),
        }
    }

    /// Writes as many of the records as it can. What refused is left alone for a while, unless whoever calls is `patient`: keeps what
    /// is refused, and waits before it tries again.
    pub(super) fn write(&mut self, records: Records<'_>, retry: Retry) -> WriteOutcome {
        let refusal = match retry == Retry::Now && !self.settings.fallback_to_stderr {
            true => None,
            false => self.write_backoff.refusal(|| self.settings.clock.instant()),
        };
        let (delivered, error) = match refusal {
            Some(error) => (0, Some(error)),
            None => self.try_to_write(records),
        };
        self.settings.write_outcome(records, delivered, error)
    }

    fn try_to_write(&mut self, records: Records<'_>) -> (usize, Option<io::Error>) {
        // A file that refused is opened anew: a disk that is back may not know the old one.
        let ready = self
            .check_path(self.write_backoff.is_failing())
            .and_then(|_| self.write_salvage());
        let (delivered, error) = match ready {
            Ok(()) => self.append_records(records),
            Err(error) => (0, Some(error)),
        };
        match &error {
            None => {
                self.write_backoff.worked();
            }
            Some(error) => {
                self.write_backoff
                    .failed(error, self.settings.clock.instant());
                self.settings.report_write_error(error);
                if error.kind() == io::ErrorKind::StorageFull {
                    // Old files may have to go.
                    self.housekeeper.wake(&self.settings, &self.dir);
                }
            }
        }
        (delivered, error)
    }

    /// Writes runs of records, each with one call, until all are written or the file takes no more.
    pub(super) fn append_records(&mut self, records: Records<'_>) -> (usize, Option<io::Error>) {
        let count = records.len();
        let (mut done, mut retried) = (0, false);
        while done < count {
            let start = records.start_of(done);
            if let Err(error) = self.roll_if_due((records.start_of(done + 1) - start) as u64) {
                return (done, Some(error));
            }
            if !self.deleted_tails.is_empty() {
                // To roll, it looked at the path, and the file was deleted.
                match self.write_salvage() {
                    Ok(()) => continue,
                    Err(error) => return (done, Some(error)),
                }
            }
            if self.current.length == 0 {
                self.current.period = Some(self.current_period());
            }
            let end = done + self.count_fitting(&records, done);
            match self
                .current
                .append(&records.as_bytes()[start..records.start_of(end)])
            {
                Ok(()) => {
                    done = end;
                    retried = false;
                }
                Err((written, error)) => {
                    let whole = records.count_within(start + written) - done;
                    done += whole;
                    self.current
                        .truncate_partial((start + written - records.start_of(done)) as u64);
                    // Once at once, for what was only a moment's.
                    if retried && whole == 0 {
                        return (done, Some(error));
                    }
                    retried = true;
                }
            }
        }
        (done, None)
    }

    /// How many records from the `first` on the file can take: at least one.
    fn count_fitting(&self, records: &Records<'_>, first: usize) -> usize {
        let rest = &records.ends()[first..];
        let start = records.start_of(first);
        match self.settings.rotation.size {
            // Too long already: it could not be rolled, and takes what comes.
            Some(size) if self.current.length_with(0) <= size.0 => {
                let fits = |end: &usize| self.current.length_with((end - start) as u64) <= size.0;
                rest.partition_point(fits).max(1)
            }
            _ => rest.len(),
        }
    }

    /// Whether a record of `next` bytes belongs into another file.
    pub(super) fn is_roll_due(&mut self, next: u64) -> bool {
        if self.current.length == 0 {
            return false;
        }
        let too_long = self
            .settings
            .rotation
            .size
            .is_some_and(|size| self.current.length_with(next) > size.0);
        let now = self.current_period();
        let other_period = self
            .current
            .period
            .is_some_and(|period| !period.is_same(now));
        self.roll_at_start || too_long || other_period
    }

    pub(super) fn current_period(&mut self) -> Period {
        let now = self.settings.clock.now();
        let minute = period::minute(now);
        if minute != self.current_period.0 {
            self.current_period = (minute, Period::at(now, &self.settings.rotation));
        }
        self.current_period.1
    }
}

impl Settings {
    /// What became of records, after the fallback had the rest of them.
    pub(super) fn write_outcome(
        &self,
        records: Records<'_>,
        delivered: usize,
        error: Option<io::Error>,
    ) -> WriteOutcome {
        let mut refused = 0;
        if error.is_some() && self.fallback_to_stderr {
            refused = records.len() - delivered;
            // What stderr does not take either is lost, and counted like the rest.
            let _ = stdio::write_to_stderr(&records.as_bytes()[records.start_of(delivered)..]);
        }
        WriteOutcome {
            delivered,
            refused,
            error,
        }
    }

    pub(super) fn report_write_error(&self, error: &io::Error) {
        let path = self.names.current().display();
        self.report.fault(
            Fault::WriteFailed,
            &format_args!(
                "cannot write to log file {path}: {}; it is tried again",
                DisplayIoError(error)
            ),
        );
    }
}

/// Opens the file that is to be written.
pub(super) fn open(
    settings: &Settings,
    dir: &Dir,
    create: Create,
) -> Result<ActiveFile, OpenFailure> {
    let names = &settings.names;
    let next;
    let name = match create {
        Create::IfMissing => names.current_name(),
        Create::New => {
            next = names.next();
            &next
        }
    };
    let period_of = |time: SystemTime| Period::at(time, &settings.rotation);
    let distrust = |file: &_| check_trust(file, names, dir, settings.mode);
    ActiveFile::open(dir, name, settings.mode, create, distrust, period_of)
}

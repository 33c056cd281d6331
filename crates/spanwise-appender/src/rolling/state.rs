//! The way of a record into the file.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, atomic::AtomicBool},
    time::{Instant, SystemTime},
};

use spanwise_core::{Fault, stdio};

use super::{
    Settings,
    backoff::Backoff,
    check::distrust,
    current::{Current, NotOpened},
    error::Why,
    fs::{Create, Dir},
    housekeeping::Housekeeper,
    lock::Lock,
    number::Numbers,
    period::{self, Period},
    salvage::Salvage,
};
use crate::sink::{Records, Written};

/// All that changes while a file is written. One thread at a time has it.
#[derive(Debug)]
pub(super) struct State {
    pub(super) settings: Arc<Settings>,
    pub(super) dir: Arc<Dir>,
    pub(super) current: Current,
    pub(super) numbers: Numbers,
    pub(super) lock: Option<Lock>,
    pub(super) housekeeper: Housekeeper,
    /// The file that was there when we came is to be rolled.
    pub(super) roll_at_start: bool,
    /// Set from outside, by a signal.
    pub(super) reopen_asked: Arc<AtomicBool>,
    pub(super) rolling: Backoff,
    pub(super) writing: Backoff,
    /// When the path was last looked at.
    pub(super) looked: Instant,
    /// The period of the minute it was computed in.
    now: (i64, Period),
    /// What deleted files held, still to be written again.
    pub(super) salvage: VecDeque<Salvage>,
}

impl State {
    pub(super) fn new(
        settings: Arc<Settings>,
        dir: Arc<Dir>,
        current: Current,
        numbers: Numbers,
        lock: Option<Lock>,
        housekeeper: Housekeeper,
        reopen_asked: Arc<AtomicBool>,
    ) -> Self {
        let now = settings.clock.now();
        Self {
            looked: settings.clock.instant(),
            now: (period::minute(now), Period::of(now, &settings.rotation)),
            roll_at_start: settings.rotation.start && current.length > 0,
            settings,
            dir,
            current,
            numbers,
            lock,
            housekeeper,
            reopen_asked,
            rolling: Backoff::default(),
            writing: Backoff::default(),
            salvage: VecDeque::new(),
        }
    }

    /// Writes as many of the records as it can. What failed is left alone for a while, unless whoever calls is `patient`: keeps what
    /// is refused, and waits before it tries again.
    pub(super) fn write(&mut self, records: Records<'_>, patient: bool) -> Written {
        let refusal = match patient && !self.settings.fallback_to_stderr {
            true => None,
            false => self.writing.refusal(|| self.settings.clock.instant()),
        };
        let (delivered, error) = match refusal {
            Some(error) => (0, Some(error)),
            None => self.try_to_write(records),
        };
        self.settings.written(records, delivered, error)
    }

    fn try_to_write(&mut self, records: Records<'_>) -> (usize, Option<io::Error>) {
        // A file that failed is opened anew: a disk that is back may not know the old one.
        let ready = self
            .look_at_path(self.writing.is_failing())
            .and_then(|_| self.write_salvage());
        let (delivered, error) = match ready {
            Ok(()) => self.put(records),
            Err(error) => (0, Some(error)),
        };
        match &error {
            None => {
                self.writing.worked();
            }
            Some(error) => {
                self.writing.failed(error, self.settings.clock.instant());
                self.settings.tell_of_write(error);
                if error.kind() == io::ErrorKind::StorageFull {
                    // Old files may have to go.
                    self.housekeeper.wake(&self.settings, &self.dir);
                }
            }
        }
        (delivered, error)
    }

    /// Writes runs of records, each with one call, until all are written or the file takes no more.
    pub(super) fn put(&mut self, records: Records<'_>) -> (usize, Option<io::Error>) {
        let count = records.ends.len();
        let (mut done, mut retried) = (0, false);
        while done < count {
            let start = records.start_of(done);
            if let Err(error) = self.roll_if_due((records.ends[done] - start) as u64) {
                return (done, Some(error));
            }
            if !self.salvage.is_empty() {
                // To roll, it looked at the path, and the file was deleted.
                match self.write_salvage() {
                    Ok(()) => continue,
                    Err(error) => return (done, Some(error)),
                }
            }
            if self.current.length == 0 {
                self.current.period = Some(self.period_now());
            }
            let end = done + self.fitting(&records, done);
            match self
                .current
                .append(&records.bytes[start..records.ends[end - 1]])
            {
                Ok(()) => {
                    done = end;
                    retried = false;
                }
                Err((written, error)) => {
                    let whole =
                        records.ends[done..end].partition_point(|end| *end <= start + written);
                    done += whole;
                    self.current
                        .mend((start + written - records.start_of(done)) as u64);
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
    fn fitting(&self, records: &Records<'_>, first: usize) -> usize {
        let rest = &records.ends[first..];
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
    pub(super) fn is_due(&mut self, next: u64) -> bool {
        if self.current.length == 0 {
            return false;
        }
        let too_long = self
            .settings
            .rotation
            .size
            .is_some_and(|size| self.current.length_with(next) > size.0);
        let now = self.period_now();
        let other_period = self
            .current
            .period
            .is_some_and(|period| !period.is_same(now));
        self.roll_at_start || too_long || other_period
    }

    pub(super) fn period_now(&mut self) -> Period {
        let now = self.settings.clock.now();
        let minute = period::minute(now);
        if minute != self.now.0 {
            self.now = (minute, Period::of(now, &self.settings.rotation));
        }
        self.now.1
    }
}

impl Settings {
    /// What became of records, after the fallback had the rest of them.
    pub(super) fn written(
        &self,
        records: Records<'_>,
        delivered: usize,
        error: Option<io::Error>,
    ) -> Written {
        let mut failed = 0;
        if error.is_some() && self.fallback_to_stderr {
            failed = records.ends.len() - delivered;
            // What stderr does not take either is lost, and counted like the rest.
            let _ = stdio::write_to_stderr(&records.bytes[records.start_of(delivered)..]);
        }
        Written {
            delivered,
            failed,
            error,
        }
    }

    pub(super) fn tell_of_write(&self, error: &io::Error) {
        let path = self.names.current().display();
        self.report.fault(
            Fault::WriteFailed,
            &format_args!(
                "cannot write to log file {path}: {}; it is tried again",
                Why(error)
            ),
        );
    }
}

/// Opens the file that is to be written.
pub(super) fn open(settings: &Settings, dir: &Dir, create: Create) -> Result<Current, NotOpened> {
    let names = &settings.names;
    let next;
    let name = match create {
        Create::IfMissing => names.current_name(),
        Create::New => {
            next = names.next();
            &next
        }
    };
    let period_of = |time: SystemTime| Period::of(time, &settings.rotation);
    let distrust = |file: &_| distrust(file, names, dir, settings.mode);
    Current::open(dir, name, settings.mode, create, distrust, period_of)
}

//! Numbers of rolled files. For each date, a number is used once.

use std::{
    collections::BTreeMap,
    io,
    sync::atomic::{AtomicBool, Ordering},
};

use spanwise_core::internal::sync::Mutex;
use time::Date;

use super::{
    file_names::{FileNames, MAX_NUMBER, RolledId},
    fs::Dir,
};

/// The highest number that is used, for each date.
pub(super) type HighestNumbers = BTreeMap<Date, u64>;

/// The result of a scan of the directory by the housekeeping thread. A logging thread does not wait
/// for the scan of a large directory.
#[derive(Debug, Default)]
pub(super) struct ScannedNumbers {
    highest: Mutex<Option<HighestNumbers>>,
    /// Whether the result is up to date: set by a scan, and reset when the next one is requested.
    /// False at the start, so that the first sweep of the housekeeping thread scans.
    is_current: AtomicBool,
}

impl ScannedNumbers {
    /// Scans the directory, if a scan was requested.
    pub(super) fn scan(&self, names: &FileNames, dir: &Dir) -> io::Result<()> {
        if !self.is_current.swap(true, Ordering::Relaxed) {
            let highest = names.highest_numbers(dir, usize::MAX);
            *self.highest.lock() = highest.inspect_err(|_| self.request())?;
        }
        Ok(())
    }

    fn request(&self) {
        self.is_current.store(false, Ordering::Relaxed);
    }

    /// Removes and returns the result of a scan, if there is one. Does not wait for a scan.
    fn take_result(&self) -> Option<HighestNumbers> {
        self.highest.try_lock()?.take()
    }
}

/// The numbers that are used, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct FileNumbers {
    highest: HighestNumbers,
    directory_scan: DirectoryScan,
}

/// The progress of the scan that finds the numbers of the files in the directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum DirectoryScan {
    #[default]
    NotStarted,
    /// The directory is too large for a scan on a logging thread, so a scan by the housekeeping
    /// thread was requested.
    Pending,
    Done,
}

/// A logging thread reads at most this many names of a directory, in about a millisecond.
const MAX_NAMES: usize = 4096;

impl FileNumbers {
    /// Continues after `last`, the last number that an earlier process used, if it is known.
    pub(super) fn new(last: Option<RolledId>) -> Self {
        let mut numbers = Self::default();
        last.into_iter().for_each(|last| numbers.mark_used(last));
        numbers
    }

    /// Returns the next free number of a date, or `None` until the housekeeping thread has found
    /// it. The caller must call [`mark_used`](Self::mark_used) after it has used the number.
    pub(super) fn next(
        &mut self,
        date: Date,
        names: &FileNames,
        dir: &Dir,
        scanned: &ScannedNumbers,
    ) -> io::Result<Option<RolledId>> {
        let result = scanned.take_result();
        let is_fresh = result.is_some();
        result.iter().for_each(|highest| self.learn(highest));
        if self.directory_scan != DirectoryScan::NotStarted
            && self.last_used(date) >= MAX_NUMBER
            && !is_fresh
        {
            // Reads the directory again, because the operator may have moved the file, as the error
            // below suggests.
            self.highest.remove(&date);
            self.directory_scan = DirectoryScan::NotStarted;
        }
        if self.directory_scan == DirectoryScan::NotStarted {
            self.rescan(names, dir, scanned);
        }
        let last = self.last_used(date);
        if last >= MAX_NUMBER {
            return Err(io::Error::other(format!(
                "no number is left for {date}: a file has the number {last}, move it elsewhere"
            )));
        }
        // No rolled file has a later date than the newest in `highest`. So for the newest date and
        // later ones, the number is known even if the directory was not scanned.
        let newest = self.highest.keys().next_back();
        let is_after_newest = newest.is_some_and(|newest| *newest <= date);
        let number = last + 1;
        let is_known = self.directory_scan == DirectoryScan::Done || is_after_newest;
        Ok(is_known.then_some(RolledId { date, number }))
    }

    fn last_used(&self, date: Date) -> u64 {
        self.highest.get(&date).copied().unwrap_or(0)
    }

    /// Returns whether the result of a scan by the housekeeping thread is still to come.
    pub(super) fn is_scan_pending(&self) -> bool {
        self.directory_scan == DirectoryScan::Pending
    }

    pub(super) fn mark_used(&mut self, RolledId { date, number }: RolledId) {
        let last = self.highest.entry(date).or_insert(0);
        *last = number.max(*last);
    }

    /// Scans the directory, or requests a scan from the housekeeping thread if the directory is
    /// large.
    pub(super) fn rescan(&mut self, names: &FileNames, dir: &Dir, scanned: &ScannedNumbers) {
        if !self.scan(names, dir, MAX_NAMES) {
            self.directory_scan = DirectoryScan::Pending;
            scanned.request();
        }
    }

    /// Reads the numbers in the directory. Returns false, without a result, if the directory has
    /// more than `max_names`.
    pub(super) fn scan(&mut self, names: &FileNames, dir: &Dir, max_names: usize) -> bool {
        match names.highest_numbers(dir, max_names) {
            Ok(Some(highest)) => self.learn(&highest),
            Ok(None) => return false,
            // A directory that cannot be read does not prevent the roll. A number that is already
            // used does no harm, because the rename never replaces a file.
            Err(_) => self.directory_scan = DirectoryScan::Done,
        }
        true
    }

    fn learn(&mut self, highest: &HighestNumbers) {
        self.directory_scan = DirectoryScan::Done;
        for (&date, &number) in highest {
            self.mark_used(RolledId { date, number });
        }
    }
}

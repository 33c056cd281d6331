//! Numbers of rolled files, each used once.

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

/// The highest number of each date.
pub(super) type HighestNumbers = BTreeMap<Date, u64>;

/// The file numbers in the directory, found by the housekeeping thread, because a logging thread
/// does not read a large directory.
#[derive(Debug, Default)]
pub(super) struct ScannedNumbers {
    highest: Mutex<Option<HighestNumbers>>,
    /// Set by a scan, until the next scan is requested. Not set at the start, so the first sweep
    /// scans.
    is_current: AtomicBool,
}

impl ScannedNumbers {
    /// If a scan was requested, reads the directory, even a large one.
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

    /// Removes and returns the result of a scan. Does not wait for a scan.
    fn take(&self) -> Option<HighestNumbers> {
        self.highest.try_lock()?.take()
    }
}

/// The numbers used so far.
#[derive(Debug, Default)]
pub(super) struct FileNumbers {
    used: HighestNumbers,
    directory: Knowledge,
}

/// Which numbers of the directory are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Knowledge {
    #[default]
    Nothing,
    /// The directory is too large for a logging thread. A scan by the housekeeping thread was
    /// requested.
    ScanPending,
    All,
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

    /// Returns the next number of a date, or `None` until the housekeeping thread has found it.
    /// Call [`mark_used`](Self::mark_used) after a file was given this number.
    pub(super) fn next(
        &mut self,
        date: Date,
        names: &FileNames,
        dir: &Dir,
        scanned: &ScannedNumbers,
    ) -> io::Result<Option<RolledId>> {
        let scan = scanned.take();
        let is_fresh = scan.is_some();
        scan.iter().for_each(|highest| self.learn(highest));
        if self.directory != Knowledge::Nothing && self.last(date) >= MAX_NUMBER && !is_fresh {
            // Reads the directory again, because the operator may have moved the file, as the error
            // below suggests.
            self.used.remove(&date);
            self.directory = Knowledge::Nothing;
        }
        if self.directory == Knowledge::Nothing {
            self.rescan(names, dir, scanned);
        }
        let last = self.last(date);
        if last >= MAX_NUMBER {
            return Err(io::Error::other(format!(
                "no number is left for {date}: a file has the number {last}, move it elsewhere"
            )));
        }
        // No rolled file has a later date than the newest in `used`. So for this date and later
        // ones, the number is known even if the directory was not read.
        let newest = self.used.keys().next_back();
        let is_after_newest = newest.is_some_and(|newest| *newest <= date);
        let number = last + 1;
        let is_known = self.directory == Knowledge::All || is_after_newest;
        Ok(is_known.then_some(RolledId { date, number }))
    }

    fn last(&self, date: Date) -> u64 {
        self.used.get(&date).copied().unwrap_or(0)
    }

    /// Returns whether a scan by the housekeeping thread was requested.
    pub(super) fn is_scan_pending(&self) -> bool {
        self.directory == Knowledge::ScanPending
    }

    pub(super) fn mark_used(&mut self, RolledId { date, number }: RolledId) {
        let last = self.used.entry(date).or_insert(0);
        *last = number.max(*last);
    }

    /// Scans the directory, or requests a scan from the housekeeping thread if the directory is
    /// large.
    pub(super) fn rescan(&mut self, names: &FileNames, dir: &Dir, scanned: &ScannedNumbers) {
        if !self.scan(names, dir, MAX_NAMES) {
            self.directory = Knowledge::ScanPending;
            scanned.request();
        }
    }

    /// Reads the numbers in the directory. Returns false if it has more names than `max`.
    pub(super) fn scan(&mut self, names: &FileNames, dir: &Dir, max: usize) -> bool {
        match names.highest_numbers(dir, max) {
            Ok(Some(highest)) => self.learn(&highest),
            Ok(None) => return false,
            // A directory that cannot be read does not prevent the roll. A wrong number does no
            // harm, because the rename never replaces a file.
            Err(_) => self.directory = Knowledge::All,
        }
        true
    }

    fn learn(&mut self, highest: &HighestNumbers) {
        self.directory = Knowledge::All;
        for (&date, &number) in highest {
            self.mark_used(RolledId { date, number });
        }
    }
}

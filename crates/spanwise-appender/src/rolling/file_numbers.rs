//! Numbers for rolled files, each given once.

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

/// The numbers in the directory, as the housekeeping found them: to read a large directory is not for a thread that logs.
#[derive(Debug)]
pub(super) struct ScannedNumbers {
    highest: Mutex<Option<HighestNumbers>>,
    requested: AtomicBool,
}

impl Default for ScannedNumbers {
    fn default() -> Self {
        Self {
            highest: Mutex::default(),
            requested: AtomicBool::new(true),
        }
    }
}

impl ScannedNumbers {
    /// Reads the directory if somebody wants to know, for as long as that takes.
    pub(super) fn scan(&self, names: &FileNames, dir: &Dir) -> io::Result<()> {
        if self.requested.swap(false, Ordering::Relaxed) {
            let found = names
                .numbers(dir, usize::MAX)
                .inspect_err(|_| self.request())?;
            *self.highest.lock() = found;
        }
        Ok(())
    }

    fn request(&self) {
        self.requested.store(true, Ordering::Relaxed);
    }

    /// What was found, once, without waiting.
    fn take(&self) -> Option<HighestNumbers> {
        self.highest.try_lock()?.take()
    }
}

/// The numbers given so far.
#[derive(Debug, Default)]
pub(super) struct FileNumbers {
    given: HighestNumbers,
    scan_state: ScanState,
}

/// What is known of the numbers in the directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum ScanState {
    /// Nothing yet.
    #[default]
    Unread,
    /// It is too large to be read here.
    Large,
    /// All of them.
    Known,
}

/// A thread that logs reads this many names of a directory, and no more: it takes about a millisecond.
const MAX_NAMES: usize = 4096;

impl FileNumbers {
    /// `last`: the last number that an earlier process gave, if it is known.
    pub(super) fn new(last: Option<RolledId>) -> Self {
        let mut numbers = Self::default();
        last.into_iter().for_each(|last| numbers.mark_used(last));
        numbers
    }

    /// The next number of a date; `None` as long as only the housekeeping can tell. Call [`give`](Self::give) when a file has it.
    pub(super) fn next(
        &mut self,
        date: Date,
        names: &FileNames,
        dir: &Dir,
        found: &ScannedNumbers,
    ) -> io::Result<Option<RolledId>> {
        let mut is_fresh = false;
        if let Some(found) = found.take() {
            self.learn(&found);
            is_fresh = true;
        }
        if self.scan_state != ScanState::Unread && self.last(date) >= MAX_NUMBER && !is_fresh {
            // The file that has it may have been moved, as the error says.
            self.given.remove(&date);
            self.scan_state = ScanState::Unread;
        }
        if self.scan_state == ScanState::Unread {
            self.scan(names, dir, found, MAX_NAMES);
        }
        let last = self.last(date);
        if last >= MAX_NUMBER {
            return Err(io::Error::other(format!(
                "no number is left for {date}: a file has the number {last}, move it elsewhere"
            )));
        }
        // The last number that was given tells that of its date, and that later dates have none.
        let newest = self.given.keys().next_back();
        let is_told = newest.is_some_and(|newest| *newest <= date);
        let number = last + 1;
        let is_known = self.scan_state == ScanState::Known || is_told;
        Ok(is_known.then_some(RolledId { date, number }))
    }

    fn last(&self, date: Date) -> u64 {
        self.given.get(&date).copied().unwrap_or(0)
    }

    /// Whether the housekeeping was asked to read the directory.
    pub(super) fn is_scan_pending(&self) -> bool {
        self.scan_state == ScanState::Large
    }

    pub(super) fn mark_used(&mut self, RolledId { date, number }: RolledId) {
        let last = self.given.entry(date).or_insert(0);
        *last = number.max(*last);
    }

    /// A number that seemed to be free is not: looks again, or has the housekeeping look.
    pub(super) fn rescan(&mut self, names: &FileNames, dir: &Dir, found: &ScannedNumbers) {
        self.scan(names, dir, found, MAX_NAMES);
    }

    /// Reads all of the directory, however large.
    pub(super) fn scan_all(&mut self, names: &FileNames, dir: &Dir, found: &ScannedNumbers) {
        self.scan(names, dir, found, usize::MAX);
    }

    fn scan(&mut self, names: &FileNames, dir: &Dir, found: &ScannedNumbers, max: usize) {
        match names.numbers(dir, max) {
            Ok(Some(highest)) => self.learn(&highest),
            Ok(None) => {
                self.scan_state = ScanState::Large;
                found.request();
            }
            // A directory that may not be read is no reason not to roll: no file is ever replaced.
            Err(_) => self.scan_state = ScanState::Known,
        }
    }

    fn learn(&mut self, found: &HighestNumbers) {
        self.scan_state = ScanState::Known;
        found
            .iter()
            .for_each(|(&date, &number)| self.mark_used(RolledId { date, number }));
    }
}

//! Numbers for rolled files, each given once.

use std::{
    collections::BTreeMap,
    io,
    sync::atomic::{AtomicBool, Ordering},
};

use spanwise_core::internal::sync::Mutex;

use time::Date;

use super::{
    fs::Dir,
    name::{MAX_NUMBER, Names, Rolled},
};

/// The highest number of each date.
pub(super) type Highest = BTreeMap<Date, u64>;

/// The numbers in the directory, as the housekeeping found them: to read a large directory is not for a thread that logs.
#[derive(Debug)]
pub(super) struct FoundNumbers {
    highest: Mutex<Option<Highest>>,
    wanted: AtomicBool,
}

impl Default for FoundNumbers {
    fn default() -> Self {
        Self {
            highest: Mutex::default(),
            wanted: AtomicBool::new(true),
        }
    }
}

impl FoundNumbers {
    /// Reads the directory if somebody wants to know, for as long as that takes.
    pub(super) fn look(&self, names: &Names, dir: &Dir) -> io::Result<()> {
        if self.wanted.swap(false, Ordering::Relaxed) {
            let found = names
                .numbers(dir, usize::MAX)
                .inspect_err(|_| self.want())?;
            *self.highest.lock() = found;
        }
        Ok(())
    }

    fn want(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// What was found, once, without waiting.
    fn take(&self) -> Option<Highest> {
        self.highest.try_lock()?.take()
    }
}

/// The numbers given so far.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    given: Highest,
    directory: Directory,
}

/// What is known of the numbers in the directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Directory {
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

impl Numbers {
    /// `last`: the last number that an earlier process gave, if it is known.
    pub(super) fn new(last: Option<Rolled>) -> Self {
        let mut numbers = Self::default();
        last.into_iter().for_each(|last| numbers.give(last));
        numbers
    }

    /// The next number of a date; `None` as long as only the housekeeping can tell. Call [`give`](Self::give) when a file has it.
    pub(super) fn next(
        &mut self,
        date: Date,
        names: &Names,
        dir: &Dir,
        found: &FoundNumbers,
    ) -> io::Result<Option<Rolled>> {
        let mut is_fresh = false;
        if let Some(found) = found.take() {
            self.learn(&found);
            is_fresh = true;
        }
        if self.directory != Directory::Unread && self.last(date) >= MAX_NUMBER && !is_fresh {
            // The file that has it may have been moved, as the error says.
            self.given.remove(&date);
            self.directory = Directory::Unread;
        }
        if self.directory == Directory::Unread {
            self.look(names, dir, found, MAX_NAMES);
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
        let is_known = self.directory == Directory::Known || is_told;
        Ok(is_known.then_some(Rolled { date, number }))
    }

    fn last(&self, date: Date) -> u64 {
        self.given.get(&date).copied().unwrap_or(0)
    }

    /// Whether the housekeeping was asked to read the directory.
    pub(super) fn is_asked_for(&self) -> bool {
        self.directory == Directory::Large
    }

    pub(super) fn give(&mut self, Rolled { date, number }: Rolled) {
        let last = self.given.entry(date).or_insert(0);
        *last = number.max(*last);
    }

    /// A number that seemed to be free is not: looks again, or has the housekeeping look.
    pub(super) fn look_again(&mut self, names: &Names, dir: &Dir, found: &FoundNumbers) {
        self.look(names, dir, found, MAX_NAMES);
    }

    /// Reads all of the directory, however large.
    pub(super) fn look_at_all(&mut self, names: &Names, dir: &Dir, found: &FoundNumbers) {
        self.look(names, dir, found, usize::MAX);
    }

    fn look(&mut self, names: &Names, dir: &Dir, found: &FoundNumbers, most: usize) {
        match names.numbers(dir, most) {
            Ok(Some(highest)) => self.learn(&highest),
            Ok(None) => {
                self.directory = Directory::Large;
                found.want();
            }
            // A directory that may not be read is no reason not to roll: no file is ever replaced.
            Err(_) => self.directory = Directory::Known,
        }
    }

    fn learn(&mut self, found: &Highest) {
        self.directory = Directory::Known;
        found
            .iter()
            .for_each(|(&date, &number)| self.give(Rolled { date, number }));
    }
}

//! Numbers for rolled files, each given once.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use time::Date;

use super::name::{Names, Rolled};

/// The highest number of each date.
pub(super) type Highest = BTreeMap<Date, u64>;

/// The numbers given so far.
#[derive(Debug)]
pub(super) struct Numbers {
    given: Highest,
    /// What the housekeeping found when it looked, if it did: so that rolling need not.
    found: Arc<OnceLock<Highest>>,
    looked: bool,
}

impl Numbers {
    pub(super) fn new(last: Option<Rolled>, found: Arc<OnceLock<Highest>>) -> Self {
        let mut numbers = Self {
            given: Highest::new(),
            found,
            looked: false,
        };
        last.into_iter().for_each(|last| numbers.give(last));
        numbers
    }

    /// The next number of a date. Call [`give`](Self::give) when a file has it.
    pub(super) fn next(&mut self, date: Date, names: &Names) -> Rolled {
        if !self.looked {
            match self.found.get() {
                Some(found) => self.learn(&found.clone()),
                None => self.look(names),
            }
        }
        let last = self.given.get(&date).copied().unwrap_or(0);
        Rolled {
            date,
            number: last.saturating_add(1),
        }
    }

    pub(super) fn give(&mut self, Rolled { date, number }: Rolled) {
        let last = self.given.entry(date).or_insert(0);
        *last = number.max(*last);
    }

    /// Reads the directory. A directory that may not be read is no reason not to roll: no file is ever replaced.
    pub(super) fn look(&mut self, names: &Names) {
        self.learn(&names.numbers().unwrap_or_default());
    }

    fn learn(&mut self, found: &Highest) {
        self.looked = true;
        found
            .iter()
            .for_each(|(&date, &number)| self.give(Rolled { date, number }));
    }
}

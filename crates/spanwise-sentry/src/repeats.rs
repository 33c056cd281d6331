//! The same error again: sent once, and counted.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sentry_core::protocol::Event;

/// Of more errors than this at once, those that come on top are sent each time.
const MOST: usize = 256;

/// Which errors were sent lately, and how often each of them came again.
#[derive(Debug)]
pub(crate) struct Repeats {
    /// For how long an error that comes again is only counted.
    pub(crate) window: Duration,
    seen: Mutex<HashMap<u64, Seen>>,
}

#[derive(Debug)]
struct Seen {
    until: Instant,
    again: u64,
    /// The first that came again: it is what tells of the others.
    sample: Option<Box<Event<'static>>>,
}

/// What is to be done with an error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// It is new: it is sent.
    No,
    /// It came again, and is to be kept for the time when the others are told.
    First,
    /// It is counted.
    Yes,
}

/// The same for events of one callsite that say the same and have the same errors.
pub(crate) fn key(parts: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

/// An event that came again, and how often.
pub(crate) type Told = (Event<'static>, u64);

impl Repeats {
    pub(crate) fn new(window: Duration) -> Self {
        Self {
            window,
            seen: Mutex::default(),
        }
    }

    /// Whether an error came before, within the window. If its window is over, what is to be told of it comes with it.
    pub(crate) fn see(&self, key: u64, now: Instant) -> (Again, Option<Told>) {
        if self.window.is_zero() {
            return (Again::No, None);
        }
        let until = now + self.window;
        let mut seen = self.lock();
        match seen.get_mut(&key) {
            Some(entry) if now < entry.until => {
                entry.again += 1;
                let again = if entry.again == 1 {
                    Again::First
                } else {
                    Again::Yes
                };
                (again, None)
            }
            Some(entry) => {
                let over = mem::replace(entry, Seen::new(until));
                (Again::No, over.told())
            }
            None => {
                if seen.len() == MOST {
                    // What did not come again has nothing to tell.
                    seen.retain(|_, entry| entry.again > 0 || now < entry.until);
                }
                if seen.len() < MOST {
                    seen.insert(key, Seen::new(until));
                }
                (Again::No, None)
            }
        }
    }

    pub(crate) fn keep(&self, key: u64, sample: Event<'static>) {
        if let Some(entry) = self.lock().get_mut(&key) {
            entry.sample = Some(Box::new(sample));
        }
    }

    /// What came again in windows that are over at `now`, or in all of them.
    pub(crate) fn over(&self, now: Option<Instant>) -> Vec<Told> {
        let mut told = Vec::new();
        self.lock().retain(|_, entry| {
            // What came again is about to be kept, and is told then.
            let is_settled = entry.again == 0 || entry.sample.is_some();
            let is_over = now.is_none_or(|now| is_settled && now >= entry.until);
            if is_over {
                let next = Seen::new(entry.until);
                told.extend(mem::replace(entry, next).told());
            }
            !is_over
        });
        told
    }

    /// When the next window is over.
    pub(crate) fn next(&self) -> Option<Instant> {
        let seen = self.lock();
        let waiting = seen.values().filter(|entry| entry.sample.is_some());
        waiting.map(|entry| entry.until).min()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn new(until: Instant) -> Self {
        Self {
            until,
            again: 0,
            sample: None,
        }
    }

    fn told(self) -> Option<Told> {
        let sample = self.sample.filter(|_| self.again > 0)?;
        Some((*sample, self.again))
    }
}

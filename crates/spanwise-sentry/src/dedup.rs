//! The same error again: sent once, and counted.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    mem,
    time::{Duration, Instant},
};

use spanwise_core::internal::sync::{Mutex, MutexGuard};

use sentry_core::protocol::Event;

/// Of more errors than this at once, those that come on top are sent each time.
const MAX_ERRORS: usize = 256;

/// The events that wait to tell of others take this many bytes. Beyond, the oldest is told before
/// its window is over.
const MAX_SAMPLE_BYTES: usize = 8 * 1024 * 1024;

/// Which errors were sent lately, and how often each of them came again.
#[derive(Debug)]
pub(crate) struct Deduplicator {
    /// For how long an error that comes again is only counted.
    pub(crate) window: Duration,
    seen: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    by_key: HashMap<u64, Seen>,
    /// Of all samples.
    bytes: usize,
}

#[derive(Debug)]
struct Seen {
    until: Instant,
    again: u64,
    sample: Option<Sample>,
}

/// The first event that came again: it is what tells of the others. Kept as it is sent, which takes
/// a fraction of what it takes as an event, and whose bytes can be counted.
#[derive(Debug)]
struct Sample(Box<[u8]>);

/// What is to be done with an error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Repetition {
    /// It is new: it is sent.
    New,
    /// It came again, and is to be kept for the time when the others are told.
    First,
    /// It is counted.
    Again,
}

/// The same for events of one callsite that say the same and have the same errors.
pub(crate) fn key(parts: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

/// An event that came again, and how often.
pub(crate) type RepeatReport = (Event<'static>, u64);

impl Deduplicator {
    pub(crate) fn new(window: Duration) -> Self {
        Self {
            window,
            seen: Mutex::default(),
        }
    }

    /// Whether an error came before, within the window. If its window is over, what is to be told of it comes with it.
    pub(crate) fn check(&self, key: u64, now: Instant) -> (Repetition, Option<RepeatReport>) {
        if self.window.is_zero() {
            return (Repetition::New, None);
        }
        let until = now + self.window;
        let mut seen = self.lock();
        let seen = &mut *seen;
        let over = match seen.by_key.get_mut(&key) {
            Some(entry) if now < entry.until => {
                entry.again += 1;
                let again = if entry.again == 1 {
                    Repetition::First
                } else {
                    Repetition::Again
                };
                return (again, None);
            }
            Some(entry) => Some(mem::replace(entry, Seen::new(until))),
            None => {
                if seen.by_key.len() == MAX_ERRORS {
                    // What did not come again has nothing to tell.
                    seen.by_key
                        .retain(|_, entry| entry.again > 0 || now < entry.until);
                }
                if seen.by_key.len() < MAX_ERRORS {
                    seen.by_key.insert(key, Seen::new(until));
                }
                None
            }
        };
        (Repetition::New, over.and_then(|over| seen.tell(over)))
    }

    /// Keeps what is to tell of an error that came again. Returns what is to be told now, since
    /// there is no room for it.
    pub(crate) fn keep(&self, key: u64, sample: &Event<'static>) -> Vec<RepeatReport> {
        // An event is made of texts, numbers and maps, all of which can be written.
        let bytes = serde_json::to_vec(sample).unwrap_or_default();
        let mut seen = self.lock();
        let seen = &mut *seen;
        if let Some(entry) = seen.by_key.get_mut(&key) {
            seen.bytes += bytes.len();
            let before = entry.sample.replace(Sample(bytes.into()));
            seen.bytes -= before.map_or(0, |sample| sample.0.len());
        }
        let mut told = Vec::new();
        while seen.bytes > MAX_SAMPLE_BYTES {
            let kept = seen
                .by_key
                .iter()
                .filter(|(_, entry)| entry.sample.is_some());
            let oldest = kept.min_by_key(|(_, entry)| entry.until);
            let Some(oldest) = oldest.map(|(key, _)| *key) else {
                break;
            };
            let oldest = seen.by_key.remove(&oldest);
            told.extend(oldest.and_then(|oldest| seen.tell(oldest)));
        }
        told
    }

    /// What came again in windows that are over at `now`, or in all of them.
    pub(crate) fn expired(&self, now: Option<Instant>) -> Vec<RepeatReport> {
        let mut seen = self.lock();
        let over = seen.by_key.extract_if(|_, entry| {
            // What came again is about to be kept, and is told then.
            let is_settled = entry.again == 0 || entry.sample.is_some();
            now.is_none_or(|now| is_settled && now >= entry.until)
        });
        let over: Vec<_> = over.map(|(_, entry)| entry).collect();
        over.into_iter()
            .filter_map(|entry| seen.tell(entry))
            .collect()
    }

    /// When the next window is over.
    pub(crate) fn next(&self) -> Option<Instant> {
        let seen = self.lock();
        let waiting = seen.by_key.values();
        let waiting = waiting.filter(|entry| entry.sample.is_some());
        waiting.map(|entry| entry.until).min()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.seen.lock()
    }
}

impl Entries {
    /// What there is to tell of an entry that was taken out.
    fn tell(&mut self, entry: Seen) -> Option<RepeatReport> {
        let Sample(bytes) = entry.sample?;
        self.bytes -= bytes.len();
        let event = serde_json::from_slice(&bytes).ok()?;
        Some((event, entry.again))
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
}

//! Deduplication of errors: an error that repeats within a window is counted, not sent.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    mem,
    time::{Duration, Instant},
};

use spanwise_core::internal::sync::Mutex;

use sentry_core::protocol::Event;

/// The most errors that are remembered at once. All repetitions of further ones are sent.
const MAX_ERRORS: usize = 256;

/// The most bytes of all samples. Beyond, the oldest is sent before its window is over.
const MAX_SAMPLE_BYTES: usize = 8 * 1024 * 1024;

/// The errors of the last window, with the number of their repetitions.
#[derive(Debug)]
pub(crate) struct Deduplicator {
    /// How long repetitions of an error are only counted.
    pub(crate) window: Duration,
    seen: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    by_key: HashMap<u64, Entry>,
    /// The bytes of all samples.
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    /// The end of its window.
    until: Instant,
    repetitions: u64,
    sample: Option<Sample>,
}

/// The first repetition of an error, which will report on the others. It is serialized: that takes
/// a fraction of the memory of an event, and its bytes can be counted.
#[derive(Debug)]
struct Sample(Box<[u8]>);

/// How an error relates to those before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Repetition {
    /// It does not repeat one: send it.
    New,
    /// It is the first repetition: [store](Deduplicator::store) it.
    First,
    /// It is counted.
    Again,
}

/// An event that reports on all repetitions of an error in its window.
pub(crate) struct RepeatReport {
    pub(crate) event: Event<'static>,
    pub(crate) count: u64,
}

/// Returns the key of an error, made of everything that distinguishes it from others.
pub(crate) fn key(parts: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

impl Deduplicator {
    pub(crate) fn new(window: Duration) -> Self {
        Self {
            window,
            seen: Mutex::default(),
        }
    }

    /// Remembers an error. Returns whether it repeats an earlier one, and the report of an expired
    /// window of the same error.
    pub(crate) fn check(&self, key: u64, now: Instant) -> (Repetition, Option<RepeatReport>) {
        if self.window.is_zero() {
            return (Repetition::New, None);
        }
        let until = now + self.window;
        let mut seen = self.seen.lock();
        let seen = &mut *seen;
        let expired = match seen.by_key.get_mut(&key) {
            Some(entry) if now < entry.until => {
                entry.repetitions += 1;
                let repetition = match entry.repetitions {
                    1 => Repetition::First,
                    _ => Repetition::Again,
                };
                return (repetition, None);
            }
            Some(entry) => Some(mem::replace(entry, Entry::new(until))),
            None => {
                if seen.by_key.len() == MAX_ERRORS {
                    let is_needed = |entry: &Entry| entry.repetitions > 0 || now < entry.until;
                    seen.by_key.retain(|_, entry| is_needed(entry));
                }
                if seen.by_key.len() < MAX_ERRORS {
                    seen.by_key.insert(key, Entry::new(until));
                }
                None
            }
        };
        let report = expired.and_then(|entry| seen.report(entry));
        (Repetition::New, report)
    }

    /// Stores the first repetition of an error. Returns the reports for which there is no room any
    /// more.
    pub(crate) fn store(&self, key: u64, event: &Event<'static>) -> Vec<RepeatReport> {
        // An event consists of texts, numbers and maps, which always serialize.
        let bytes = serde_json::to_vec(event).unwrap_or_default();
        let mut seen = self.seen.lock();
        let seen = &mut *seen;
        if let Some(entry) = seen.by_key.get_mut(&key) {
            seen.bytes += bytes.len();
            let replaced = entry.sample.replace(Sample(bytes.into()));
            seen.bytes -= replaced.map_or(0, |sample| sample.0.len());
        }
        let mut reports = Vec::new();
        while seen.bytes > MAX_SAMPLE_BYTES {
            let stored = seen.by_key.iter();
            let stored = stored.filter(|(_, entry)| entry.sample.is_some());
            let oldest = stored.min_by_key(|(_, entry)| entry.until);
            let Some(oldest) = oldest.map(|(key, _)| *key) else {
                break;
            };
            let oldest = seen.by_key.remove(&oldest);
            reports.extend(oldest.and_then(|entry| seen.report(entry)));
        }
        reports
    }

    /// Returns the reports of windows that are over at `now`, or of all windows without `now`.
    pub(crate) fn expired(&self, now: Option<Instant>) -> Vec<RepeatReport> {
        let mut seen = self.seen.lock();
        let over = seen.by_key.extract_if(|_, entry| {
            // Another thread is about to store the sample of an entry without one.
            let is_complete = entry.repetitions == 0 || entry.sample.is_some();
            now.is_none_or(|now| is_complete && now >= entry.until)
        });
        let over: Vec<_> = over.map(|(_, entry)| entry).collect();
        let reports = over.into_iter().filter_map(|entry| seen.report(entry));
        reports.collect()
    }

    /// Returns when the next window with repetitions is over.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        let seen = self.seen.lock();
        let stored = seen.by_key.values();
        let stored = stored.filter(|entry| entry.sample.is_some());
        stored.map(|entry| entry.until).min()
    }
}

impl Entries {
    /// Returns the report of an entry that was removed, if there were repetitions.
    fn report(&mut self, entry: Entry) -> Option<RepeatReport> {
        let Sample(bytes) = entry.sample?;
        self.bytes -= bytes.len();
        let event = serde_json::from_slice(&bytes).ok()?;
        let count = entry.repetitions;
        Some(RepeatReport { event, count })
    }
}

impl Entry {
    fn new(until: Instant) -> Self {
        Self {
            until,
            repetitions: 0,
            sample: None,
        }
    }
}

//! Deduplication of errors. An error that repeats within a window is counted, not sent.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    mem,
    time::{Duration, Instant},
};

use spanwise_core::internal::sync::Mutex;

use sentry_core::protocol::Event;

/// The maximum number of stored errors. Repetitions of further errors are all sent.
const MAX_ERRORS: usize = 256;

/// The maximum number of bytes of all samples. If it is exceeded, the report with the oldest sample
/// is sent before the end of its window.
const MAX_SAMPLE_BYTES: usize = 8 * 1024 * 1024;

/// The errors of the last window, with the number of their repetitions.
#[derive(Debug)]
pub(crate) struct Deduplicator {
    /// The time during which repetitions of an error are only counted.
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
    /// The end of the window.
    until: Instant,
    repetitions: u64,
    sample: Option<Sample>,
    /// Whether the window ended before the sample was stored. The report is then sent right after.
    is_over: bool,
}

/// The first repetition of an error, as a serialized event. It is sent after the window, and
/// reports all repetitions. The serialized form needs much less memory than an event, and has a
/// known size.
#[derive(Debug)]
struct Sample(Box<[u8]>);

/// The position of an error among the equal errors in its window.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Occurrence {
    /// The error is new, and must be sent.
    First,
    /// The error is the first repetition, and must be [stored](Deduplicator::store).
    Second,
    /// The error is a further repetition, and was counted.
    Later,
}

/// An event that reports all repetitions of an error in its window.
pub(crate) struct RepeatReport {
    pub(crate) event: Event<'static>,
    pub(crate) count: u64,
}

/// Returns the key of an error: a hash of all parts that distinguish it from other errors.
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

    /// Counts an occurrence of the error with this key, and returns its position in the window. If
    /// it begins a new window, also returns the report of the expired window of the same error.
    pub(crate) fn check(&self, key: u64, now: Instant) -> (Occurrence, Option<RepeatReport>) {
        if self.window.is_zero() {
            return (Occurrence::First, None);
        }
        let until = now + self.window;
        let mut seen = self.seen.lock();
        let seen = &mut *seen;
        let expired = match seen.by_key.get_mut(&key) {
            // If the sample is missing, another thread is about to store it. This takes no second
            // window, unless the thread has panicked.
            Some(entry)
                if now < entry.until || !entry.is_complete() && now < entry.until + self.window =>
            {
                entry.repetitions += 1;
                let occurrence = match entry.repetitions {
                    1 => Occurrence::Second,
                    _ => Occurrence::Later,
                };
                return (occurrence, None);
            }
            Some(entry) => Some(mem::replace(entry, Entry::new(until))),
            None => {
                if seen.by_key.len() == MAX_ERRORS {
                    // An entry whose sample never comes, because a thread has panicked, would keep
                    // its room until the process ends.
                    let is_needed = |entry: &Entry| {
                        let may_complete = entry.is_complete() || now < entry.until + self.window;
                        now < entry.until || entry.repetitions > 0 && may_complete
                    };
                    seen.by_key.retain(|_, entry| is_needed(entry));
                }
                if seen.by_key.len() < MAX_ERRORS {
                    seen.by_key.insert(key, Entry::new(until));
                }
                None
            }
        };
        let report = expired.and_then(|entry| seen.report(entry));
        (Occurrence::First, report)
    }

    /// Stores the first repetition of an error as its sample. Returns the reports that the caller
    /// must send now, because their windows are over or there is no room for their samples.
    pub(crate) fn store(&self, key: u64, event: &Event<'static>) -> Vec<RepeatReport> {
        // An event consists of texts, numbers and maps, which always serialize.
        let bytes = serde_json::to_vec(event).unwrap_or_default();
        let mut seen = self.seen.lock();
        let seen = &mut *seen;
        let mut reports = Vec::new();
        if let Some(entry) = seen.by_key.get_mut(&key) {
            seen.bytes += bytes.len();
            let replaced = entry.sample.replace(Sample(bytes.into()));
            seen.bytes -= replaced.map_or(0, |sample| sample.0.len());
            if entry.is_over {
                let over = seen.by_key.remove(&key);
                reports.extend(over.and_then(|entry| seen.report(entry)));
            }
        }
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

    /// Removes the windows that are over at `now`, or with `None` all windows. Returns their
    /// reports.
    pub(crate) fn take_expired(&self, now: Option<Instant>) -> Vec<RepeatReport> {
        let mut seen = self.seen.lock();
        let expired = seen.by_key.extract_if(|_, entry| {
            let is_over = now.is_none_or(|now| now >= entry.until);
            // If the sample is missing, another thread is about to store it. `store` then returns
            // the report.
            entry.is_over |= is_over;
            is_over && entry.is_complete()
        });
        let expired: Vec<_> = expired.map(|(_, entry)| entry).collect();
        let reports = expired.into_iter().filter_map(|entry| seen.report(entry));
        reports.collect()
    }

    /// Returns the end of the next window with repetitions, if there is one.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        let seen = self.seen.lock();
        let stored = seen.by_key.values();
        let stored = stored.filter(|entry| entry.sample.is_some());
        stored.map(|entry| entry.until).min()
    }
}

impl Entries {
    /// Returns the report of a removed entry, if it has a sample.
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
            is_over: false,
        }
    }

    /// Returns whether the sample of the repetitions is stored, if there are any.
    fn is_complete(&self) -> bool {
        self.repetitions == 0 || self.sample.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    /// Returns a deduplicator with an error that has repeated. Its sample is not stored yet.
    fn repeated() -> (Deduplicator, Instant) {
        let (dedup, now) = (Deduplicator::new(WINDOW), Instant::now());
        assert_eq!(dedup.check(1, now).0, Occurrence::First);
        assert_eq!(dedup.check(1, now).0, Occurrence::Second);
        (dedup, now)
    }

    fn counts(reports: Vec<RepeatReport>) -> Vec<u64> {
        reports.into_iter().map(|report| report.count).collect()
    }

    #[test]
    fn flush_before_the_sample_loses_no_report() {
        let (dedup, now) = repeated();
        assert!(dedup.take_expired(None).is_empty());
        assert_eq!(dedup.check(1, now).0, Occurrence::Later);
        assert_eq!(counts(dedup.store(1, &Event::default())), [2]);
        assert_eq!(dedup.check(1, now).0, Occurrence::First);
    }

    #[test]
    fn sample_after_the_window_has_its_repetitions() {
        let (dedup, now) = repeated();
        assert_eq!(dedup.check(1, now + WINDOW).0, Occurrence::Later);
        assert!(dedup.store(1, &Event::default()).is_empty());
        assert_eq!(counts(dedup.take_expired(Some(now + WINDOW))), [2]);
        // A sample that is never stored does not hide the error.
        let (dedup, now) = repeated();
        assert_eq!(dedup.check(1, now + 2 * WINDOW).0, Occurrence::First);
    }

    #[test]
    fn entry_without_a_sample_is_dropped_at_last() {
        let (dedup, now) = (Deduplicator::new(WINDOW), Instant::now());
        for key in 0..MAX_ERRORS as u64 {
            dedup.check(key, now);
            dedup.check(key, now);
        }
        let later = now + 2 * WINDOW;
        assert!(dedup.take_expired(Some(later)).is_empty());
        assert_eq!(dedup.check(1000, later).0, Occurrence::First);
        assert_eq!(dedup.check(1000, later).0, Occurrence::Second);
    }
}

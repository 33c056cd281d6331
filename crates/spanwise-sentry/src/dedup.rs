//! Deduplication of error events. An error that repeats within a window is counted, not sent. After
//! the window, one report is sent: the first repetition, with the number of repetitions.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    mem,
    time::{Duration, Instant},
};

use spanwise_core::internal::sync::Mutex;

use sentry_core::protocol::Event;

/// The maximum number of stored errors. Further errors are not deduplicated.
const MAX_ERRORS: usize = 256;

/// The maximum size of all [samples](Sample) together, in bytes. If it is exceeded, the oldest
/// windows are reported before their end.
const MAX_SAMPLE_BYTES: usize = 8 * 1024 * 1024;

/// Recently sent errors, each with its own window and the number of its repetitions.
#[derive(Debug)]
pub(crate) struct Deduplicator {
    /// The time during which repetitions of an error are only counted.
    pub(crate) window: Duration,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    by_key: HashMap<u64, Entry>,
    /// The size of all samples together, in bytes.
    sample_bytes: usize,
}

#[derive(Debug)]
struct Entry {
    window_end: Instant,
    repetitions: u64,
    sample: Option<Sample>,
    /// Whether the window ended while the sample was missing. If so, the report is sent as soon as
    /// the sample is stored.
    is_overdue: bool,
}

/// The first repetition of an error, which becomes the event of the report. It is serialized,
/// because this form needs much less memory than an event, and has a known size.
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
    /// The number of repetitions, without the first occurrence.
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
            entries: Mutex::default(),
        }
    }

    /// Counts an occurrence of the error with this key, and returns its position in the window. If
    /// it begins a new window, also returns the report of the expired window of the same error.
    pub(crate) fn count_occurrence(
        &self,
        key: u64,
        now: Instant,
    ) -> (Occurrence, Option<RepeatReport>) {
        if self.window.is_zero() {
            return (Occurrence::First, None);
        }
        let window_end = now + self.window;
        let mut entries = self.entries.lock();
        let entries = &mut *entries;
        let expired = match entries.by_key.get_mut(&key) {
            // If the sample is missing, another thread is about to store it. Unless that thread has
            // panicked, it needs less time than the length of another window.
            Some(entry)
                if now < entry.window_end
                    || !entry.is_complete() && now < entry.window_end + self.window =>
            {
                entry.repetitions += 1;
                let occurrence = match entry.repetitions {
                    1 => Occurrence::Second,
                    _ => Occurrence::Later,
                };
                return (occurrence, None);
            }
            Some(entry) => Some(mem::replace(entry, Entry::new(window_end))),
            None => {
                if entries.by_key.len() == MAX_ERRORS {
                    // An entry that still lacks its sample after another window is removed: the
                    // thread that builds the sample has panicked.
                    let is_needed = |entry: &Entry| {
                        let may_complete =
                            entry.is_complete() || now < entry.window_end + self.window;
                        now < entry.window_end || entry.repetitions > 0 && may_complete
                    };
                    entries.by_key.retain(|_, entry| is_needed(entry));
                }
                if entries.by_key.len() < MAX_ERRORS {
                    entries.by_key.insert(key, Entry::new(window_end));
                }
                None
            }
        };
        let report = expired.and_then(|entry| entries.report(entry));
        (Occurrence::First, report)
    }

    /// Stores the first repetition of an error as its sample. Returns the reports that the caller
    /// must send now, because their windows are over or there is no room for their samples.
    pub(crate) fn store(&self, key: u64, event: &Event<'static>) -> Vec<RepeatReport> {
        // An event consists of texts, numbers and maps, which always serialize.
        let bytes = serde_json::to_vec(event).unwrap_or_default();
        let mut entries = self.entries.lock();
        let entries = &mut *entries;
        let mut reports = Vec::new();
        if let Some(entry) = entries.by_key.get_mut(&key) {
            entries.sample_bytes += bytes.len();
            let replaced = entry.sample.replace(Sample(bytes.into()));
            entries.sample_bytes -= replaced.map_or(0, |sample| sample.0.len());
            if entry.is_overdue {
                let overdue = entries.by_key.remove(&key);
                reports.extend(overdue.and_then(|entry| entries.report(entry)));
            }
        }
        while entries.sample_bytes > MAX_SAMPLE_BYTES {
            let stored = entries.by_key.iter();
            let stored = stored.filter(|(_, entry)| entry.sample.is_some());
            let oldest = stored.min_by_key(|(_, entry)| entry.window_end);
            let Some(oldest) = oldest.map(|(key, _)| *key) else {
                break;
            };
            let oldest = entries.by_key.remove(&oldest);
            reports.extend(oldest.and_then(|entry| entries.report(entry)));
        }
        reports
    }

    /// Removes the windows that are over at `now`, or with `None` all windows. Returns their
    /// reports.
    pub(crate) fn take_expired(&self, now: Option<Instant>) -> Vec<RepeatReport> {
        let mut entries = self.entries.lock();
        let expired = entries.by_key.extract_if(|_, entry| {
            let is_over = now.is_none_or(|now| now >= entry.window_end);
            // If the sample is missing, another thread is about to store it. `store` then returns
            // the report.
            entry.is_overdue |= is_over;
            is_over && entry.is_complete()
        });
        let expired: Vec<_> = expired.map(|(_, entry)| entry).collect();
        let reports = expired
            .into_iter()
            .filter_map(|entry| entries.report(entry));
        reports.collect()
    }

    /// Returns the end of the window that ends first, among the windows with repetitions.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        let entries = self.entries.lock();
        let stored = entries.by_key.values();
        let stored = stored.filter(|entry| entry.sample.is_some());
        stored.map(|entry| entry.window_end).min()
    }
}

impl Entries {
    /// Returns the report of a removed entry, if it has a sample.
    fn report(&mut self, entry: Entry) -> Option<RepeatReport> {
        let Sample(bytes) = entry.sample?;
        self.sample_bytes -= bytes.len();
        let event = serde_json::from_slice(&bytes).ok()?;
        let count = entry.repetitions;
        Some(RepeatReport { event, count })
    }
}

impl Entry {
    fn new(window_end: Instant) -> Self {
        Self {
            window_end,
            repetitions: 0,
            sample: None,
            is_overdue: false,
        }
    }

    /// Returns whether the sample is stored, or not needed because there are no repetitions.
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
        assert_eq!(dedup.count_occurrence(1, now).0, Occurrence::First);
        assert_eq!(dedup.count_occurrence(1, now).0, Occurrence::Second);
        (dedup, now)
    }

    fn counts(reports: Vec<RepeatReport>) -> Vec<u64> {
        reports.into_iter().map(|report| report.count).collect()
    }

    #[test]
    fn flush_before_the_sample_loses_no_report() {
        let (dedup, now) = repeated();
        assert!(dedup.take_expired(None).is_empty());
        assert_eq!(dedup.count_occurrence(1, now).0, Occurrence::Later);
        assert_eq!(counts(dedup.store(1, &Event::default())), [2]);
        assert_eq!(dedup.count_occurrence(1, now).0, Occurrence::First);
    }

    #[test]
    fn sample_after_the_window_has_its_repetitions() {
        let (dedup, now) = repeated();
        assert_eq!(dedup.count_occurrence(1, now + WINDOW).0, Occurrence::Later);
        assert!(dedup.store(1, &Event::default()).is_empty());
        assert_eq!(counts(dedup.take_expired(Some(now + WINDOW))), [2]);
        // A sample that is never stored does not hide the error.
        let (dedup, now) = repeated();
        assert_eq!(
            dedup.count_occurrence(1, now + 2 * WINDOW).0,
            Occurrence::First
        );
    }

    #[test]
    fn entry_without_a_sample_is_dropped_at_last() {
        let (dedup, now) = (Deduplicator::new(WINDOW), Instant::now());
        for key in 0..MAX_ERRORS as u64 {
            dedup.count_occurrence(key, now);
            dedup.count_occurrence(key, now);
        }
        let later = now + 2 * WINDOW;
        assert!(dedup.take_expired(Some(later)).is_empty());
        assert_eq!(dedup.count_occurrence(1000, later).0, Occurrence::First);
        assert_eq!(dedup.count_occurrence(1000, later).0, Occurrence::Second);
    }
}

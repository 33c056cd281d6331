//! The state of each process besides its queue. A forked child starts with an empty state.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use spanwise_core::export::Exporter;

use crate::{
    dedup::Deduplicator, envelope::QueuedEnvelope, exiting_threads::DeferredItems,
    log_batch::LogBatch,
};

pub(crate) type SentryExporter = Exporter<QueuedEnvelope, ProcessState>;

/// All state between the events and the queue.
#[derive(Debug)]
pub(crate) struct ProcessState {
    pub(crate) dedup: Deduplicator,
    pub(crate) logs: LogBatch,
    pub(crate) deferred: DeferredItems,
    pub(crate) counts: Counts,
}

/// Counts of events that were not sent on purpose, and of refused tags.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) ignored: Count,
    pub(crate) repeated: Count,
    pub(crate) discarded: Count,
    pub(crate) refused_tags: Count,
}

#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl ProcessState {
    pub(crate) fn new(dedup_window: Duration) -> Self {
        Self {
            dedup: Deduplicator::new(dedup_window),
            logs: LogBatch::default(),
            deferred: DeferredItems::default(),
            counts: Counts::default(),
        }
    }
}

impl Count {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

//! State that belongs to one process, besides its export queue. A forked child starts with an empty
//! state, so that it does not send the parent's data again.

use std::time::Duration;

use spanwise_core::{export::Exporter, internal::Counter};

use crate::{
    dedup::Deduplicator, envelope::QueuedEnvelope, exiting_threads::DeferredItems,
    log_batch::LogBatch,
};

pub(crate) type SentryExporter = Exporter<QueuedEnvelope, ProcessState>;

/// The data of one process on its way from the layer to the queue, and counts.
#[derive(Debug)]
pub(crate) struct ProcessState {
    pub(crate) dedup: Deduplicator,
    pub(crate) logs: LogBatch,
    /// The items of exiting threads, which the sender thread passes to the client.
    pub(crate) deferred: DeferredItems,
    pub(crate) counts: Counts,
}

/// Counts of events that are deliberately not sent, and of refused tags. See `SentryStats`.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) ignored: Counter,
    pub(crate) repeated: Counter,
    pub(crate) discarded: Counter,
    pub(crate) refused_tags: Counter,
}

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

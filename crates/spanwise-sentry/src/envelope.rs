//! The transport of Sentry's client, which redacts envelopes and puts them in the export queue.
//!
//! An envelope is Sentry's unit of transfer. It contains items, such as an event, a transaction or
//! logs.

use std::sync::Arc;

use sentry_core::{
    Envelope, Transport,
    protocol::{EnvelopeItem, Event, ItemContainer},
};
use spanwise_core::{Fault, Redact, export::ExportItem};
use tracing_core::Level;

use crate::{
    capture_scope::{self, AlreadyRedacted},
    envelope_redaction::redact_envelope,
    process_state::SentryExporter,
    rate_limits::Category,
};

/// A serialized envelope that waits to be sent.
#[derive(Debug)]
pub(crate) struct QueuedEnvelope {
    pub(crate) category: Category,
    /// The number of events, transactions and logs in the envelope.
    events: u64,
    pub(crate) bytes: Vec<u8>,
}

impl ExportItem for QueuedEnvelope {
    fn events(&self) -> u64 {
        self.events
    }

    fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn level(&self) -> Level {
        match self.category {
            Category::Error => Level::ERROR,
            Category::Transaction | Category::Log | Category::Other => Level::INFO,
        }
    }
}

/// The transport of Sentry's client: redacts envelopes and puts them in the queue.
pub(crate) struct QueueTransport {
    pub(crate) exporter: Arc<SentryExporter>,
    pub(crate) policy: Option<Arc<dyn Redact>>,
}

impl Transport for QueueTransport {
    fn send_envelope(&self, envelope: Envelope) {
        let queue = &self.exporter.current().queue;
        let (category, events) = category_and_count(&envelope);
        match self.redacted_bytes(&envelope) {
            Some(bytes) => queue.push(QueuedEnvelope {
                category,
                events,
                bytes,
            }),
            None => {
                queue.counters().add_write_failed(events);
                let reason = "an event cannot be redacted, and is not sent to Sentry";
                self.exporter.report().fault(Fault::WriteFailed, &reason);
            }
        }
    }
}

impl QueueTransport {
    /// Returns the redacted bytes of an envelope, or `None` if it cannot be serialized or redacted.
    /// In that case it must not be sent.
    fn redacted_bytes(&self, envelope: &Envelope) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        envelope.to_writer(&mut bytes).ok()?;
        let Some(policy) = &self.policy else {
            return Some(bytes);
        };
        match capture_scope::take_already_redacted() {
            AlreadyRedacted::Everything => Some(bytes),
            AlreadyRedacted::Event(event) => redact_changes(envelope, *event, bytes, &**policy),
            AlreadyRedacted::Nothing => redact_envelope(&bytes, None, &**policy),
        }
    }
}

/// Redacts the changes that hooks and integrations have made to the event. `redacted` is the event
/// before these changes. Returns `None` if the envelope cannot be redacted.
fn redact_changes(
    envelope: &Envelope,
    mut redacted: Event<'static>,
    bytes: Vec<u8>,
    policy: &dyn Redact,
) -> Option<Vec<u8>> {
    if let Some(event) = envelope.event() {
        // The client has set `sdk`. That is not a change by a hook.
        redacted.sdk.clone_from(&event.sdk);
        if *event == redacted && envelope.items().count() == 1 {
            return Some(bytes);
        }
    }
    let redacted = serde_json::to_value(&redacted).ok();
    redact_envelope(&bytes, redacted.as_ref(), policy)
}

/// Returns the category of an envelope, and the number of events, transactions and logs in it. The
/// category is [`Category::Error`] if the envelope contains an event, and otherwise the category of
/// the last item.
pub(crate) fn category_and_count(envelope: &Envelope) -> (Category, u64) {
    let mut category = Category::Other;
    let mut events = 0;
    for item in envelope.items() {
        let (item_category, count) = match item {
            EnvelopeItem::Event(_) => (Category::Error, 1),
            EnvelopeItem::Transaction(_) => (Category::Transaction, 1),
            EnvelopeItem::ItemContainer(ItemContainer::Logs(logs)) => {
                (Category::Log, logs.len() as u64)
            }
            // Items of these types accompany other items.
            EnvelopeItem::Attachment(_) | EnvelopeItem::ClientReport(_) => continue,
            _ => (Category::Other, 1),
        };
        events += count;
        if category != Category::Error {
            category = item_category;
        }
    }
    (category, events)
}

//! From what was logged to what is sent.

use std::{
    cell::{Cell, RefCell},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use sentry_core::{
    Client, Envelope, Hub, Transport,
    protocol::{Event, Log, SpanId, Transaction},
};
use spanwise_core::{Clock, Fault, Redact, internal::panic_safe};

use crate::{
    breadcrumbs::MemoryBudget,
    builder::Options,
    dedup::{self, Repetition},
    envelope_redaction,
    exiting_threads::{DeferredItem, Pushed},
    log_batch::BatchState,
    outbox::Parcel,
    process_state::{ProcessState, ProcessStates},
    rate_limits::Category,
    sender::PeriodicTasks,
};

/// What all parts share.
pub(crate) struct Pipeline {
    pub(crate) client: Arc<Client>,
    pub(crate) states: Arc<ProcessStates>,
    pub(crate) options: Options,
    pub(crate) memory: Arc<MemoryBudget>,
    pub(crate) clock: Clock,
}

thread_local! {
    /// Somebody's hook runs: what it logs is not sent, or it would have no end.
    static IS_CAPTURING: Cell<bool> = const { Cell::new(false) };
    /// What is being sent was read already: all of it, or the event as it is here.
    static READ: RefCell<Read> = const { RefCell::new(Read::Nothing) };
}

#[derive(Default)]
enum Read {
    #[default]
    Nothing,
    All,
    Event(Box<Event<'static>>),
}

/// Where a thread has no such mark any more, nothing is captured: it could not be told from what a
/// hook logs.
pub(crate) fn is_capturing() -> bool {
    IS_CAPTURING.try_with(Cell::get).unwrap_or(true)
}

/// Something is being captured, perhaps from inside of a hook: then what was before holds again after it.
struct CaptureScope {
    was_capturing: bool,
    read: Read,
}

impl CaptureScope {
    fn enter(read: Read) -> Self {
        Self {
            was_capturing: IS_CAPTURING
                .try_with(|capturing| capturing.replace(true))
                .unwrap_or(true),
            // A thread that ends has no place for it. Then all is read again.
            read: READ
                .try_with(|before| before.replace(read))
                .unwrap_or_default(),
        }
    }
}

impl Drop for CaptureScope {
    fn drop(&mut self) {
        let _ = IS_CAPTURING.try_with(|capturing| capturing.set(self.was_capturing));
        let _ = READ.try_with(|read| read.replace(std::mem::take(&mut self.read)));
    }
}

/// Whether this thread lets go of its thread-locals, and has let go of those that sentry's client
/// needs.
pub(crate) fn is_thread_exiting() -> bool {
    /// Outlived by all that was there before it.
    struct Canary;
    impl Drop for Canary {
        fn drop(&mut self) {}
    }
    thread_local! {
        static CANARY: Canary = {
            let _ = (Hub::current(), SpanId::default());
            Canary
        };
    }
    // On a thread that never had them, and ends, they cannot be made either.
    panic_safe::catch_panic(|| CANARY.try_with(|_| ())).is_none_or(|lives| lives.is_err())
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Pipeline {
    /// Sends an error that was not sent within the window; otherwise counts it. `make` is called only for what is sent or kept.
    pub(crate) fn send_deduplicated(&self, key: u64, make: impl FnOnce() -> Event<'static>) {
        let queue = self.states.current();
        let (again, told) = queue.dedup.check(key, self.clock.instant());
        if let Some(told) = told {
            self.send_report(told);
        }
        match again {
            Repetition::New => self.capture(make()),
            Repetition::First => {
                count(&queue.counts.repeated);
                let told = queue.dedup.keep(key, &make());
                told.into_iter().for_each(|told| self.send_report(told));
                queue.outbox.wake();
            }
            Repetition::Again => count(&queue.counts.repeated),
        }
    }

    /// Tells how often an error came again.
    fn send_report(&self, (mut event, again): dedup::RepeatReport) {
        let window = self.states.current().dedup.window;
        crate::event_builder::add_repeat_count(&mut event, again, window);
        self.capture(event);
    }

    /// Hands an event to the client: hooks and sampling come now, or where this thread ends, on the
    /// one that sends.
    fn capture(&self, event: Event<'static>) {
        if is_thread_exiting() {
            self.defer(DeferredItem::Event(Box::new(event)));
        } else {
            self.capture_here(event);
        }
    }

    #[cold]
    fn defer(&self, item: DeferredItem) {
        let items = item.count();
        let queue = self.states.current();
        let counters = &queue.outbox.counters;
        match queue.deferred.push(item) {
            Pushed::Accepted => queue.outbox.wake(),
            Pushed::Ended => counters.add_lost_at_shutdown(items),
            Pushed::Full => {
                counters.add_write_failed(items);
                let why = "threads log faster while they end than is sent to Sentry";
                self.states.report.fault(Fault::WriteFailed, &why);
            }
        }
    }

    fn send_deferred(&self, queue: &ProcessState) {
        queue.deferred.send_all(|item| match item {
            DeferredItem::Event(event) => self.capture_here(*event),
            DeferredItem::Envelope(envelope) => self.send_here(*envelope),
        });
    }

    /// Ends the sending of what threads logged while they ended, and counts the rest as lost.
    pub(crate) fn end_deferred(&self) {
        let Some(queue) = self.states.existing() else {
            return;
        };
        let lost = queue.deferred.end().iter().map(DeferredItem::count).sum();
        queue.outbox.counters.add_lost_at_shutdown(lost);
    }

    fn capture_here(&self, mut event: Event<'static>) {
        let options = self.client.options();
        event.release.clone_from(&options.release);
        event.environment.clone_from(&options.environment);
        event.server_name.clone_from(&options.server_name);
        // What was read on its way in is read again only where somebody could have changed it.
        let is_changeable = options.before_send.is_some() || !options.integrations.is_empty();
        let read = match is_changeable && self.options.policy.is_some() {
            true => Read::Event(Box::new(event.clone())),
            false => Read::All,
        };
        let _capturing = CaptureScope::enter(read);
        let captured = panic_safe::catch_panic(|| self.client.capture_event(event, None));
        match captured {
            Some(id) if id.is_nil() => count(&self.states.current().counts.discarded),
            Some(_) => {}
            None => {
                self.states.current().outbox.counters.write_failed();
                let why = "a hook of the program's panicked, and its event is not sent to Sentry";
                self.states.report.fault(Fault::WriteFailed, &why);
            }
        }
    }

    pub(crate) fn send_transaction(&self, mut transaction: Transaction<'static>) {
        let options = self.client.options();
        transaction.release.clone_from(&options.release);
        transaction.environment.clone_from(&options.environment);
        transaction.server_name.clone_from(&options.server_name);
        let mut envelope = Envelope::new();
        envelope.add_item(transaction);
        self.send(envelope);
    }

    pub(crate) fn push_log(&self, mut log: Log) {
        let options = self.client.options();
        let common = [
            ("sentry.release", &options.release),
            ("sentry.environment", &options.environment),
            ("server.address", &options.server_name),
        ];
        for (name, value) in common {
            if let Some(value) = value {
                log.attributes
                    .insert(name.to_owned(), value.to_string().into());
            }
        }
        let queue = self.states.current();
        match queue.logs.push(log, Instant::now()) {
            BatchState::Started => queue.outbox.wake(),
            BatchState::Waiting => {}
            BatchState::Full(logs) => self.send_logs(logs),
        }
    }

    fn send_logs(&self, logs: Vec<Log>) {
        let mut envelope = Envelope::new();
        envelope.add_item(logs);
        self.send(envelope);
    }

    fn send(&self, envelope: Envelope) {
        if is_thread_exiting() {
            self.defer(DeferredItem::Envelope(Box::new(envelope)));
        } else {
            self.send_here(envelope);
        }
    }

    fn send_here(&self, envelope: Envelope) {
        let _capturing = CaptureScope::enter(Read::All);
        self.client.send_envelope(envelope);
    }

    /// Hands on all that is held back. Waits until `deadline` for what another thread hands on.
    pub(crate) fn drain(&self, deadline: Instant) {
        self.drain_due(None);
        if let Some(queue) = self.states.existing() {
            queue.deferred.wait(deadline);
        }
    }

    /// Hands on what has waited long enough at `now`, or all that is held back.
    fn drain_due(&self, now: Option<Instant>) {
        // A child has nothing of its parent's to hand on.
        let Some(queue) = self.states.existing() else {
            return;
        };
        if !is_thread_exiting() {
            self.send_deferred(queue);
        }
        let over = queue.dedup.expired(now);
        over.into_iter().for_each(|told| self.send_report(told));
        if let Some(logs) = queue.logs.due(now) {
            self.send_logs(logs);
        }
    }
}

impl PeriodicTasks for Pipeline {
    fn next(&self) -> Option<Instant> {
        let queue = self.states.existing()?;
        if !queue.deferred.is_empty() {
            return Some(Instant::now());
        }
        [queue.dedup.next(), queue.logs.next()]
            .into_iter()
            .flatten()
            .min()
    }

    fn run(&self, now: Instant) {
        self.drain_due(Some(now));
    }
}

/// What the client hands its envelopes to.
pub(crate) struct QueueTransport {
    pub(crate) states: Arc<ProcessStates>,
    pub(crate) policy: Option<Arc<dyn Redact>>,
}

impl Transport for QueueTransport {
    fn send_envelope(&self, envelope: Envelope) {
        let outbox = &self.states.current().outbox;
        let (category, items) = contents(&envelope);
        let mut bytes = Vec::new();
        let written = envelope.to_writer(&mut bytes).ok().map(|()| bytes);
        let shown = match (written, &self.policy) {
            (Some(bytes), Some(policy)) => match READ.try_with(RefCell::take).unwrap_or_default() {
                Read::All => Some(bytes),
                Read::Event(read) => read_changes(&envelope, *read, bytes, &**policy),
                Read::Nothing => envelope_redaction::redact_envelope(&bytes, None, &**policy),
            },
            (bytes, None) => bytes,
            (None, Some(_)) => None,
        };
        match shown {
            Some(bytes) => outbox.push(Parcel {
                category,
                items,
                bytes,
                queued: Instant::now(),
            }),
            None => {
                outbox.counters.add_write_failed(items);
                let why = "an event cannot be read, and is not sent to Sentry";
                outbox.report.fault(Fault::WriteFailed, &why);
            }
        }
    }
}

/// The bytes of an envelope whose event was read when it was `read`, with what was changed since read too.
fn read_changes(
    envelope: &Envelope,
    mut read: Event<'static>,
    bytes: Vec<u8>,
    policy: &dyn Redact,
) -> Option<Vec<u8>> {
    if let Some(event) = envelope.event() {
        // Which the client has set.
        read.sdk.clone_from(&event.sdk);
        if *event == read && envelope.items().count() == 1 {
            return Some(bytes);
        }
    }
    let read = serde_json::to_value(&read).ok();
    envelope_redaction::redact_envelope(&bytes, read.as_ref(), policy)
}

/// What an envelope counts as.
pub(crate) fn contents(envelope: &Envelope) -> (Category, u64) {
    use sentry_core::protocol::{EnvelopeItem, ItemContainer};
    let mut category = Category::Other;
    let mut items = 0;
    for item in envelope.items() {
        let (kind, count) = match item {
            EnvelopeItem::Event(_) => (Category::Error, 1),
            EnvelopeItem::Transaction(_) => (Category::Transaction, 1),
            EnvelopeItem::ItemContainer(ItemContainer::Logs(logs)) => {
                (Category::Log, logs.len() as u64)
            }
            // What comes along with others.
            EnvelopeItem::Attachment(_) | EnvelopeItem::ClientReport(_) => continue,
            _ => (Category::Other, 1),
        };
        items += count;
        if category != Category::Error {
            category = kind;
        }
    }
    (category, items)
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").finish_non_exhaustive()
    }
}

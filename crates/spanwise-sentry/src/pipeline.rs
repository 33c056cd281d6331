//! The path of events from the layer to the export queue: deduplication, sampling and hooks.

use std::{fmt, sync::Arc, time::Instant};

use sentry_core::{
    Client, Envelope,
    protocol::{Event, Log, Transaction},
};
use spanwise_core::{Clock, Fault, export::PeriodicTasks, internal::panic_safe};

use crate::{
    breadcrumbs::MemoryBudget,
    builder::Options,
    capture_scope::{AlreadyRedacted, CaptureScope, is_capturing, is_thread_exiting},
    dedup::{Occurrence, RepeatReport},
    event_builder::add_repeat_count,
    exiting_threads::{Deferral, DeferredItem},
    log_batch::BatchState,
    process_state::SentryExporter,
};

/// The state that the layer and the handles share.
pub(crate) struct Pipeline {
    pub(crate) client: Arc<Client>,
    pub(crate) exporter: Arc<SentryExporter>,
    pub(crate) options: Options,
    pub(crate) breadcrumb_memory: Arc<MemoryBudget>,
    pub(crate) clock: Clock,
}

impl Pipeline {
    /// Sends an error, or counts it if it repeats an error of the last window.
    ///
    /// `build` is called only if the event is sent, or stored as the sample of its repetitions.
    pub(crate) fn send_deduplicated(&self, key: u64, build: impl FnOnce() -> Event<'static>) {
        let process = self.exporter.current();
        let state = &process.state;
        let (occurrence, expired_report) = state.dedup.count_occurrence(key, self.clock.instant());
        if let Some(report) = expired_report {
            self.send_report(report);
        }
        match occurrence {
            Occurrence::First => self.capture(build()),
            Occurrence::Second => {
                state.counts.repeated.add(1);
                let due_reports = state.dedup.store(key, &build());
                due_reports
                    .into_iter()
                    .for_each(|report| self.send_report(report));
                process.queue.wake();
            }
            Occurrence::Later => state.counts.repeated.add(1),
        }
    }

    fn send_report(&self, RepeatReport { mut event, count }: RepeatReport) {
        let window = self.exporter.current().state.dedup.window;
        add_repeat_count(&mut event, count, window);
        self.capture(event);
    }

    /// Passes an event to the client, which samples it and calls hooks. If this thread is exiting,
    /// leaves that to the sender thread.
    fn capture(&self, event: Event<'static>) {
        if is_thread_exiting() {
            self.defer(DeferredItem::Event(Box::new(event)));
        } else {
            self.capture_now(event);
        }
    }

    /// Stores an item of an exiting thread, for the sender thread.
    #[cold]
    fn defer(&self, item: DeferredItem) {
        let events = item.events();
        let process = self.exporter.current();
        match process.state.deferred.push(item) {
            Deferral::Accepted => process.queue.wake(),
            Deferral::Ended => process.queue.counters().add_lost_at_shutdown(events),
            Deferral::Full => {
                process.queue.counters().add_write_failed(events);
                let reason = "exiting threads log more than is sent to Sentry";
                self.exporter.report().fault(Fault::WriteFailed, &reason);
            }
        }
    }

    /// Stops accepting items of exiting threads, and counts waiting items as lost.
    pub(crate) fn end_deferred(&self) {
        let Some(process) = self.exporter.existing() else {
            return;
        };
        let lost = process.state.deferred.end();
        let lost = lost.iter().map(DeferredItem::events).sum();
        process.queue.counters().add_lost_at_shutdown(lost);
    }

    /// Passes an event to the client on a thread that is not exiting.
    fn capture_now(&self, mut event: Event<'static>) {
        let options = self.client.options();
        event.release.clone_from(&options.release);
        event.environment.clone_from(&options.environment);
        event.server_name.clone_from(&options.server_name);
        // The layer has redacted the event, but hooks and integrations may add data to it. The
        // transport compares the changed event with this copy, and redacts the difference.
        let is_changeable = options.before_send.is_some() || !options.integrations.is_empty();
        let redacted = match is_changeable && self.options.policy.is_some() {
            true => AlreadyRedacted::Event(Box::new(event.clone())),
            false => AlreadyRedacted::Everything,
        };
        let _scope = CaptureScope::enter(redacted);
        let captured = panic_safe::catch_panic(|| self.client.capture_event(event, None));
        match captured {
            Some(id) if id.is_nil() => self.exporter.current().state.counts.discarded.add(1),
            Some(_) => {}
            None => {
                self.exporter.current().queue.counters().add_write_failed(1);
                let reason = "a hook of the application panicked: its event is not sent to Sentry";
                self.exporter.report().fault(Fault::WriteFailed, &reason);
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
        self.send_envelope(envelope);
    }

    /// Adds a log to the batch. If the batch is full, sends it.
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
        let process = self.exporter.current();
        let begin_move = || process.state.deferred.begin_move();
        match process
            .state
            .logs
            .push(log, self.clock.instant(), begin_move)
        {
            BatchState::Started => process.queue.wake(),
            BatchState::Waiting => {}
            BatchState::Full(logs, _move) => self.send_logs(logs),
        }
    }

    fn send_logs(&self, logs: Vec<Log>) {
        let mut envelope = Envelope::new();
        envelope.add_item(logs);
        self.send_envelope(envelope);
    }

    fn send_envelope(&self, envelope: Envelope) {
        if is_thread_exiting() {
            self.defer(DeferredItem::Envelope(Box::new(envelope)));
        } else {
            self.send_envelope_now(envelope);
        }
    }

    fn send_envelope_now(&self, envelope: Envelope) {
        let _scope = CaptureScope::enter(AlreadyRedacted::Everything);
        self.client.send_envelope(envelope);
    }

    /// Moves all waiting reports of repetitions, logs and deferred items into the queue, even if
    /// they are not due. Waits until `deadline` for items that another thread is moving.
    pub(crate) fn drain(&self, deadline: Instant) {
        self.drain_due(None);
        // Do not wait inside a hook: this thread itself is moving the item that called the hook.
        if let Some(process) = self.exporter.existing()
            && !is_capturing()
        {
            process.state.deferred.wait(deadline);
        }
    }

    /// Moves all waiting items into the queue, and starts to send the queue. Does not wait.
    pub(crate) fn hurry(&self) {
        self.drain_due(None);
        if let Some(process) = self.exporter.existing() {
            process.queue.hurry();
        }
    }

    /// Moves everything that is due at `now` into the queue. With `None`, also moves items that are
    /// not due.
    fn drain_due(&self, now: Option<Instant>) {
        // A forked child has no state until it sends something itself. The data that waits in its
        // parent is sent by the parent alone.
        let Some(process) = self.exporter.existing() else {
            return;
        };
        let state = &process.state;
        if !is_thread_exiting() {
            state.deferred.send_all(|item| match item {
                DeferredItem::Event(event) => self.capture_now(*event),
                DeferredItem::Envelope(envelope) => self.send_envelope_now(*envelope),
            });
        }
        let _move = state.deferred.begin_move();
        let reports = state.dedup.take_expired(now);
        reports
            .into_iter()
            .for_each(|report| self.send_report(report));
        if let Some(logs) = state.logs.take_due(now) {
            self.send_logs(logs);
        }
    }
}

impl PeriodicTasks for Pipeline {
    fn next_run(&self) -> Option<Instant> {
        let state = &self.exporter.existing()?.state;
        if !state.deferred.is_empty() {
            return Some(self.clock.instant());
        }
        let times = [state.dedup.next_expiry(), state.logs.due_at()];
        times.into_iter().flatten().min()
    }

    fn run(&self, now: Instant) {
        self.drain_due(Some(now));
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").finish_non_exhaustive()
    }
}

//! Batching of logs, so that one envelope carries up to 100 logs.

use std::{
    mem,
    time::{Duration, Instant, SystemTime},
};

use sentry_core::protocol::{Log, LogAttribute, LogLevel, Map};
use spanwise_core::internal::{is_critical, sync::Mutex};
use tracing_core::Level;

use crate::{
    event_builder::EventOrigin, event_scope::EventScope, exiting_threads::MoveGuard, fields::Fields,
};

/// The maximum number of logs in a batch. Sentry accepts no more in one item.
const MAX_BATCH_LEN: usize = 100;

/// A batch that is not full is sent after this time.
const BATCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Logs that wait until the batch is full or due.
#[derive(Debug, Default)]
pub(crate) struct LogBatch(Mutex<Batch>);

#[derive(Debug, Default)]
struct Batch {
    logs: Vec<Log>,
    /// The time at which the batch is sent, even if it is not full. `None` for an empty batch.
    due: Option<Instant>,
}

/// The state of the batch after a log was added.
pub(crate) enum BatchState<'a> {
    /// The log is the first of the batch.
    Started,
    /// The log joined others, and the batch is not full.
    Waiting,
    /// The log filled the batch. The caller must send these logs, and then drop the guard.
    Full(Vec<Log>, MoveGuard<'a>),
}

impl LogBatch {
    /// Adds a log. If the log fills the batch, calls `begin_move` while the batch is still locked,
    /// so that a concurrent flush does not miss the logs.
    pub(crate) fn push<'a>(
        &self,
        log: Log,
        now: Instant,
        begin_move: impl FnOnce() -> MoveGuard<'a>,
    ) -> BatchState<'a> {
        let mut batch = self.0.lock();
        batch.logs.push(log);
        if batch.logs.len() >= MAX_BATCH_LEN {
            batch.due = None;
            return BatchState::Full(mem::take(&mut batch.logs), begin_move());
        }
        if batch.due.is_some() {
            return BatchState::Waiting;
        }
        batch.due = Some(now + BATCH_TIMEOUT);
        BatchState::Started
    }

    /// Takes the batch if it is due at `now`. With `None`, takes it even if it is not due. Returns
    /// `None` if there is nothing to send.
    pub(crate) fn take_due(&self, now: Option<Instant>) -> Option<Vec<Log>> {
        let mut batch = self.0.lock();
        let is_due = |due: &mut Instant| now.is_none_or(|now| now >= *due);
        batch.due.take_if(is_due)?;
        Some(mem::take(&mut batch.logs))
    }

    pub(crate) fn due_at(&self) -> Option<Instant> {
        self.0.lock().due
    }
}

/// Builds the log of an event.
pub(crate) fn build_log(
    origin: EventOrigin<'_>,
    fields: &Fields,
    scope: &EventScope,
    at: SystemTime,
) -> Log {
    let mut attributes: Map<String, LogAttribute> = Map::new();
    for (name, value) in &fields.values {
        // The error event contains the backtrace as a stack trace.
        if *name != "panic.backtrace" {
            attributes.insert((*name).to_owned(), LogAttribute(value.clone()));
        }
    }
    for (index, cause) in fields.errors.iter().flatten().enumerate() {
        let name = if index == 0 {
            "exception.message".to_owned()
        } else {
            format!("exception.cause.{index}")
        };
        attributes.insert(name, cause.text.clone().into());
    }
    for (name, value) in scope.tags.iter() {
        attributes.insert(name.clone(), value.clone().into());
    }
    if let Some(id) = &scope.user_id {
        attributes.insert("user.id".to_owned(), id.clone().into());
    }
    attributes.insert("logger.name".to_owned(), origin.target().into());
    if let (Some(file), Some(line)) = (origin.file(), origin.line()) {
        attributes.insert("code.file.path".to_owned(), file.into());
        attributes.insert("code.line.number".to_owned(), line.into());
    }
    Log {
        level: match *origin.callsite.level() {
            Level::ERROR if is_critical(origin.callsite) => LogLevel::Fatal,
            Level::ERROR => LogLevel::Error,
            Level::WARN => LogLevel::Warn,
            Level::INFO => LogLevel::Info,
            Level::DEBUG => LogLevel::Debug,
            Level::TRACE => LogLevel::Trace,
        },
        body: fields.text_or_error().unwrap_or_default().to_owned(),
        trace_id: Some(scope.trace_id),
        timestamp: at,
        severity_number: None,
        attributes,
    }
}

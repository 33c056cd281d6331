//! Logs for Sentry, which come in bundles.

use std::{
    mem,
    time::{Duration, Instant, SystemTime},
};

use spanwise_core::internal::sync::Mutex;

use sentry_core::protocol::{Log, LogAttribute, LogLevel, Map};
use tracing_core::Level;

use crate::{event_builder::EventOrigin, event_scope::EventScope, fields::Fields};

/// Logs that wait for others.
#[derive(Debug, Default)]
pub(crate) struct LogBatch {
    waiting: Mutex<(Vec<Log>, Option<Instant>)>,
}

/// What became of the bundle that a log was added to.
pub(crate) enum BatchState {
    /// It waits for others from now on.
    Started,
    Waiting,
    /// It is to be sent.
    Full(Vec<Log>),
}

/// Sentry takes no more in one bundle.
const MAX_BATCH_LEN: usize = 100;
const BATCH_TIMEOUT: Duration = Duration::from_secs(5);

impl LogBatch {
    pub(crate) fn push(&self, log: Log, now: Instant) -> BatchState {
        let mut waiting = self.waiting.lock();
        let (logs, until) = &mut *waiting;
        logs.push(log);
        if logs.len() >= MAX_BATCH_LEN {
            *until = None;
            return BatchState::Full(mem::take(logs));
        }
        match until {
            Some(_) => BatchState::Waiting,
            None => {
                *until = Some(now + BATCH_TIMEOUT);
                BatchState::Started
            }
        }
    }

    /// The bundle, if it has waited long enough at `now`; in any case without a time.
    pub(crate) fn due(&self, now: Option<Instant>) -> Option<Vec<Log>> {
        let mut waiting = self.waiting.lock();
        let (logs, until) = &mut *waiting;
        let is_due = until.is_some_and(|until| now.is_none_or(|now| now >= until));
        is_due.then(|| {
            *until = None;
            mem::take(logs)
        })
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        let waiting = self.waiting.lock();
        waiting.1
    }
}

pub(crate) fn log(
    origin: EventOrigin<'_>,
    fields: &Fields,
    scope: &EventScope,
    at: SystemTime,
) -> Log {
    let mut attributes: Map<String, LogAttribute> = Map::new();
    for (name, value) in &fields.values {
        // For the event, as its stack.
        if *name == "panic.backtrace" {
            continue;
        }
        attributes.insert((*name).to_owned(), LogAttribute(value.clone()));
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

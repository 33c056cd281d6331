//! Logs for Sentry, which come in bundles.

use std::{
    mem,
    time::{Duration, Instant, SystemTime},
};

use spanwise_core::internal::sync::Mutex;

use sentry_core::protocol::{Log, LogAttribute, LogLevel, Map};
use tracing_core::Level;

use crate::{around::Around, event::Place, fields::Fields};

/// Logs that wait for others.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    waiting: Mutex<(Vec<Log>, Option<Instant>)>,
}

/// What became of the bundle that a log was added to.
pub(crate) enum Bundle {
    /// It waits for others from now on.
    Begun,
    Waits,
    /// It is to be sent.
    Full(Vec<Log>),
}

/// Sentry takes no more in one bundle.
const MOST: usize = 100;
const LONGEST_WAIT: Duration = Duration::from_secs(5);

impl Logs {
    pub(crate) fn push(&self, log: Log, now: Instant) -> Bundle {
        let mut waiting = self.waiting.lock();
        let (logs, until) = &mut *waiting;
        logs.push(log);
        if logs.len() >= MOST {
            *until = None;
            return Bundle::Full(mem::take(logs));
        }
        match until {
            Some(_) => Bundle::Waits,
            None => {
                *until = Some(now + LONGEST_WAIT);
                Bundle::Begun
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

pub(crate) fn log(place: Place<'_>, fields: &Fields, around: &Around, at: SystemTime) -> Log {
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
    for (name, value) in around.tags.iter() {
        attributes.insert(name.clone(), value.clone().into());
    }
    if let Some(id) = &around.user_id {
        attributes.insert("user.id".to_owned(), id.clone().into());
    }
    attributes.insert("logger.name".to_owned(), place.target().into());
    if let (Some(file), Some(line)) = (place.file(), place.line()) {
        attributes.insert("code.file.path".to_owned(), file.into());
        attributes.insert("code.line.number".to_owned(), line.into());
    }
    Log {
        level: match *place.callsite.level() {
            Level::ERROR => LogLevel::Error,
            Level::WARN => LogLevel::Warn,
            Level::INFO => LogLevel::Info,
            Level::DEBUG => LogLevel::Debug,
            Level::TRACE => LogLevel::Trace,
        },
        body: fields.says().unwrap_or_default().to_owned(),
        trace_id: Some(around.trace_id),
        timestamp: at,
        severity_number: None,
        attributes,
    }
}

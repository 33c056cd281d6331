//! An error as Sentry wants it.

use std::{borrow::Cow, time::SystemTime};

use sentry_core::{
    Level,
    protocol::{
        Breadcrumb, Context, Event, Exception, Map, Mechanism, TraceContext, User, Value, Values,
    },
};
use spanwise_core::internal::log_record::LogRecord;
use tracing_core::{Level as TracingLevel, Metadata};

use crate::{
    event_scope::EventScope,
    fields::{Cause, Fields},
    grouping::{self, Grouping},
    ids,
    layer::ACCESS_TARGET,
    stacktrace,
};

pub(crate) fn level_of(level: TracingLevel) -> Level {
    match level {
        TracingLevel::ERROR => Level::Error,
        TracingLevel::WARN => Level::Warning,
        TracingLevel::INFO => Level::Info,
        TracingLevel::DEBUG | TracingLevel::TRACE => Level::Debug,
    }
}

/// Where an event was logged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventOrigin<'a> {
    pub(crate) callsite: &'static Metadata<'static>,
    /// Of a record of the `log` crate, whose callsite does not say.
    pub(crate) record: Option<&'a LogRecord>,
}

impl<'a> EventOrigin<'a> {
    pub(crate) fn target(self) -> &'a str {
        let target = self.record.and_then(|record| record.target.as_deref());
        target.unwrap_or(self.callsite.target())
    }

    pub(crate) fn file(self) -> Option<&'a str> {
        match self.record {
            Some(record) => record.file.as_deref(),
            None => self.callsite.file(),
        }
    }

    pub(crate) fn line(self) -> Option<u64> {
        match self.record {
            Some(record) => record.line,
            None => self.callsite.line().map(u64::from),
        }
    }
}

/// Makes an event of what was logged at `origin`, inside of `scope`.
pub(crate) fn build_event(
    origin: EventOrigin<'_>,
    mut fields: Fields,
    grouping: Grouping,
    scope: EventScope,
    breadcrumbs: Vec<Breadcrumb>,
    at: SystemTime,
) -> Event<'static> {
    let is_panic = fields.text("panic.location").is_some();
    let own_fingerprint = grouping::take_own(&mut fields);
    let mut message = fields.take_message();
    let mut level = level_of(*origin.callsite.level());
    let by_text = match grouping {
        Grouping::ByText if origin.target() == ACCESS_TARGET && fields.errors.is_empty() => {
            let (transaction, outcome) = (scope.transaction.as_deref(), fields.text("outcome"));
            Some(grouping::fingerprint_of_request(
                ACCESS_TARGET,
                transaction,
                outcome,
            ))
        }
        Grouping::ByText => {
            grouping::fingerprint(origin.target(), message.as_deref(), &fields.errors)
        }
        Grouping::BySentry => None,
    };
    let mut by_text = own_fingerprint.clone().or(by_text);
    let mut exceptions: Vec<Exception> = fields.errors.drain(..).flat_map(exceptions).collect();
    if is_panic {
        level = Level::Fatal;
        let panic = panic(&mut fields, message.take());
        if own_fingerprint.is_none() && grouping == Grouping::ByText {
            by_text = Some(grouping::fingerprint_of_panic(&panic, origin.file()));
        }
        exceptions.push(panic);
    } else if let Some(last) = exceptions.last_mut() {
        last.mechanism = Some(Mechanism {
            ty: "tracing".to_owned(),
            handled: Some(true),
            ..Mechanism::default()
        });
    }

    let tags = scope.tags;
    // What Sentry does not take for a tag is a field.
    let is_tag = |name: &str| name.strip_prefix("tags.").is_some_and(|tag| tags.has(tag));
    let own = fields.values.into_iter();
    let own: Map<String, Value> = own
        .filter(|(name, _)| !is_tag(name))
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let mut contexts = Map::new();
    if !own.is_empty() {
        contexts.insert("fields".to_owned(), Context::Other(own));
    }
    if !scope.spans.is_empty() {
        contexts.insert("spans".to_owned(), Context::Other(scope.spans));
    }
    contexts.insert("code".to_owned(), Context::Other(code(origin)));
    let trace = TraceContext {
        trace_id: scope.trace_id,
        span_id: scope.span_id,
        parent_span_id: None,
        op: None,
        description: None,
        status: None,
        origin: None,
        data: Map::new(),
    };
    contexts.insert("trace".to_owned(), trace.into());

    let empty = empty_event(at);
    Event {
        level,
        fingerprint: by_text.unwrap_or(Cow::Borrowed(DEFAULT_FINGERPRINT)),
        message,
        culprit: Some(culprit(origin)),
        transaction: scope.transaction,
        logger: Some(origin.target().to_owned()),
        user: scope.user_id.map(|id| User {
            id: Some(id),
            ..User::default()
        }),
        contexts,
        breadcrumbs: breadcrumbs.into(),
        exception: exceptions.into(),
        tags: tags.into_map(),
        ..empty
    }
}

/// An event that says nothing. That of Sentry's own draws an id from a generator that a thread
/// loses when it ends.
fn empty_event(at: SystemTime) -> Event<'static> {
    Event {
        event_id: ids::new_event_id(),
        level: Level::Error,
        fingerprint: Cow::Borrowed(DEFAULT_FINGERPRINT),
        culprit: None,
        transaction: None,
        message: None,
        logentry: None,
        logger: None,
        modules: Map::new(),
        platform: Cow::Borrowed("native"),
        timestamp: at,
        server_name: None,
        release: None,
        dist: None,
        environment: None,
        user: None,
        request: None,
        contexts: Map::new(),
        breadcrumbs: Values::default(),
        exception: Values::default(),
        stacktrace: None,
        template: None,
        threads: Values::default(),
        tags: Map::new(),
        extra: Map::new(),
        debug_meta: Cow::default(),
        sdk: None,
    }
}

/// Sentry's own grouping.
const DEFAULT_FINGERPRINT: &[Cow<'static, str>] = &[Cow::Borrowed("{{ default }}")];

/// What came again is told by the first that did, with a count.
pub(crate) fn add_repeat_count(
    event: &mut Event<'static>,
    again: u64,
    within: std::time::Duration,
) {
    let told = [
        ("count".to_owned(), Value::from(again)),
        ("within_seconds".to_owned(), Value::from(within.as_secs())),
    ];
    event
        .contexts
        .insert("repeats".to_owned(), Context::Other(told.into()));
    event.tags.insert("repeats".to_owned(), again.to_string());
}

/// Sentry wants the cause first and the error itself last.
fn exceptions(chain: Vec<Cause>) -> impl Iterator<Item = Exception> {
    chain.into_iter().rev().map(|cause| Exception {
        ty: cause.ty,
        module: cause.module,
        value: Some(cause.text),
        stacktrace: cause.backtrace.as_deref().and_then(stacktrace::stacktrace),
        ..Exception::default()
    })
}

fn panic(fields: &mut Fields, message: Option<String>) -> Exception {
    let at = fields
        .values
        .iter()
        .position(|(name, _)| *name == "panic.backtrace");
    let backtrace = at.map(|at| fields.values.remove(at).1);
    let stacktrace = backtrace.as_ref().and_then(Value::as_str);
    Exception {
        ty: "panic".to_owned(),
        value: message,
        stacktrace: stacktrace.and_then(stacktrace::stacktrace),
        mechanism: Some(Mechanism {
            ty: "panic".to_owned(),
            handled: Some(false),
            ..Mechanism::default()
        }),
        ..Exception::default()
    }
}

fn culprit(origin: EventOrigin<'_>) -> String {
    let target = origin.target();
    match (origin.file(), origin.line()) {
        (Some(file), Some(line)) => format!("{target} at {file}:{line}"),
        _ => target.to_owned(),
    }
}

fn code(origin: EventOrigin<'_>) -> Map<String, Value> {
    let mut code = Map::new();
    let mut add = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            code.insert(name.to_owned(), value);
        }
    };
    add("target", Some(origin.target().into()));
    add("file", origin.file().map(Value::from));
    add("line", origin.line().map(Value::from));
    code
}

//! Builds the event that Sentry receives for an error.

use std::{borrow::Cow, mem, time::Duration, time::SystemTime};

use sentry_core::{
    Level,
    protocol::{
        Breadcrumb, Context, Event, Exception, Map, Mechanism, TraceContext, User, Value, Values,
    },
};
use spanwise_core::internal::{is_critical, log_record::LogRecord};
use tracing_core::{Level as TracingLevel, Metadata};

use crate::{
    capture_layer::ACCESS_TARGET,
    event_scope::EventScope,
    fields::{Cause, Fields},
    grouping::{self, Fingerprint, Grouping},
    ids,
    stacktrace::parse_stacktrace,
};

/// The fingerprint that requests Sentry's own grouping.
const DEFAULT_FINGERPRINT: &[Cow<'static, str>] = &[Cow::Borrowed("{{ default }}")];

/// Returns the level of the events of a callsite.
pub(crate) fn sentry_level(callsite: &Metadata<'_>) -> Level {
    match *callsite.level() {
        TracingLevel::ERROR if is_critical(callsite) => Level::Fatal,
        TracingLevel::ERROR => Level::Error,
        TracingLevel::WARN => Level::Warning,
        TracingLevel::INFO => Level::Info,
        TracingLevel::DEBUG | TracingLevel::TRACE => Level::Debug,
    }
}

/// The callsite of an event, or the origin of a record of the `log` crate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventOrigin<'a> {
    pub(crate) callsite: &'static Metadata<'static>,
    /// Present for a record of the `log` crate, which has its own target and source location.
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

/// Builds the event of an error that was logged at `origin`.
pub(crate) fn build_event(
    origin: EventOrigin<'_>,
    mut fields: Fields,
    grouping: Grouping,
    scope: EventScope,
    breadcrumbs: Vec<Breadcrumb>,
    at: SystemTime,
) -> Event<'static> {
    let is_panic = fields.text("panic.location").is_some();
    let explicit_fingerprint = grouping::take_explicit(&mut fields);
    let mut message = fields.take_message();
    let exceptions: Vec<Exception>;
    let fingerprint: Option<Fingerprint>;
    let mut level = sentry_level(origin.callsite);
    if is_panic {
        level = Level::Fatal;
        let panic = panic_exception(&mut fields, message.take());
        let from_panic = || grouping::panic_fingerprint(&panic, origin.file());
        fingerprint = explicit_fingerprint.or_else(|| grouping.is_by_text().then(from_panic));
        let causes = exceptions_of(mem::take(&mut fields.errors));
        exceptions = causes.chain([panic]).collect();
    } else {
        let from_texts = || text_fingerprint(origin, &fields, message.as_deref(), &scope);
        fingerprint =
            explicit_fingerprint.or_else(|| grouping.is_by_text().then(from_texts).flatten());
        let mut causes: Vec<_> = exceptions_of(mem::take(&mut fields.errors)).collect();
        // The last exception is the logged error, which follows its causes.
        if let Some(error) = causes.last_mut() {
            let is_handled = true;
            error.mechanism = Some(mechanism("tracing", is_handled));
        }
        exceptions = causes;
    }
    let empty = empty_event(at);
    Event {
        level,
        fingerprint: fingerprint.unwrap_or(Cow::Borrowed(DEFAULT_FINGERPRINT)),
        message,
        culprit: Some(culprit(origin)),
        contexts: contexts(origin, fields, &scope),
        transaction: scope.transaction,
        logger: Some(origin.target().to_owned()),
        user: scope.user_id.map(|id| User {
            id: Some(id),
            ..User::default()
        }),
        breadcrumbs: breadcrumbs.into(),
        exception: exceptions.into(),
        tags: scope.tags.into_map(),
        ..empty
    }
}

/// Returns the fingerprint of an event that is not a panic.
fn text_fingerprint(
    origin: EventOrigin<'_>,
    fields: &Fields,
    message: Option<&str>,
    scope: &EventScope,
) -> Option<Fingerprint> {
    if origin.target() == ACCESS_TARGET && fields.errors.is_empty() {
        let (transaction, outcome) = (scope.transaction.as_deref(), fields.text("outcome"));
        let target = ACCESS_TARGET;
        return Some(grouping::request_fingerprint(target, transaction, outcome));
    }
    grouping::fingerprint(origin.target(), message, &fields.errors)
}

/// Returns the contexts of an event: its fields, spans, source location and trace.
fn contexts(origin: EventOrigin<'_>, fields: Fields, scope: &EventScope) -> Map<String, Context> {
    // A field `tags.x` is omitted if it has become a tag. If Sentry would refuse the tag, the field
    // is sent.
    let is_tag = |name: &str| {
        let tag = name.strip_prefix("tags.");
        tag.is_some_and(|tag| scope.tags.has(tag))
    };
    let values = fields.values.into_iter();
    let values: Map<String, Value> = values
        .filter(|(name, _)| !is_tag(name))
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let mut contexts = Map::new();
    if !values.is_empty() {
        contexts.insert("fields".to_owned(), Context::Other(values));
    }
    if !scope.spans.is_empty() {
        contexts.insert("spans".to_owned(), Context::Other(scope.spans.clone()));
    }
    contexts.insert("code".to_owned(), Context::Other(code_location(origin)));
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
    contexts
}

/// Returns an event without content. Replaces `Event::default`, which draws the id from a
/// thread-local generator that an exiting thread has destroyed.
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

/// Adds the number of repetitions within `window` to the event that reports them.
pub(crate) fn add_repeat_count(event: &mut Event<'static>, count: u64, window: Duration) {
    let repeats = [
        ("count".to_owned(), Value::from(count)),
        ("within_seconds".to_owned(), Value::from(window.as_secs())),
    ];
    let repeats = Context::Other(repeats.into());
    event.contexts.insert("repeats".to_owned(), repeats);
    event.tags.insert("repeats".to_owned(), count.to_string());
}

/// Converts errors and their causes into exceptions. Sentry expects the innermost cause first.
fn exceptions_of(errors: Vec<Vec<Cause>>) -> impl Iterator<Item = Exception> {
    let causes = errors.into_iter().flat_map(|chain| chain.into_iter().rev());
    causes.map(|cause| Exception {
        ty: cause.ty,
        module: cause.module,
        value: Some(cause.text),
        stacktrace: cause.backtrace.as_deref().and_then(parse_stacktrace),
        ..Exception::default()
    })
}

fn panic_exception(fields: &mut Fields, message: Option<String>) -> Exception {
    let is_handled = false;
    let backtrace = fields.take("panic.backtrace");
    let backtrace = backtrace.as_ref().and_then(Value::as_str);
    Exception {
        ty: "panic".to_owned(),
        value: message,
        stacktrace: backtrace.and_then(parse_stacktrace),
        mechanism: Some(mechanism("panic", is_handled)),
        ..Exception::default()
    }
}

fn mechanism(ty: &str, is_handled: bool) -> Mechanism {
    Mechanism {
        ty: ty.to_owned(),
        handled: Some(is_handled),
        ..Mechanism::default()
    }
}

fn culprit(origin: EventOrigin<'_>) -> String {
    let target = origin.target();
    match (origin.file(), origin.line()) {
        (Some(file), Some(line)) => format!("{target} at {file}:{line}"),
        _ => target.to_owned(),
    }
}

fn code_location(origin: EventOrigin<'_>) -> Map<String, Value> {
    let entries = [
        ("target", Some(origin.target().into())),
        ("file", origin.file().map(Value::from)),
        ("line", origin.line().map(Value::from)),
    ];
    let entries = entries.into_iter();
    entries
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

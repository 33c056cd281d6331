//! Builds a transaction from the spans of a unit of work. In Sentry, a transaction is the root span
//! of a unit, together with the finished spans inside it.

use std::{
    borrow::Cow,
    mem,
    sync::{Arc, atomic::Ordering},
    time::SystemTime,
};

use sentry_core::protocol::{
    Map, Span, SpanId, SpanStatus, TraceContext, TraceId, Transaction, User, Value,
};
use spanwise_core::internal::consistent_sampling::{self, Threshold};

use crate::{
    event_scope::{
        EventScope, context_value, current_trace_id, nearest_identity, transaction_name,
        unredacted_text,
    },
    fields::field_value,
    ids,
    open_spans::{OpenSpan, Timing, Unit},
};

/// The maximum number of spans that Sentry accepts in a transaction.
const MAX_SPANS: usize = 1000;

/// The sampling decision and the finished spans of a unit.
#[derive(Debug, Default)]
pub(crate) struct CollectedSpans {
    /// `None` until the first span of the unit is closed.
    is_sampled: Option<bool>,
    /// The finished spans, without the root span.
    spans: Vec<Span>,
}

/// Returns whether the trace of a unit is sampled.
///
/// The trace id decides, or else the request id, in the same way as in the event sampler. The
/// decision is made once for each unit.
fn is_sampled(threshold: Threshold, unit: &Unit, spans: &[Arc<OpenSpan>]) -> bool {
    let earlier_decision = unit.collected.lock().is_sampled;
    earlier_decision.unwrap_or_else(|| {
        let randomness = randomness(unit, spans);
        let keeps = randomness.is_some_and(|randomness| threshold.keeps(randomness));
        *unit.collected.lock().is_sampled.get_or_insert(keeps)
    })
}

/// Returns the number that sampling compares with the threshold. It is derived from the trace id of
/// the spans, or else from their request id, or else from the trace id of the unit.
fn randomness(unit: &Unit, spans: &[Arc<OpenSpan>]) -> Option<u64> {
    if let Some(identity) = nearest_identity(spans) {
        return Some(consistent_sampling::randomness_from_trace_id(
            identity.trace_id(),
        ));
    }
    let keys = ["trace_id", "request_id"];
    let values = keys.map(|key| (key, context_value(spans, key, unredacted_text)));
    let entries = values.iter();
    let entries = entries.filter_map(|(key, value)| Some((*key, value.as_deref()?)));
    consistent_sampling::randomness_from_entries(entries).or_else(|| {
        let trace_id = unit.trace_id().to_string();
        consistent_sampling::randomness_from_entries([("trace_id", &*trace_id)].into_iter())
    })
}

/// Collects a closed span for the transaction of its unit, if the unit's trace is sampled. If the
/// span is the root of the unit, returns the transaction instead, unless it is a health check.
pub(crate) fn finish_span(
    threshold: Threshold,
    span: &OpenSpan,
    spans: &[Arc<OpenSpan>],
    scope: impl FnOnce() -> EventScope,
    at: SystemTime,
) -> Option<Transaction<'static>> {
    let (timing, span_id) = (span.timing.as_ref()?, span.span_id()?);
    let unit: &Unit = &span.unit;
    if !is_sampled(threshold, unit, spans) {
        return None;
    }
    if !span.begins_unit {
        let trace_id = current_trace_id(spans, unit);
        let mut collected = unit.collected.lock();
        if collected.spans.len() < MAX_SPANS {
            collected
                .spans
                .push(child_span(span, timing, span_id, trace_id, at));
        }
        return None;
    }
    let children = mem::take(&mut unit.collected.lock().spans);
    if is_health_check(span) {
        return None;
    }
    Some(transaction(span, timing, span_id, scope(), children, at))
}

// `child_span` and `transaction` name all fields of Sentry's structs. `Default` of these types
// draws ids from a thread-local generator, which an exiting thread may have destroyed.

fn child_span(
    span: &OpenSpan,
    timing: &Timing,
    span_id: SpanId,
    trace_id: TraceId,
    at: SystemTime,
) -> Span {
    // The error events of a unit make only its transaction fail, not the spans in it.
    let has_failed = false;
    Span {
        span_id,
        trace_id,
        parent_span_id: timing.parent,
        same_process_as_parent: None,
        op: Some(op(span)),
        description: Some(span.callsite.name().to_owned()),
        start_timestamp: timing.started,
        timestamp: Some(at),
        status: status(span, has_failed),
        tags: Map::new(),
        data: span_data(span),
    }
}

fn transaction(
    span: &OpenSpan,
    timing: &Timing,
    span_id: SpanId,
    scope: EventScope,
    spans: Vec<Span>,
    at: SystemTime,
) -> Transaction<'static> {
    let has_failed = span.unit.has_failed.load(Ordering::Relaxed);
    let trace = TraceContext {
        trace_id: scope.trace_id,
        span_id,
        parent_span_id: timing.parent,
        op: Some(op(span)),
        description: None,
        status: status(span, has_failed),
        origin: None,
        data: span_data(span),
    };
    Transaction {
        event_id: ids::new_event_id(),
        name: Some(transaction_name(span)),
        user: scope.user_id.map(|id| User {
            id: Some(id),
            ..User::default()
        }),
        tags: scope.tags.into_map(),
        start_timestamp: timing.started,
        timestamp: Some(at),
        spans,
        contexts: [("trace".to_owned(), trace.into())].into(),
        release: None,
        environment: None,
        extra: Map::new(),
        sdk: None,
        platform: Cow::Borrowed("native"),
        request: None,
        server_name: None,
    }
}

/// Returns Sentry's `op`, the category of the operation.
fn op(span: &OpenSpan) -> String {
    let is_request =
        span.with_fields(|fields| field_value(fields, "http.request.method").is_some());
    match (is_request, span.begins_unit) {
        (true, true) => "http.server".to_owned(),
        (true, false) => "http.client".to_owned(),
        (false, _) => span.callsite.target().to_owned(),
    }
}

/// Returns the status that the HTTP status code implies. `has_failed` counts only without a code.
fn status(span: &OpenSpan, has_failed: bool) -> Option<SpanStatus> {
    let code =
        span.with_fields(|fields| field_value(fields, "http.response.status_code")?.as_u64());
    match code {
        Some(400) => Some(SpanStatus::InvalidArgument),
        Some(401) => Some(SpanStatus::Unauthenticated),
        Some(403) => Some(SpanStatus::PermissionDenied),
        Some(404) => Some(SpanStatus::NotFound),
        Some(429) => Some(SpanStatus::ResourceExhausted),
        Some(503) => Some(SpanStatus::Unavailable),
        Some(500..) => Some(SpanStatus::InternalError),
        Some(100..400) => Some(SpanStatus::Ok),
        Some(_) => Some(SpanStatus::UnknownError),
        None if has_failed => Some(SpanStatus::InternalError),
        None => None,
    }
}

fn span_data(span: &OpenSpan) -> Map<String, Value> {
    let fields = span.fields().into_iter();
    fields
        .filter(|(name, _)| !matches!(*name, "trace_id" | "span_id"))
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Returns whether the span is a request to one of the usual paths of probes and monitoring.
fn is_health_check(span: &OpenSpan) -> bool {
    const PATHS: [&str; 9] = [
        "/health", "/healthz", "/livez", "/readyz", "/live", "/ready", "/ping", "/metrics",
        "/status",
    ];
    span.with_fields(|fields| {
        fields.iter().any(|(name, value)| {
            matches!(*name, "http.route" | "url.path")
                && value.as_str().is_some_and(|path| PATHS.contains(&path))
        })
    })
}

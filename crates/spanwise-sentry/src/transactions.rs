//! Spans as Sentry's transactions.

use std::{
    borrow::Cow,
    sync::{Arc, atomic::Ordering},
    time::SystemTime,
};

use sentry_core::protocol::{
    Map, Span, SpanStatus, TraceContext, TraceId, Transaction, User, Value,
};
use spanwise_core::internal::consistent_sampling::{self, Threshold};

use crate::{
    event_scope::{EventScope, context_value, current_trace_id, text, transaction_name},
    ids,
    open_spans::{OpenSpan, Timing, Unit},
};

/// Sentry takes no more spans in a transaction.
const MAX_SPANS: usize = 1000;

/// What is known of a unit's trace so far.
#[derive(Debug, Default)]
pub(crate) struct CollectedSpans {
    is_sampled: Option<bool>,
    spans: Vec<Span>,
}

/// Whether the trace that a unit is part of is kept: decided once, by its trace id, else by its request id, as logs are sampled.
fn is_sampled(share: Threshold, unit: &Unit, spans: &[Arc<OpenSpan>]) -> bool {
    let lock = || unit.collected.lock();
    let decided = lock().is_sampled;
    decided.unwrap_or_else(|| {
        let kept = randomness(unit, spans).is_some_and(|number| share.keeps(number));
        *lock().is_sampled.get_or_insert(kept)
    })
}

/// The number of the trace or the request that the nearest span names, else that of the trace the unit is given.
fn randomness(unit: &Unit, spans: &[Arc<OpenSpan>]) -> Option<u64> {
    let named = ["trace_id", "request_id"].map(|name| (name, context_value(spans, name, text)));
    let entries = named
        .iter()
        .filter_map(|(name, value)| Some((*name, value.as_deref()?)));
    consistent_sampling::randomness_from_entries(entries).or_else(|| {
        let own = unit.trace_id().to_string();
        consistent_sampling::randomness_from_entries([("trace_id", &*own)].into_iter())
    })
}

/// A span is over. If it began its unit, that is a transaction.
pub(crate) fn finish_span(
    share: Threshold,
    span: &OpenSpan,
    spans: &[Arc<OpenSpan>],
    scope: impl FnOnce() -> EventScope,
    at: SystemTime,
) -> Option<Transaction<'static>> {
    let timing = span.timing.as_ref()?;
    let unit: &Unit = &span.unit;
    if !is_sampled(share, unit, spans) {
        return None;
    }
    let collected = || unit.collected.lock();
    if !span.begins_unit {
        let trace_id = current_trace_id(spans, unit);
        let mut collected = collected();
        if collected.spans.len() < MAX_SPANS {
            collected.spans.push(child(span, timing, trace_id, at));
        }
        return None;
    }
    let children = std::mem::take(&mut collected().spans);
    if is_health_check(span) {
        return None;
    }
    let has_failed = unit.has_failed.load(Ordering::Relaxed);
    Some(transaction(span, timing, scope(), children, has_failed, at))
}

fn child(span: &OpenSpan, timing: &Timing, trace_id: TraceId, at: SystemTime) -> Span {
    // Written out: what is left of Sentry's own empty ones draws ids from a generator that a thread
    // loses when it ends.
    Span {
        span_id: timing.span_id,
        trace_id,
        parent_span_id: timing.parent,
        same_process_as_parent: None,
        op: Some(op(span)),
        description: Some(span.callsite.name().to_owned()),
        start_timestamp: timing.started,
        timestamp: Some(at),
        status: status(span, false),
        tags: Map::new(),
        data: data(span),
    }
}

fn transaction(
    span: &OpenSpan,
    timing: &Timing,
    scope: EventScope,
    spans: Vec<Span>,
    has_failed: bool,
    at: SystemTime,
) -> Transaction<'static> {
    let trace = TraceContext {
        trace_id: scope.trace_id,
        span_id: timing.span_id,
        parent_span_id: timing.parent,
        op: Some(op(span)),
        description: None,
        status: status(span, has_failed),
        origin: None,
        data: data(span),
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

fn op(span: &OpenSpan) -> String {
    let is_request = span.with_fields(|fields| {
        fields
            .iter()
            .any(|(name, _)| *name == "http.request.method")
    });
    match (is_request, span.begins_unit) {
        (true, true) => "http.server".to_owned(),
        (true, false) => "http.client".to_owned(),
        (false, _) => span.callsite.target().to_owned(),
    }
}

fn status(span: &OpenSpan, has_failed: bool) -> Option<SpanStatus> {
    let code = span.with_fields(|fields| {
        let (_, value) = fields
            .iter()
            .find(|(name, _)| *name == "http.response.status_code")?;
        value.as_u64()
    });
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

fn data(span: &OpenSpan) -> Map<String, Value> {
    let fields = span.fields().into_iter();
    fields
        .filter(|(name, _)| !matches!(*name, "trace_id" | "span_id"))
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The probes of an orchestrator are no traffic.
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

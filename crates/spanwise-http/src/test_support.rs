//! Parses and re-serializes propagation headers. For tests and fuzzing only.

use http::HeaderMap;

use crate::{
    baggage::{BAGGAGE, Baggage, BaggageHeaderBuilder},
    id,
    request_id::X_REQUEST_ID,
    trace_context::{TRACEPARENT, TRACESTATE, TraceContext},
};

/// Returns the headers that a service sends on if it has received `received` from a trusted sender.
#[must_use]
pub fn reserialize_headers(received: &HeaderMap) -> HeaderMap {
    let mut sent = HeaderMap::new();
    if let Some(trace) = TraceContext::from_headers(received) {
        sent.insert(TRACEPARENT, trace.traceparent());
        sent.extend(trace.tracestate().map(|state| (TRACESTATE, state)));
    }
    let mut baggage = BaggageHeaderBuilder::default();
    for (key, member) in Baggage::from_headers(received).iter() {
        baggage.push(key, &member.value, &member.properties);
    }
    sent.extend(baggage.build().map(|baggage| (BAGGAGE, baggage)));
    let id = received.get(X_REQUEST_ID);
    sent.extend(
        id.filter(|id| id::request_id(id).is_some())
            .map(|id| (X_REQUEST_ID, id.clone())),
    );
    sent
}

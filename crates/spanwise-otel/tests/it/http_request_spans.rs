//! What the observer of HTTP requests adds to their spans.

use std::{borrow::Cow, time::Duration};

use opentelemetry_proto::tonic::{common::v1::any_value::Value, trace::v1::status::StatusCode};
use spanwise_core::{
    Clock,
    internal::{
        announced_span::{Announced, SpanKind, announce},
        request_observer::{ObservedRequest, RequestEnd, RequestObservation, RequestSide},
    },
};
use tracing::{Span, field::Empty};

use crate::support::traces::{ExportedSpan, Traces, named};

fn request(side: RequestSide, span: &Span) -> ObservedRequest {
    ObservedRequest {
        side,
        method: "GET",
        scheme: Some("https"),
        route: Some("/orders/{id}".into()),
        path: "/orders/42".into(),
        protocol_version: Some("1.1"),
        server_address: None,
        server_port: None,
        body_size: None,
        span: span.clone(),
    }
}

fn end(outcome: &'static str, status: Option<u16>) -> RequestEnd<'static> {
    let error_type = match (outcome, status) {
        ("ok" | "cancelled", _) => None,
        (_, Some(status @ 400..)) => Some(Cow::Owned(status.to_string())),
        (outcome, _) => Some(Cow::Borrowed(outcome)),
    };
    RequestEnd {
        status,
        outcome,
        error_type,
        protocol_version: None,
        duration: Duration::from_secs(1),
        body_size: Some(512),
    }
}

fn open(side: RequestSide) -> Span {
    let kind = match side {
        RequestSide::Server => SpanKind::Server,
        RequestSide::Client => SpanKind::Client,
    };
    let announced = || Announced {
        span_id: [9; 8],
        kind,
        trace: None,
    };
    announce(announced, || {
        tracing::info_span!(
            "http.request",
            http.request.method = "GET",
            http.route = "/orders/{id}",
            http.response.status_code = Empty,
        )
    })
}

/// Returns the span of a request that ends like this.
fn observed(side: RequestSide, request_end: &RequestEnd<'_>) -> ExportedSpan {
    let traces = Traces::build(|builder| builder);
    // An exporter of another test may be the observer: it finds the layer of the span.
    let span = open(side);
    let observation = RequestObservation::begin(|| request(side, &span)).expect("an observer");
    span.in_scope(|| tracing::error!("handled"));
    observation.end(request_end);
    drop(span);
    named(&traces.finish(), "GET /orders/{id}").clone()
}

#[test]
fn server_span_follows_the_semantic_conventions() {
    let span = observed(RequestSide::Server, &end("ok", Some(200)));
    assert_eq!(span.kind, 2);
    assert_eq!(span.text("url.scheme"), Some("https"));
    assert_eq!(span.text("url.path"), Some("/orders/42"));
    assert_eq!(span.text("network.protocol.version"), Some("1.1"));
    let int = |key| span.value(key).cloned();
    assert_eq!(int("http.response.status_code"), Some(Value::IntValue(200)));
    assert_eq!(int("http.response.body.size"), Some(Value::IntValue(512)));
    assert_eq!(span.outcome(), (StatusCode::Unset, ""));
    span.keys();
}

#[test]
fn status_follows_the_outcome() {
    use RequestSide::{Client, Server};
    for (side, outcome, status, error_type) in [
        (Server, "ok", Some(200), None),
        (Server, "client_error", Some(404), None),
        (Server, "cancelled", None, None),
        (Server, "server_error", Some(503), Some("503")),
        (Server, "panicked", None, Some("panicked")),
        (Server, "stream_aborted", Some(200), Some("stream_aborted")),
        (Client, "ok", Some(200), None),
        (Client, "client_error", Some(404), Some("404")),
        (Client, "server_error", Some(500), Some("500")),
        (Client, "no_response", None, Some("no_response")),
        (Client, "cancelled", None, None),
    ] {
        let span = observed(side, &end(outcome, status));
        let code = match error_type {
            Some(_) => StatusCode::Error,
            None => StatusCode::Unset,
        };
        assert_eq!(span.outcome(), (code, ""), "{side:?} {outcome}");
        assert_eq!(span.text("error.type"), error_type, "{side:?} {outcome}");
    }
}

#[test]
fn server_span_ends_with_its_body() {
    let clock = Clock::manual(std::time::UNIX_EPOCH + Duration::from_secs(1_000));
    let traces = Traces::build(|builder| builder.clock(clock.clone()));
    let span = open(RequestSide::Server);
    let observation = RequestObservation::begin(|| request(RequestSide::Server, &span));
    span.in_scope(|| clock.advance(Duration::from_secs(1)));
    clock.advance(Duration::from_secs(2));
    observation.expect("an observer").end(&end("ok", Some(200)));
    clock.advance(Duration::from_secs(4));
    drop(span);
    let spans = traces.finish();
    assert_eq!(
        named(&spans, "GET /orders/{id}").duration(),
        Duration::from_secs(3)
    );
}

//! One outgoing call: opens its span, sets its headers, and reports it to observers of requests.
//!
//! The `tower` layer and the `reqwest` middleware share this code.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use spanwise_core::{
    Clock, Context, REDACTED,
    internal::{
        HexDigits, SpanIdentity,
        announced_span::{Announced, AnnouncedTrace, SpanKind, announce},
        inherited_context::InheritedContext,
        new_span_id, panic_safe, parse_hex, propagators,
        request_observer::{ObservedRequest, RequestEnd, RequestObservation, RequestSide},
        span_identity::RANDOM,
    },
};
use tracing::{Span, field};
use uuid::Uuid;

use super::{Options, hosts::without_brackets};
use crate::{
    baggage::{BAGGAGE, Baggage, BaggageHeaderBuilder},
    bounded_text::bounded,
    error_text, id, method,
    observed_values::{content_length, known_scheme, protocol_version},
    request_context::RequestContext,
    request_id::X_REQUEST_ID,
    server::Outcome,
    trace_context::{TRACEPARENT, TRACESTATE, TraceContext},
    url_queries::without_queries,
};

/// A call in progress. If it is dropped before it ends, the span gets an error that says so.
#[derive(Debug)]
pub(super) struct Call {
    span: Span,
    /// The observation, and the start of the call. `None` if nothing observes requests, and after
    /// the call has ended.
    observation: Option<(RequestObservation, Instant)>,
    has_ended: bool,
}

/// The destination of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Destination<'a> {
    pub(super) scheme: Option<&'a str>,
    pub(super) host: Option<&'a str>,
    pub(super) port: Option<u16>,
    pub(super) path: &'a str,
}

/// The maximum length of a logged host, in bytes. No valid name is longer.
const MAX_HOST_LEN: usize = 255;

impl Call {
    /// Opens the span and sets the headers.
    pub(super) fn begin(
        options: &Options,
        method: &Method,
        destination: Destination<'_>,
        headers: &mut HeaderMap,
    ) -> Self {
        let context = Context::current();
        // The request around the call: a received request, or another outgoing call.
        let request_context = RequestContext::current();
        // The nearest exported span around the call.
        let exported_parent =
            SpanIdentity::current().and_then(|identity| TraceContext::from_identity(&identity));
        let caller_set_trace = headers.contains_key(TRACEPARENT);
        // The trace of the call, if neither a request nor an exported span is around it.
        let mut announced_trace = None;
        let call_trace = if caller_set_trace {
            TraceContext::from_headers(headers)
        } else {
            Some(match (&exported_parent, &request_context) {
                (Some(exported_parent), _) => exported_parent.child(),
                (None, Some(request)) => request.trace.child(),
                (None, None) => {
                    let trace = announced_trace.insert(trace_without_request(&context));
                    TraceContext::in_trace(trace.trace_id)
                }
            })
        };
        // The baggage that the parent process passed to this process.
        let process_baggage = match (&request_context, &call_trace) {
            (None, Some(call_trace)) => Baggage::from_parent_process(call_trace.span.trace_id()),
            (Some(_), _) | (None, None) => None,
        };
        let trace_id = call_trace.as_ref().map(TraceContext::trace_id);
        let span_id = call_trace.as_ref().map(TraceContext::span_id);
        let (method, path) = (method::name(method), bounded(destination.path));
        let host = destination.host.map(without_brackets);
        let host = host.map(|host| panic_safe::truncate_at(host, MAX_HOST_LEN));
        // The layer that exports spans reads the announcement while the span opens.
        let announcement = || Announced {
            span_id: match &call_trace {
                Some(call_trace) if !caller_set_trace => call_trace.span.span_id(),
                Some(_) | None => new_span_id(),
            },
            kind: SpanKind::Client,
            trace: match (&exported_parent, &request_context) {
                // An announcement is made only if spans are exported. No exported span encloses
                // the call, so the span of the request is disabled, and the exporter does not know
                // the trace of the request.
                (None, Some(request)) => Some(continue_trace(&request.trace)),
                (Some(_), _) => None,
                (None, None) => announced_trace,
            },
        };
        let open = || {
            tracing::info_span!(
                target: "spanwise_http::client",
                "http.client.request",
                otel.kind = "client",
                http.request.method = method,
                server.address = host,
                server.port = destination.port,
                url.path = &*path,
                trace_id = trace_id.as_ref().map(HexDigits::as_str),
                span_id = span_id.as_ref().map(HexDigits::as_str),
                http.response.status_code = field::Empty,
                otel.status_code = field::Empty,
                error = field::Empty,
            )
        };
        let span = announce(announcement, open);
        let identity = SpanIdentity::find_and_freeze(&span);
        // The exported ids of the call's span, with the decision of the trace sampler. If that span
        // is not exported, the ids of the nearest exported span around it.
        let exported_trace = identity.and_then(|identity| TraceContext::from_identity(&identity));
        let exported_trace = exported_trace.or_else(|| exported_parent.clone());
        let sent_trace = match (exported_trace, &request_context) {
            _ if caller_set_trace => call_trace,
            (Some(exported_trace), _) => Some(exported_trace),
            // The span of this call is disabled, so nothing records its ids. Send the ids of the
            // request instead.
            (None, Some(request)) if span.is_disabled() => Some(request.trace.clone()),
            (None, _) => call_trace,
        };
        let observation = RequestObservation::begin(|| ObservedRequest {
            side: RequestSide::Client,
            method,
            scheme: destination.scheme.and_then(known_scheme),
            route: None,
            path: (&*path).into(),
            protocol_version: None,
            server_address: host.map(Box::from),
            server_port: destination.port,
            body_size: content_length(headers),
            span: span.clone(),
        });

        if options.ids_go_to(destination.host) {
            set_if_absent(headers, X_REQUEST_ID, || match context.get("request_id") {
                Some(id) => id_header(id),
                None => request_context.as_ref()?.request_id.clone(),
            });
            if !caller_set_trace
                && propagators::TRACE_CONTEXT.is_on()
                && let Some(sent_trace) = &sent_trace
            {
                headers.insert(TRACEPARENT, sent_trace.traceparent());
                set_if_absent(headers, TRACESTATE, || sent_trace.tracestate());
            }
        }
        let request = request_context.as_deref();
        if propagators::BAGGAGE.is_on() && options.baggage_goes_to(destination.host) {
            let received = request.map(|request| &request.baggage);
            let received = received.or(process_baggage.as_ref());
            set_if_absent(headers, BAGGAGE, || {
                let spanless_tenant = request.and_then(|request| request.tenant_id.as_deref());
                baggage_header(&options.baggage_keys, &context, spanless_tenant, received)
            });
        }

        if let Some(trace) = sent_trace
            && !span.is_disabled()
        {
            let nested_context = RequestContext {
                trace,
                baggage: request
                    .map(|request| request.baggage.clone())
                    .or(process_baggage)
                    .unwrap_or_default(),
                request_id: request.and_then(|request| request.request_id.clone()),
                tenant_id: request.and_then(|request| request.tenant_id.clone()),
                recorded: None, // only for received requests
            };
            // For calls inside this call, such as those that an inner layer makes.
            Arc::new(nested_context).attach(&span);
        }
        let start = observation.is_some().then(|| Clock::system().instant());
        Self {
            span,
            observation: observation.zip(start),
            has_ended: false,
        }
    }

    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    /// Records the head of the response.
    pub(super) fn record_response(
        &mut self,
        status: StatusCode,
        version: Version,
        headers: &HeaderMap,
    ) {
        self.has_ended = true;
        let outcome = Outcome::from_status(status.as_u16());
        self.observe_end(|duration| RequestEnd {
            status: Some(status.as_u16()),
            outcome: outcome.name(),
            error_type: (outcome != Outcome::Ok).then(|| status.as_str().into()),
            protocol_version: protocol_version(version),
            duration,
            body_size: content_length(headers),
        });
        if outcome == Outcome::ServerError {
            self.span.record("otel.status_code", "ERROR");
        }
        self.span
            .record("http.response.status_code", status.as_u16());
    }

    /// Records the error of a call without a response.
    pub(super) fn record_error(&mut self, error: &dyn fmt::Display) {
        self.has_ended = true;
        self.observe_end(|duration| RequestEnd {
            outcome: "no_response",
            error_type: Some("no_response".into()),
            duration,
            ..RequestEnd::default()
        });
        self.span.record("otel.status_code", "ERROR");
        if !self.span.is_disabled() {
            // Formatted before `record`, because a layer may lock the span while it formats a
            // value, and the `Display` of the error may log.
            let text = error_text::error_text(error);
            self.span.record("error", &*without_queries(&text));
        }
    }

    /// Reports the end to the observer of requests, if there is one. Only the first call reports.
    fn observe_end<'a>(&mut self, end: impl FnOnce(Duration) -> RequestEnd<'a>) {
        if let Some((observation, start)) = self.observation.take() {
            let now = Clock::system().instant();
            observation.end(&end(now.saturating_duration_since(start)));
        }
    }
}

/// Returns the trace for a call under `parent`, a span that is not open in this process: the
/// disabled span of a request, or the span in which another process started this process.
fn continue_trace(parent: &TraceContext) -> AnnouncedTrace {
    AnnouncedTrace {
        trace_id: parent.span.trace_id(),
        parent: Some(parent.span.span_id()),
        flags: parent.span.flags(),
        state: parent.state.clone(),
        link: None,
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.has_ended {
            self.observe_end(|duration| RequestEnd {
                outcome: "cancelled",
                duration,
                ..RequestEnd::default()
            });
            self.span
                .record("error", "dropped before there was a response");
        }
    }
}

/// Sets a header, unless the caller has set it.
fn set_if_absent(
    headers: &mut HeaderMap,
    name: HeaderName,
    value: impl FnOnce() -> Option<HeaderValue>,
) {
    if !headers.contains_key(&name)
        && let Some(value) = value()
    {
        headers.insert(name, value);
    }
}

/// Returns the id as the value of a header. Returns `None` if the id is redacted, or not valid in a
/// header.
fn id_header(id: &str) -> Option<HeaderValue> {
    let header = HeaderValue::from_str(id).ok();
    header.filter(|_| !id.contains(REDACTED))
}

/// Returns the trace of a call without a request around it. The trace id comes from the context or
/// from the parent process, or is new.
fn trace_without_request(context: &Context) -> AnnouncedTrace {
    let trace_id = || {
        let trace_id = parse_hex(context.get("trace_id")?.as_bytes());
        trace_id.filter(|id| *id != [0; 16])
    };
    let request_id = || {
        let uuid = Uuid::try_parse(context.get("request_id")?).ok();
        uuid.filter(|id| !id.is_nil()).map(Uuid::into_bytes)
    };
    let id = trace_id().or_else(request_id);
    // Without an exporter, `InheritedContextLayer` records the inherited trace id on root spans. So
    // the id from the context may be the id of the inherited trace.
    let inherited = match id {
        Some(id) => InheritedContext::for_trace(id),
        None => InheritedContext::if_in_no_trace(),
    };
    if let Some(inherited) = inherited {
        return continue_trace(&TraceContext::from_inherited(inherited));
    }
    let (trace_id, flags) = match id {
        Some(id) => (id, 0), // the id may not be random
        None => (id::new_uuid().into_bytes(), RANDOM),
    };
    AnnouncedTrace {
        trace_id,
        flags,
        ..AnnouncedTrace::default()
    }
}

/// Builds the header `baggage`. The value of a key comes from the context, or else from
/// `spanless_tenant`, or else from the received baggage. A value that equals the received value
/// keeps the received properties. If the value of the context or `spanless_tenant` contains
/// `[REDACTED]`, the key is omitted, even if the received baggage has another value.
///
/// `spanless_tenant` is the tenant of a request whose span is disabled.
fn baggage_header(
    keys: &[String],
    context: &Context,
    spanless_tenant: Option<&str>,
    received: Option<&Baggage>,
) -> Option<HeaderValue> {
    let mut header = BaggageHeaderBuilder::default();
    for key in keys {
        let received = received.and_then(|baggage| baggage.get(key));
        let tenant = || spanless_tenant.filter(|_| key == "tenant_id");
        match (context.get(key).or_else(tenant), received) {
            (Some(value), _) if value.contains(REDACTED) => {}
            (Some(value), Some(received)) if received.value != value => {
                header.push(key, value, "");
            }
            (_, Some(received)) => header.push(key, &received.value, &received.properties),
            (Some(value), None) => header.push(key, value, ""),
            (None, None) => {}
        }
    }
    header.build()
}

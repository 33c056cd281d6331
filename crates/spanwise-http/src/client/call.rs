//! A call with its span and headers, for the `tower` layer and the middleware of `reqwest`.

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

/// A call in progress. If the value is dropped before the call ends, it records this in the span.
#[derive(Debug)]
pub(super) struct Call {
    span: Span,
    /// The observation, and when the call began. Present until the end, if requests are observed.
    observation: Option<(RequestObservation, Instant)>,
    is_ended: bool,
}

/// The destination of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) scheme: Option<&'a str>,
    pub(super) host: Option<&'a str>,
    pub(super) port: Option<u16>,
    pub(super) path: &'a str,
}

/// At most this many bytes of a host are logged. No valid name is longer.
const MAX_HOST_LEN: usize = 255;

impl Call {
    /// Opens the span and sets the headers.
    pub(super) fn begin(
        options: &Options,
        method: &Method,
        target: Target<'_>,
        headers: &mut HeaderMap,
    ) -> Self {
        let context = Context::current();
        // The request around the call: a received request, or another outgoing call.
        let request_context = RequestContext::current();
        // The span around the call, if spans are exported.
        let enclosing =
            SpanIdentity::current().and_then(|identity| TraceContext::from_identity(&identity));
        let caller_set_trace = headers.contains_key(TRACEPARENT);
        // The trace of the call, if neither a request nor an exported span is around it.
        let mut announced_trace = None;
        let call_context = if caller_set_trace {
            TraceContext::from_headers(headers)
        } else {
            Some(match (&enclosing, &request_context) {
                (Some(enclosing), _) => enclosing.child(),
                (None, Some(request)) => request.trace.child(),
                (None, None) => {
                    let trace = announced_trace.insert(trace_without_request(&context));
                    TraceContext::in_trace(trace.trace_id)
                }
            })
        };
        // The baggage that the parent process passed to this process.
        let process_baggage = match (&request_context, &call_context) {
            (None, Some(call_context)) => {
                Baggage::from_parent_process(call_context.span.trace_id())
            }
            (Some(_), _) | (None, None) => None,
        };
        let trace_id = call_context.as_ref().map(TraceContext::trace_id);
        let span_id = call_context.as_ref().map(TraceContext::span_id);
        let (method, path) = (method::name(method), bounded(target.path));
        let host = target.host.map(without_brackets);
        let host = host.map(|host| panic_safe::truncate_at(host, MAX_HOST_LEN));
        // The layer that exports spans needs this while the span opens.
        let announcement = || Announced {
            span_id: match &call_context {
                Some(call_context) if !caller_set_trace => call_context.span.span_id(),
                Some(_) | None => new_span_id(),
            },
            kind: SpanKind::Client,
            trace: match (&enclosing, &request_context) {
                // No enclosing span is exported, so the span of the request is disabled. The
                // exporter does not know the trace of the request: pass it.
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
                server.port = target.port,
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
        // The exported ids of the span, with the decision of the sampler. If the span is not
        // exported, the ids of the enclosing span.
        let exported = identity.and_then(|identity| TraceContext::from_identity(&identity));
        let exported = exported.or_else(|| enclosing.clone());
        let sent_context = match (exported, &request_context) {
            _ if caller_set_trace => call_context,
            (Some(exported), _) => Some(exported),
            // The span of this call is disabled, so nothing records its ids. Send the ids of the
            // request instead.
            (None, Some(request)) if span.is_disabled() => Some(request.trace.clone()),
            (None, _) => call_context,
        };
        let observation = RequestObservation::begin(|| ObservedRequest {
            side: RequestSide::Client,
            method,
            scheme: target.scheme.and_then(known_scheme),
            route: None,
            path: (&*path).into(),
            protocol_version: None,
            server_address: host.map(Box::from),
            server_port: target.port,
            body_size: content_length(headers),
            span: span.clone(),
        });

        if options.ids_go_to(target.host) {
            set_if_absent(headers, X_REQUEST_ID, || match context.get("request_id") {
                Some(id) => id_header(id),
                None => request_context.as_ref()?.request_id.clone(),
            });
            if !caller_set_trace
                && propagators::TRACE_CONTEXT.is_on()
                && let Some(sent_context) = &sent_context
            {
                headers.insert(TRACEPARENT, sent_context.traceparent());
                set_if_absent(headers, TRACESTATE, || sent_context.tracestate());
            }
        }
        let request = request_context.as_deref();
        if propagators::BAGGAGE.is_on() && options.baggage_goes_to(target.host) {
            let received = request.map(|request| &request.baggage);
            let received = received.or(process_baggage.as_ref());
            set_if_absent(headers, BAGGAGE, || {
                let spanless_tenant = request.and_then(|request| request.tenant_id.as_deref());
                baggage(&options.baggage, &context, spanless_tenant, received)
            });
        }

        if let Some(trace) = sent_context
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
            // For calls inside this one, such as those of an inner layer.
            Arc::new(nested_context).attach(&span);
        }
        let start = observation.is_some().then(|| Clock::system().instant());
        Self {
            span,
            observation: observation.zip(start),
            is_ended: false,
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
        self.is_ended = true;
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
        self.is_ended = true;
        self.observe_end(|duration| RequestEnd {
            outcome: "no_response",
            error_type: Some("no_response".into()),
            duration,
            ..RequestEnd::default()
        });
        self.span.record("otel.status_code", "ERROR");
        if !self.span.is_disabled() {
            // Formatted before `record`, because layers may lock the span while they format.
            let text = error_text::error_text(error);
            self.span.record("error", &*without_queries(&text));
        }
    }

    /// Reports the end to the observer of requests, if there is one.
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
        if !self.is_ended {
            self.observe_end(|duration| RequestEnd {
                outcome: "cancelled",
                duration,
                ..RequestEnd::default()
            });
            self.span
                .record("error", "given up before there was a response");
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

/// Returns the trace of a call without a request around it. The id comes from the context or from
/// the parent process, or is new.
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
    // the id from the context may be the inherited one.
    let inherited = match id {
        Some(id) => InheritedContext::for_trace(id),
        None => InheritedContext::if_in_no_trace(),
    };
    if let Some(inherited) = inherited {
        return continue_trace(&TraceContext::from_inherited(inherited));
    }
    let (trace_id, flags) = match id {
        Some(id) => (id, 0),
        None => (id::new_uuid().into_bytes(), RANDOM),
    };
    AnnouncedTrace {
        trace_id,
        flags,
        ..AnnouncedTrace::default()
    }
}

/// Builds the baggage. The value of a key comes from the context, or else from `spanless_tenant`,
/// or else from the received baggage. A value that equals the received value keeps the received
/// properties. If the value of the context or `spanless_tenant` contains `[REDACTED]`, the key is
/// omitted, even if the received baggage has another value.
///
/// `spanless_tenant` is the tenant of a request whose span is disabled.
fn baggage(
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

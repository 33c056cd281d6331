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
    baggage::{BAGGAGE, Baggage, Outgoing},
    bounded_text::bounded,
    error_text, id, method,
    observed_values::{content_length, known_scheme, protocol_version},
    request_context::RequestContext,
    request_id::X_REQUEST_ID,
    trace_context::{TRACEPARENT, TRACESTATE, TraceContext},
    url_queries::without_queries,
};

/// A call in progress. If it is dropped before its end, the span records this.
#[derive(Debug)]
pub(super) struct Call {
    span: Span,
    /// The observation, and when the call began. Present until the end, if requests are observed.
    observation: Option<(RequestObservation, Instant)>,
    ended: bool,
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
        let request_context = RequestContext::current();
        // The span around the call, if spans are exported.
        let enclosing = SpanIdentity::current();
        let enclosing = enclosing.and_then(|identity| TraceContext::from_identity(&identity));
        let caller_set_trace = headers.contains_key(TRACEPARENT);
        let mut begun_trace = None;
        let trace = if caller_set_trace {
            TraceContext::from_headers(headers)
        } else {
            Some(match (&enclosing, &request_context) {
                (Some(enclosing), _) => enclosing.child(),
                (None, Some(request_context)) => request_context.trace.child(),
                (None, None) => {
                    let trace = begin_trace(&context);
                    let trace_id = trace.trace_id;
                    begun_trace = Some(trace);
                    TraceContext::in_trace(trace_id)
                }
            })
        };
        let inherited_baggage = match (&request_context, &trace) {
            (None, Some(trace)) => Baggage::inherited(trace.span.trace_id()),
            (Some(_), _) | (None, None) => None,
        };
        let trace_id = trace.as_ref().map(TraceContext::trace_id);
        let span_id = trace.as_ref().map(TraceContext::span_id);
        let (method, path) = (method::name(method), bounded(target.path));
        let host = target.host.map(without_brackets);
        let host = host.map(|host| panic_safe::truncate_at(host, MAX_HOST_LEN));
        let announced = || Announced {
            span_id: match &trace {
                Some(trace) if !caller_set_trace => trace.span.span_id(),
                Some(_) | None => new_span_id(),
            },
            kind: SpanKind::Client,
            // If the span of the served request is disabled, the exporter cannot find its trace.
            trace: match (&enclosing, &request_context) {
                (None, Some(request_context)) => Some(continued(&request_context.trace)),
                (Some(_), _) => None,
                (None, None) => begun_trace,
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
        let span = announce(announced, open);
        // The exported ids of the span, with the decision of the sampler. If the span is not
        // exported, the ids of the enclosing span.
        let exported = SpanIdentity::freeze_in(&span);
        let exported = exported.and_then(|identity| TraceContext::from_identity(&identity));
        let exported = exported.or_else(|| enclosing.clone());
        let trace = match exported {
            Some(exported) if !caller_set_trace => Some(exported),
            Some(_) | None => trace,
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
                && let Some(trace) = &trace
            {
                // A disabled span is not exported. So the receiver's parent is the span of the
                // served request.
                let served = request_context.as_ref();
                let served = served.filter(|_| span.is_disabled() && enclosing.is_none());
                let sent = served.map_or(trace, |served| &served.trace);
                headers.insert(TRACEPARENT, sent.traceparent());
                set_if_absent(headers, TRACESTATE, || sent.tracestate());
            }
        }
        if propagators::BAGGAGE.is_on() && options.baggage_goes_to(target.host) {
            let served = request_context.as_deref();
            let received = served
                .map(|served| &served.baggage)
                .or(inherited_baggage.as_ref());
            set_if_absent(headers, BAGGAGE, || {
                let own_tenant = served.and_then(|served| served.tenant_id.as_deref());
                baggage(&options.baggage, &context, own_tenant, received)
            });
        }

        if let Some(trace) = trace
            && !span.is_disabled()
        {
            let served = request_context.as_deref();
            let request_context = RequestContext {
                trace,
                baggage: served
                    .map(|served| served.baggage.clone())
                    .or(inherited_baggage)
                    .unwrap_or_default(),
                request_id: served.and_then(|served| served.request_id.clone()),
                tenant_id: served.and_then(|served| served.tenant_id.clone()),
                recorded: None,
            };
            Arc::new(request_context).attach(&span);
        }
        let start = observation.is_some().then(|| Clock::system().instant());
        Self {
            span,
            observation: observation.zip(start),
            ended: false,
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
        self.ended = true;
        let outcome = match status.as_u16() {
            500.. => "server_error",
            400.. => "client_error",
            _ => "ok",
        };
        let is_error = status.is_client_error() || status.is_server_error();
        self.observe_end(|duration| RequestEnd {
            status: Some(status.as_u16()),
            outcome,
            error_type: is_error.then(|| status.as_str().into()),
            protocol_version: protocol_version(version),
            duration,
            body_size: content_length(headers),
        });
        if status.is_server_error() {
            self.span.record("otel.status_code", "ERROR");
        }
        self.span
            .record("http.response.status_code", status.as_u16());
    }

    /// Records the error of a call without a response.
    pub(super) fn record_error(&mut self, error: &dyn fmt::Display) {
        self.ended = true;
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

/// Returns the trace for a call whose parent span is not open in this process. `parent` is the
/// disabled span of a served request, or the span that the parent process passed to this process.
fn continued(parent: &TraceContext) -> AnnouncedTrace {
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
        if !self.ended {
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

fn id_header(id: &str) -> Option<HeaderValue> {
    let header = HeaderValue::from_str(id).ok();
    header.filter(|_| !id.contains(REDACTED))
}

/// Returns the trace of a call outside a served request. The id comes from the context or from the
/// parent process, or is new.
fn begin_trace(context: &Context) -> AnnouncedTrace {
    let trace_id = || {
        let trace_id = parse_hex(context.get("trace_id")?.as_bytes());
        trace_id.filter(|id| *id != [0; 16])
    };
    let request_id = || {
        let uuid = Uuid::try_parse(context.get("request_id")?).ok();
        uuid.filter(|id| !id.is_nil()).map(Uuid::into_bytes)
    };
    let id = trace_id().or_else(request_id);
    // The id may be that of the inherited trace: a span that is not exported records it.
    let inherited = match id {
        Some(id) => InheritedContext::for_trace(id),
        None => InheritedContext::outside_of_traces(),
    };
    if let Some(inherited) = inherited {
        return continued(&TraceContext::inherited(inherited));
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

/// Builds the baggage. The value of a key comes from the context, or else from `own_tenant`, or
/// else from the received baggage. A value that equals the received value keeps its properties.
///
/// `own_tenant` is the tenant of a served request whose span is disabled.
fn baggage(
    keys: &[String],
    context: &Context,
    own_tenant: Option<&str>,
    received: Option<&Baggage>,
) -> Option<HeaderValue> {
    let mut outgoing = Outgoing::default();
    for key in keys {
        let received = received.and_then(|baggage| baggage.get(key));
        let served = || own_tenant.filter(|_| key == "tenant_id");
        match (context.get(key).or_else(served), received) {
            (Some(value), _) if value.contains(REDACTED) => {}
            (Some(value), Some(received)) if received.value != value => {
                outgoing.push(key, value, "");
            }
            (_, Some(received)) => outgoing.push(key, &received.value, &received.properties),
            (Some(value), None) => outgoing.push(key, value, ""),
            (None, None) => {}
        }
    }
    outgoing.header()
}

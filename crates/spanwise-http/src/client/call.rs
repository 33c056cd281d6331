//! A call with its span and headers, for the `tower` layer and the middleware of `reqwest`.

use std::{fmt, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use spanwise_core::{Context, REDACTED, internal::panic_safe};
use tracing::{Span, field};
use uuid::Uuid;

use super::{Options, hosts::without_brackets};
use crate::{
    baggage::{BAGGAGE, Baggage, Outgoing},
    bounded_text::bounded,
    error_text, id, method,
    request_context::RequestContext,
    request_id::X_REQUEST_ID,
    trace_context::{HexDigits, TRACEPARENT, TRACESTATE, TraceContext, TraceId},
    url_queries::without_queries,
};

/// A call in progress. If it is dropped before it ended, its span records that.
#[derive(Debug)]
pub(super) struct Call {
    span: Span,
    ended: bool,
}

/// The destination of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) host: Option<&'a str>,
    pub(super) port: Option<u16>,
    pub(super) path: &'a str,
}

/// The most bytes of a host that are logged. No name is longer.
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
        let by_hand = headers.contains_key(TRACEPARENT);
        let trace = if by_hand {
            TraceContext::from_headers(headers)
        } else {
            Some(match &request_context {
                Some(request_context) => request_context.trace.child(),
                None => TraceContext::new_trace(trace_id_of(&context)),
            })
        };
        let trace_id = trace.as_ref().map(|trace| trace.trace_id.digits());
        let span_id = trace.as_ref().map(|trace| trace.span_id.digits());
        let span = tracing::info_span!(
            target: "spanwise_http::client",
            "http.client.request",
            otel.kind = "client",
            http.request.method = method::name(method),
            server.address = target.host.map(|host| panic_safe::truncate_at(without_brackets(host), MAX_HOST_LEN)),
            server.port = target.port,
            url.path = &*bounded(target.path),
            trace_id = trace_id.as_ref().map(HexDigits::as_str),
            span_id = span_id.as_ref().map(HexDigits::as_str),
            http.response.status_code = field::Empty,
            otel.status_code = field::Empty,
            error = field::Empty,
        );

        if options.ids_go_to(target.host) {
            set_if_absent(headers, X_REQUEST_ID, || match context.get("request_id") {
                Some(id) => id_header(id),
                None => request_context.as_ref()?.request_id.clone(),
            });
            if !by_hand && let Some(trace) = &trace {
                // A disabled span cannot be a parent.
                let served = request_context.as_ref().filter(|_| span.is_disabled());
                let sent = served.map_or(trace, |served| &served.trace);
                headers.insert(TRACEPARENT, sent.traceparent());
                set_if_absent(headers, TRACESTATE, || trace.tracestate());
            }
        }
        if options.baggage_goes_to(target.host) {
            let received = request_context
                .as_ref()
                .map(|request_context| &request_context.baggage);
            set_if_absent(headers, BAGGAGE, || {
                let own_tenant = request_context
                    .as_ref()
                    .and_then(|request_context| request_context.tenant_id.as_deref());
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
                    .unwrap_or_default(),
                request_id: served.and_then(|served| served.request_id.clone()),
                tenant_id: served.and_then(|served| served.tenant_id.clone()),
                recorded: None,
            };
            Arc::new(request_context).attach(&span);
        }
        Self { span, ended: false }
    }

    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    /// Records the status of the response.
    pub(super) fn record_status(&mut self, status: StatusCode) {
        self.ended = true;
        if status.is_server_error() {
            self.span.record("otel.status_code", "ERROR");
        }
        self.span
            .record("http.response.status_code", status.as_u16());
    }

    /// Records the error of a call without a response.
    pub(super) fn record_error(&mut self, error: &dyn fmt::Display) {
        self.ended = true;
        self.span.record("otel.status_code", "ERROR");
        if !self.span.is_disabled() {
            // Formatted here, since layers may hold a lock of the span while they format.
            let text = error_text::error_text(error);
            self.span.record("error", &*without_queries(&text));
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.ended {
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
    (!id.contains(REDACTED))
        .then(|| HeaderValue::from_str(id).ok())
        .flatten()
}

/// Returns the trace id of a call outside a served request: that of the context, or a new one.
fn trace_id_of(context: &Context) -> TraceId {
    let trace_id = context.get("trace_id").and_then(TraceId::parse);
    trace_id.unwrap_or_else(|| {
        let request_id = context.get("request_id");
        let uuid = request_id
            .and_then(|id| Uuid::try_parse(id).ok())
            .filter(|id| !id.is_nil());
        TraceId(uuid.unwrap_or_else(id::new_uuid).into_bytes())
    })
}

/// Builds the baggage. The value of a key is that of the context, or else the tenant of a server
/// whose span is disabled, or else the received one.
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

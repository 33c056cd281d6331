//! The start of a request: determines ids, tenant and client, and opens the span.

use std::sync::Arc;

use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri,
    uri::PathAndQuery,
};
use spanwise_core::{
    CONTEXT_KEYS,
    internal::{
        SpanIdentity,
        announced_span::{Announced, AnnouncedTrace, SpanKind, announce},
        request_observer::{ObservedRequest, RequestObservation, RequestSide},
        span_identity::RANDOM,
    },
};
use tracing::{Span, level_filters::LevelFilter};
use uuid::Uuid;

use super::{
    options::{Options, TenantSource},
    recorded_fields::RecordedFields,
    request_guard::{RequestGuard, optional_value},
};
use crate::{
    baggage::Baggage,
    bounded_text::bounded,
    client_address, id, method,
    observed_values::{content_length, forwarded_scheme, known_scheme, protocol_version},
    request_context::RequestContext,
    request_id::{RequestId, X_REQUEST_ID},
    trace_context::TraceContext,
    trust::Trust,
    warn_once::WarnOnce,
};

/// Data from the start of a request that its end needs.
#[derive(Debug)]
pub(crate) struct RequestInfo {
    pub(crate) id: RequestId,
    pub(crate) is_quiet: bool,
    method: Method,
    /// The headers to log, each with the index of its field.
    pub(crate) headers: Vec<(u8, HeaderValue)>,
    /// The path, if the span has the route instead. The value shares the memory of the request's
    /// URI.
    pub(crate) routed_path: Option<PathAndQuery>,
    /// The fields that the access event has in place of the span, if the span is disabled.
    pub(crate) spanless: Option<Box<SpanlessFields>>,
}

#[derive(Debug)]
pub(crate) struct SpanlessFields {
    pub(crate) method: &'static str,
    pub(crate) route: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) client_address: Option<String>,
    pub(crate) trace_id: String,
}

impl RequestInfo {
    /// Returns whether the method forbids a response body: always for HEAD, and for CONNECT with a
    /// success status.
    pub(crate) fn method_rules_out_body(&self, status: StatusCode) -> bool {
        self.method == Method::HEAD || self.method == Method::CONNECT && status.is_success()
    }
}

/// Opens the span of a request, and puts the request id into the headers and the extensions.
/// `tenant_id` is the valid result of the application's tenant function, if there is one.
pub(crate) fn begin_request<B>(
    options: &Arc<Options>,
    request: &mut Request<B>,
    tenant_id: Option<&str>,
) -> RequestGuard {
    let guard = open_request(options, request, tenant_id);
    let id = &guard.request.id;
    // Replaces a received id that was not adopted.
    request
        .headers_mut()
        .insert(X_REQUEST_ID, id.header_value().clone());
    request.extensions_mut().insert(id.clone());
    guard
}

/// Reads the headers, opens the span, and attaches the request context for nested calls.
fn open_request<B>(
    options: &Arc<Options>,
    request: &Request<B>,
    tenant_id: Option<&str>,
) -> RequestGuard {
    let (headers, extensions) = (request.headers(), request.extensions());
    let peer = client_address::peer(extensions);
    if peer.is_none() && matches!(options.trust, Trust::Networks(_)) {
        UNKNOWN_PEER_WARNING.warn(unknown_peer_text);
    }
    let trusted_headers = options.trust.trusts(peer).then_some(headers);

    let received_trace = trusted_headers.and_then(TraceContext::from_headers_if_enabled);
    let new_trace = |uuid: Uuid| TraceContext::new_trace(uuid.into_bytes());
    let received_id = trusted_headers.and_then(|headers| received_request_id(options, headers));
    // A received request id has priority over the trace id, because the lines of the gateway have
    // this request id.
    let (id, trace) = match (received_id, &received_trace) {
        (Some(id), Some(trace)) => (id, trace.child()),
        (Some(id), None) => (id, new_trace(id::new_uuid())),
        // Only a trace was received, so its id is also the request id.
        (None, Some(trace)) => {
            let uuid = Uuid::from_bytes(trace.span.trace_id());
            (RequestId::from_uuid(uuid), trace.child())
        }
        // A new request id is also the id of a new trace.
        (None, None) => {
            let uuid = id::new_uuid();
            (RequestId::from_uuid(uuid), new_trace(uuid))
        }
    };
    let tenant_header = match &options.tenant {
        TenantSource::Header(name) => {
            trusted_headers.and_then(|headers| single_header(headers, name))
        }
        // The result of the function is already in `tenant_id`.
        TenantSource::None | TenantSource::Function(_) => None,
    };
    let mut baggage = trusted_headers
        .map(Baggage::from_headers_if_enabled)
        .unwrap_or_default();
    let baggage_member = match &options.tenant {
        TenantSource::Header(_) | TenantSource::None if options.adopts_tenant_of_baggage => {
            baggage.get("tenant_id")
        }
        TenantSource::Header(_) | TenantSource::None | TenantSource::Function(_) => None,
    };
    let baggage_tenant = baggage_member.and_then(|member| id::tenant_id_text(&member.value));
    let tenant_id = tenant_id
        .or_else(|| tenant_header.and_then(id::tenant_id))
        .or(baggage_tenant);
    let client = client_address::resolve_client(peer, &options.trust, headers)
        .and_then(|client| options.client_address.logged_part(client));

    let uri = uri(request);
    let path = uri.path();
    let route = route(extensions);
    let method = method::name(request.method());
    let shown_path = route.is_none().then(|| bounded(path));
    let shown_path = shown_path.as_deref();

    let span = if options.span.is_enabled() {
        let (trace_id, span_id) = (trace.trace_id(), trace.span_id());
        let client = client.map(tracing::field::display);
        let open = || {
            // Values in the order of the built-in fields. The user, the status and the cancellation
            // are recorded later.
            options.span.open(&[
                Some(&method),
                optional_value(&route),
                optional_value(&shown_path),
                Some(&id.as_str()),
                optional_value(&tenant_id),
                None,
                optional_value(&client),
                Some(&trace_id.as_str()),
                Some(&span_id.as_str()),
                None,
                None,
            ])
        };
        announce(
            || announcement(&trace, received_trace.as_ref(), headers),
            open,
        )
    } else {
        Span::none()
    };
    // The layer that exports spans may have changed the announced identity, because the trace
    // sampler sets the flags and the state. Nested calls send the changed identity.
    let identity = SpanIdentity::find_and_freeze(&span);
    let exported_trace = identity.and_then(|identity| TraceContext::from_identity(&identity));
    let trace = exported_trace.unwrap_or_else(|| {
        trace.span.store_flags(&span);
        trace
    });
    let observation = RequestObservation::begin(|| ObservedRequest {
        side: RequestSide::Server,
        method,
        scheme: trusted_headers
            .and_then(forwarded_scheme)
            .or_else(|| request.uri().scheme_str().and_then(known_scheme))
            .or(Some("http")),
        route: route.map(Box::from),
        path: bounded(path).into(),
        protocol_version: protocol_version(request.version()),
        server_address: None,
        server_port: None,
        body_size: content_length(headers),
        span: span.clone(),
    });
    let spanless = || {
        Box::new(SpanlessFields {
            method,
            route: route.map(str::to_owned),
            path: shown_path.map(str::to_owned),
            client_address: client.map(|client| client.to_string()),
            trace_id: trace.trace_id().as_str().to_owned(),
        })
    };
    // At OFF, there is no access event that needs the fields.
    let is_spanless = span.is_disabled() && LevelFilter::current() != LevelFilter::OFF;
    let spanless = is_spanless.then(spanless);
    let spanless_tenant = tenant_id.filter(|_| span.is_disabled()).map(str::to_owned);
    let uses_baggage_tenant = baggage_tenant.is_some() && tenant_id == baggage_tenant;
    // A trusted sender may forward baggage that it did not write. So a member with the name of a
    // context key is forwarded only if this request uses its value.
    baggage.retain(|key| !CONTEXT_KEYS.contains(&key) || uses_baggage_tenant && key == "tenant_id");
    let start = options.clock.instant();
    let request_context = Arc::new(RequestContext {
        trace,
        baggage,
        request_id: span.is_disabled().then(|| id.header_value().clone()),
        tenant_id: spanless_tenant,
        recorded: Some(RecordedFields::new(options.clock.clone(), start)),
    });
    let span_has_context = Arc::clone(&request_context).attach(&span);
    RequestGuard {
        options: Arc::clone(options),
        span,
        start,
        request_context,
        span_has_context,
        request: RequestInfo {
            id,
            is_quiet: options.is_quiet(path),
            method: request.method().clone(),
            headers: logged_headers(options, headers),
            routed_path: route.and_then(|_| uri.path_and_query().cloned()),
            spanless,
        },
        observation,
        head: None,
        body_bytes: 0,
        has_ended: false,
    }
}

/// Returns the announcement of a request's span. The span of a trusted caller becomes the parent.
/// The span of an untrusted caller is only linked.
fn announcement(
    trace: &TraceContext,
    received_trace: Option<&TraceContext>,
    headers: &HeaderMap,
) -> Announced {
    let untrusted_trace = || TraceContext::from_headers_if_enabled(headers);
    let link = match received_trace {
        Some(_) => None,
        None => untrusted_trace().map(|caller| (caller.span.trace_id(), caller.span.span_id())),
    };
    Announced {
        span_id: trace.span.span_id(),
        kind: SpanKind::Server,
        trace: Some(AnnouncedTrace {
            trace_id: trace.span.trace_id(),
            parent: received_trace.map(|caller| caller.span.span_id()),
            flags: received_trace.map_or(RANDOM, |caller| caller.span.flags()),
            state: received_trace.and_then(|caller| caller.state.clone()),
            link,
        }),
    }
}

/// Warns once if networks are trusted but the peer of a request is unknown. The sender of such a
/// request is not trusted.
static UNKNOWN_PEER_WARNING: WarnOnce = WarnOnce::new();

fn unknown_peer_text() -> String {
    "networks are trusted, but the peer of a request is unknown: serve with \
     `into_make_service_with_connect_info::<SocketAddr>()` (axum), or insert `spanwise_http::Peer`"
        .into()
}

/// Returns the first valid request id in the configured headers. Ignores headers that are repeated.
fn received_request_id(options: &Options, headers: &HeaderMap) -> Option<RequestId> {
    let names = options.request_id_headers.iter();
    let mut values = names.filter_map(|name| single_header(headers, name));
    values.find_map(RequestId::from_header)
}

/// Returns the value of a header, or `None` if the header is repeated, because another service
/// might use another value.
fn single_header<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next()?;
    lines.next().is_none().then_some(line)
}

/// Returns the request headers to log, each with the index of its field.
fn logged_headers(options: &Options, headers: &HeaderMap) -> Vec<(u8, HeaderValue)> {
    let mut logged = Vec::new();
    for (name, index) in &options.headers {
        let lines = headers.get_all(name).iter();
        logged.extend(lines.map(|line| (*index, line.clone())));
    }
    logged
}

#[cfg(feature = "axum")]
fn route(extensions: &Extensions) -> Option<&str> {
    extensions
        .get::<axum::extract::MatchedPath>()
        .map(axum::extract::MatchedPath::as_str)
}

#[cfg(not(feature = "axum"))]
fn route(_: &Extensions) -> Option<&str> {
    None
}

/// Returns the URI that the client sent. A nested router removes its prefix from the URI of the
/// request.
#[cfg(feature = "axum")]
fn uri<B>(request: &Request<B>) -> &Uri {
    let original = request.extensions().get();
    original.map_or(request.uri(), |axum::extract::OriginalUri(uri)| uri)
}

#[cfg(not(feature = "axum"))]
fn uri<B>(request: &Request<B>) -> &Uri {
    request.uri()
}

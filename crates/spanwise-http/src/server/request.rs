//! What is taken from a request when it comes: who it belongs to, and the span it runs in.

use std::sync::Arc;

use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri,
    uri::PathAndQuery,
};
use spanwise_core::CONTEXT_KEYS;
use tracing::{Span, level_filters::LevelFilter};
use uuid::Uuid;

use super::{
    ending::{Ending, X_REQUEST_ID, value},
    exchange::Exchange,
    options::{Options, Tenant},
};
use crate::{
    baggage::Baggage,
    carried::Carried,
    client_address,
    client_text::bounded,
    id, method,
    mistake::Mistake,
    request_id::RequestId,
    trace_context::{TraceContext, TraceId},
    trust::Trust,
};

/// What the end of a request needs of its beginning.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) id: RequestId,
    pub(crate) is_quiet: bool,
    verb: Verb,
    /// Those that are told, by the index of their field.
    pub(crate) headers: Vec<(u8, HeaderValue)>,
    /// Where the span has a route in place of a path: the values in it, one of which may be what was wrong. A share of what the request has,
    /// not a copy.
    pub(crate) routed_path: Option<PathAndQuery>,
    /// What the span would say, where it is disabled.
    pub(crate) apart: Option<Box<Apart>>,
}

#[derive(Debug)]
pub(crate) struct Apart {
    pub(crate) method: &'static str,
    pub(crate) route: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) client_address: Option<String>,
    pub(crate) trace_id: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Head,
    Connect,
    Other,
}

impl Received {
    /// Whether the response to such a request has no body, whatever it says.
    pub(crate) fn has_no_response_body(&self, status: StatusCode) -> bool {
        match self.verb {
            Verb::Head => true,
            Verb::Connect => status.is_success(),
            Verb::Other => false,
        }
    }
}

/// Opens the span of `request`, for which code of the program's may have found out whose it is, and
/// shows its id to what is inside.
pub(crate) fn receive<B>(
    options: &Arc<Options>,
    request: &mut Request<B>,
    tenant_id: Option<&str>,
) -> Ending {
    let ending = read(options, request, tenant_id);
    let id = &ending.request.id;
    // An id that was not believed is nobody's.
    request
        .headers_mut()
        .insert(X_REQUEST_ID, id.header_value().clone());
    request.extensions_mut().insert(id.clone());
    ending
}

fn read<B>(options: &Arc<Options>, request: &Request<B>, tenant_id: Option<&str>) -> Ending {
    let (headers, extensions) = (request.headers(), request.extensions());
    let peer = client_address::peer(extensions);
    if peer.is_none() && matches!(options.trust, Trust::Networks(_)) {
        NO_PEER.tell(no_peer);
    }
    let trusted = options.trust.trusts(peer).then_some(headers);

    let sent_trace = trusted.and_then(TraceContext::of_headers);
    let begin = |number: Uuid| TraceContext::begin(TraceId(number.into_bytes()));
    let sent_id = trusted.and_then(|headers| sent_id(options, headers));
    let (id, trace) = match (sent_id, &sent_trace) {
        (Some(id), Some(trace)) => (id, trace.child()),
        (Some(id), None) => (id, begin(id::fresh())),
        // The specification of traces would have the trace's id first; then the id that a gateway
        // gave, and wrote into its own lines, would be lost here.
        (None, Some(trace)) => {
            let number = Uuid::from_bytes(trace.trace_id.0);
            (RequestId::from_uuid(number), trace.child())
        }
        // A request whose id is new is a trace of the same number.
        (None, None) => {
            let number = id::fresh();
            (RequestId::from_uuid(number), begin(number))
        }
    };
    let tenant_header = match &options.tenant {
        Tenant::Header(name) => trusted.and_then(|headers| only(headers, name)),
        Tenant::Unknown | Tenant::By(_) => None,
    };
    let mut baggage = trusted.map(Baggage::of_headers).unwrap_or_default();
    let tenant_member = match &options.tenant {
        Tenant::Header(_) | Tenant::Unknown if options.tenant_baggage => baggage.get("tenant_id"),
        Tenant::Header(_) | Tenant::Unknown | Tenant::By(_) => None,
    };
    let tenant_member = tenant_member.and_then(|member| id::tenant_id_text(&member.value));
    let tenant_id = tenant_id
        .or_else(|| tenant_header.and_then(id::tenant_id))
        .or(tenant_member);
    let client = client_address::client(peer, &options.trust, headers)
        .and_then(|client| options.client_address.shown(client));

    let uri = uri(request);
    let path = uri.path();
    let route = route(extensions);
    let method = method::name(request.method());
    let shown_path = route.is_none().then(|| bounded(path));
    let shown_path = shown_path.as_deref();

    let span = if options.span.is_enabled() {
        let (trace_id, span_id) = (trace.trace_id.digits(), trace.span_id.digits());
        let client = client.map(tracing::field::display);
        options.span.open(&[
            Some(&method),
            value(&route),
            value(&shown_path),
            Some(&id.as_str()),
            value(&tenant_id),
            None,
            value(&client),
            Some(&trace_id.as_str()),
            Some(&span_id.as_str()),
            None,
            None,
        ])
    } else {
        Span::none()
    };
    let apart = || {
        Box::new(Apart {
            method,
            route: route.map(str::to_owned),
            path: shown_path.map(str::to_owned),
            client_address: client.map(|client| client.to_string()),
            trace_id: trace.trace_id.to_string(),
        })
    };
    let is_apart = span.is_disabled() && LevelFilter::current() != LevelFilter::OFF;
    let apart = is_apart.then(apart);
    let own_tenant = tenant_id.filter(|_| span.is_disabled()).map(str::to_owned);
    let takes_tenant = tenant_member.is_some() && tenant_id == tenant_member;
    // A trusted sender passes on what others told it. Under the keys of the context, a service
    // passes on what it took over alone.
    baggage.retain(|key| !CONTEXT_KEYS.contains(&key) || takes_tenant && key == "tenant_id");
    let start = options.clock.instant();
    let carried = Arc::new(Carried {
        trace,
        baggage,
        request_id: span.is_disabled().then(|| id.header_value().clone()),
        tenant_id: own_tenant,
        exchange: Some(Exchange::new(options.clock.clone(), start)),
    });
    let is_carried = Arc::clone(&carried).attach(&span);
    Ending {
        options: Arc::clone(options),
        span,
        start,
        carried,
        is_carried,
        request: Received {
            id,
            is_quiet: options.is_quiet(path),
            verb: match *request.method() {
                Method::HEAD => Verb::Head,
                Method::CONNECT => Verb::Connect,
                _ => Verb::Other,
            },
            headers: told_headers(options, headers),
            routed_path: route.and_then(|_| uri.path_and_query().cloned()),
            apart,
        },
        head: None,
        bytes: 0,
        is_told: false,
    }
}

/// With networks to trust, nobody is as long as this is not mended.
static NO_PEER: Mistake = Mistake::new();

fn no_peer() -> String {
    "networks are trusted, but where a request comes from is not known: serve with \
     `into_make_service_with_connect_info::<SocketAddr>()` (axum), or insert `spanwise_http::Peer`"
        .into()
}

/// The first id in the headers that may hold one.
fn sent_id(options: &Options, headers: &HeaderMap) -> Option<RequestId> {
    let names = options.request_id_headers.iter();
    let mut sent = names.filter_map(|name| only(headers, name));
    sent.find_map(RequestId::from_header)
}

/// The value of a header that was sent once: of two nobody knows which one another service believes.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next()?;
    lines.next().is_none().then_some(line)
}

fn told_headers(options: &Options, headers: &HeaderMap) -> Vec<(u8, HeaderValue)> {
    let mut told = Vec::new();
    for (name, index) in &options.headers {
        let lines = headers.get_all(name).iter();
        told.extend(lines.map(|line| (*index, line.clone())));
    }
    told
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

/// As the client sent it: a nested router has taken off its part.
#[cfg(feature = "axum")]
fn uri<B>(request: &Request<B>) -> &Uri {
    let original = request.extensions().get();
    original.map_or(request.uri(), |axum::extract::OriginalUri(uri)| uri)
}

#[cfg(not(feature = "axum"))]
fn uri<B>(request: &Request<B>) -> &Uri {
    request.uri()
}

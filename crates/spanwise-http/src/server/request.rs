//! What is taken from a request when it comes: who it belongs to, and the span it runs in.

use std::sync::Arc;

use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri,
    uri::PathAndQuery,
};
use tracing::{field::Empty, level_filters::LevelFilter};
use uuid::Uuid;

use super::{
    TARGET,
    ending::Ending,
    exchange::Exchange,
    options::{Options, Tenant},
};
use crate::{
    baggage::Baggage,
    carried::Carried,
    client_address, id, method,
    mistake::Mistake,
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
    pub(crate) tenant_id: Option<String>,
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

#[derive(Debug)]
pub(crate) enum RequestId {
    Number(Uuid),
    /// As the sender has it.
    Sent(HeaderValue),
}

impl RequestId {
    pub(crate) fn to_header(&self) -> HeaderValue {
        match self {
            Self::Sent(value) => value.clone(),
            Self::Number(_) => {
                HeaderValue::from_str(self.text(&mut [0; 36])).unwrap_or_else(|_| {
                    // Hexadecimal digits and dashes are what a header may hold.
                    unreachable!("hexadecimal digits are no header value")
                })
            }
        }
    }

    pub(crate) fn text<'a>(&'a self, digits: &'a mut [u8; 36]) -> &'a str {
        match self {
            Self::Number(number) => number.hyphenated().encode_lower(digits),
            Self::Sent(value) => id::accepted(value).unwrap_or_default(),
        }
    }
}

/// Opens the span of `request`, for which code of the program's may have found out whose it is.
pub(crate) fn receive<B>(
    options: &Arc<Options>,
    request: &Request<B>,
    tenant_id: Option<&str>,
) -> Ending {
    let (headers, extensions) = (request.headers(), request.extensions());
    let peer = client_address::peer(extensions);
    if peer.is_none() && matches!(options.trust, Trust::Networks(_)) {
        NO_PEER.tell(no_peer);
    }
    let trusted = options.trust.trusts(peer).then_some(headers);

    let sent_trace = trusted.and_then(TraceContext::of_headers);
    let id = request_id(options, trusted, sent_trace.as_ref());
    let begin = |number: Uuid| TraceContext::begin(TraceId(number.into_bytes()));
    let trace = match (&sent_trace, &id) {
        (Some(trace), _) => trace.child(),
        // A request whose id is new is a trace of the same number.
        (None, RequestId::Number(number)) => begin(*number),
        (None, RequestId::Sent(_)) => begin(id::fresh()),
    };
    let tenant_header = match &options.tenant {
        Tenant::Header(name) => trusted.and_then(|headers| only(headers, name)),
        Tenant::Unknown | Tenant::By(_) => None,
    };
    let baggage = trusted.map(Baggage::of_headers).unwrap_or_default();
    let tenant_member = match &options.tenant {
        Tenant::Header(_) | Tenant::Unknown if options.tenant_baggage => baggage.get("tenant_id"),
        Tenant::Header(_) | Tenant::Unknown | Tenant::By(_) => None,
    };
    let tenant_id = tenant_id
        .or_else(|| tenant_header.and_then(id::accepted))
        .or_else(|| tenant_member.and_then(|member| id::accepted_text(&member.value)));
    let client = client_address::client(peer, &options.trust, headers)
        .and_then(|client| options.client_address.shown(client));

    let uri = uri(request);
    let path = uri.path();
    let route = route(extensions);
    let method = method::name(request.method());
    let shown_path = route.is_none().then_some(path);

    let span = tracing::info_span!(
        target: TARGET,
        parent: None,
        "http.request",
        http.request.method = method,
        http.route = route,
        url.path = shown_path,
        request_id = id.text(&mut [0; 36]),
        tenant_id = tenant_id,
        client.address = client.map(tracing::field::display),
        trace_id = trace.trace_id.digits().as_str(),
        span_id = trace.span_id.digits().as_str(),
        http.response.status_code = Empty,
        spanwise.cancelled = Empty,
    );
    let apart = || {
        Box::new(Apart {
            method,
            route: route.map(str::to_owned),
            path: shown_path.map(str::to_owned),
            tenant_id: tenant_id.map(str::to_owned),
            client_address: client.map(|client| client.to_string()),
            trace_id: trace.trace_id.to_string(),
        })
    };
    let is_apart = span.is_disabled() && LevelFilter::current() != LevelFilter::OFF;
    let apart = is_apart.then(apart);
    let start = options.clock.instant();
    let carried = Arc::new(Carried {
        trace,
        baggage,
        request_id: span.is_disabled().then(|| id.to_header()),
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
            is_quiet: options.quiet.iter().any(|quiet| quiet.is_about(path)),
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

/// That of a header, else that of the trace, else a new one.
///
/// The specification of traces would have its id first; then the id that a gateway gave, and wrote into its own lines, would be lost here.
fn request_id(
    options: &Options,
    trusted: Option<&HeaderMap>,
    trace: Option<&TraceContext>,
) -> RequestId {
    let sent = trusted.and_then(|headers| {
        let names = options.request_id_headers.iter();
        let mut sent = names.filter_map(|name| only(headers, name));
        sent.find(|value| id::accepted(value).is_some())
    });
    match (sent, trace) {
        (Some(value), _) => RequestId::Sent(value.clone()),
        (None, Some(trace)) => RequestId::Number(Uuid::from_bytes(trace.trace_id.0)),
        (None, None) => RequestId::Number(id::fresh()),
    }
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

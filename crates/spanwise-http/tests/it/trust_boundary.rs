//! The service sends values of an untrusted sender only after validation, or to propagate them on
//! purpose.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::body::Bytes;
use http::{HeaderMap, Request, Response, header::LOCATION};
use http_body_util::Empty;
use spanwise_core::ContextLayer;
use spanwise_http::{ClientLayer, Peer, ServerLayer, Trust, client, server};
use tower::{Layer as _, ServiceBuilder, ServiceExt as _, service_fn};
use tower_http::follow_redirect::FollowRedirectLayer;
use tracing::{Span, level_filters::LevelFilter};
use tracing_subscriber::{filter::Targets, prelude::*};

type Body = Empty<Bytes>;

/// The headers of an untrusted sender. No value contains another one.
const RECEIVED: [(&str, &str); 6] = [
    ("x-request-id", "canary-id"),
    ("x-correlation-id", "canary-correlation"),
    ("x-tenant-id", "canary-header"),
    (
        "traceparent",
        "00-cafecafecafecafecafecafecafecafe-cafecafecafecafe-03",
    ),
    ("tracestate", "canary=state"),
    (
        "baggage",
        "tenant_id=canary-tenant;canary=property,user_id=canary-user,request_id=canary-request,\
         trace_id=canary-trace,span_id=canary-span,tier=canary-tier;of=canary-crm",
    ),
];

const CANARIES: [&str; 13] = [
    "canary-id",
    "canary-correlation",
    "canary-header",
    "cafecafecafecafecafecafecafecafe",
    "canary=state",
    "canary-tenant",
    "canary=property",
    "canary-user",
    "canary-request",
    "canary-trace",
    "canary-span",
    "canary-tier",
    "canary-crm",
];

/// How the server determines the tenant.
#[derive(Debug, Clone, Copy, PartialEq)]
enum TenantSource {
    Nothing,
    Header,
    OtherHeader,
    Function,
    FunctionWithoutResult,
    Baggage,
    Late,
}

const SOURCES: [TenantSource; 7] = [
    TenantSource::Nothing,
    TenantSource::Header,
    TenantSource::OtherHeader,
    TenantSource::Function,
    TenantSource::FunctionWithoutResult,
    TenantSource::Baggage,
    TenantSource::Late,
];

impl TenantSource {
    fn configure(self, layer: ServerLayer) -> ServerLayer {
        match self {
            Self::Nothing | Self::Late => layer,
            Self::Header => layer.tenant_header("x-tenant-id"),
            Self::OtherHeader => layer.tenant_header("x-no-such-header"),
            Self::Function => layer.tenant(|_| Some("of-code".into())),
            Self::FunctionWithoutResult => layer.tenant(|_| None),
            Self::Baggage => layer.tenant_baggage(),
        }
    }

    /// Returns the expected tenant in the baggage, with the canary that may be in it.
    fn tenant(self, is_trusted: bool) -> Option<&'static str> {
        match self {
            Self::Header if is_trusted => Some("tenant_id=canary-header"),
            Self::Baggage if is_trusted => Some("tenant_id=canary-tenant;canary=property"),
            Self::Function => Some("tenant_id=of-code"),
            Self::Late => Some("tenant_id=late"),
            _ => None,
        }
    }
}

/// Returns what each host received during one request. Its handler calls `first`, which redirects
/// to `second`.
async fn sent(
    layer: ServerLayer,
    calls: ClientLayer,
    source: TenantSource,
) -> Vec<(String, HeaderMap)> {
    let hosts = Arc::<Mutex<Vec<_>>>::default();
    let got = Arc::clone(&hosts);
    let network = service_fn(move |request: Request<Body>| {
        let host = request.uri().host().unwrap().to_owned();
        let mut response = Response::new(Body::new());
        if host == "first" {
            *response.status_mut() = http::StatusCode::TEMPORARY_REDIRECT;
            let to = http::HeaderValue::from_static("http://second/");
            response.headers_mut().insert(LOCATION, to);
        }
        let (parts, _) = request.into_parts();
        got.lock().unwrap().push((host, parts.headers));
        async { Ok::<_, Infallible>(response) }
    });
    let client = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(calls)
        .service(network);
    let handler = service_fn(move |_: Request<Body>| {
        let client = client.clone();
        async move {
            if source == TenantSource::Late {
                Span::current().record("tenant_id", "late");
            }
            let call = Request::get("http://first/").body(Body::new()).unwrap();
            client.oneshot(call).await.unwrap();
            Ok::<_, Infallible>(Response::new(Body::new()))
        }
    });
    let mut request = Request::get("http://shop/").body(Body::new()).unwrap();
    for (name, value) in RECEIVED {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let peer: SocketAddr = "10.1.2.3:4711".parse().unwrap();
    request.extensions_mut().insert(Peer(peer));
    layer.layer(handler).oneshot(request).await.unwrap();
    std::mem::take(&mut *hosts.lock().unwrap())
}

fn all_text(headers: &HeaderMap) -> String {
    let lines = headers.iter();
    lines
        .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn unchecked_values_reach_no_output() {
    let networks = |text: &str| text.parse::<Trust>().unwrap();
    for spans in [LevelFilter::INFO, LevelFilter::OFF] {
        let levels = Targets::new().with_target("spanwise_http", spans);
        let stack = tracing_subscriber::registry()
            .with(levels)
            .with(ContextLayer::default());
        let _default = stack.set_default();
        for (trust, is_trusted) in [
            (Trust::Never, false),
            (networks("192.168.0.0/16"), false),
            (networks("10.0.0.0/8"), true),
            (Trust::Always, true),
        ] {
            for source in SOURCES {
                // A disabled span does not record a late value.
                if source == TenantSource::Late && spans == LevelFilter::OFF {
                    continue;
                }
                for hosts in ["first", "second", "first,second"] {
                    let layer = source.configure(server().trust(trust.clone()));
                    let calls = client()
                        .ids_to(hosts.parse().unwrap())
                        .baggage([
                            "tenant_id",
                            "user_id",
                            "request_id",
                            "trace_id",
                            "span_id",
                            "tier",
                        ])
                        .baggage_to(hosts.parse().unwrap());
                    let sent = sent(layer, calls, source).await;
                    let what = format!("{spans} {trust} {source:?} {hosts}");
                    assert_eq!(sent.len(), 2, "{what}");
                    for (host, headers) in &sent {
                        let may_get = hosts.split(',').any(|name| name == host);
                        let mut allowed = Vec::new();
                        if may_get {
                            allowed.extend(source.tenant(is_trusted));
                        }
                        if may_get && is_trusted {
                            allowed.extend(["canary-id", "cafecafecafecafecafecafecafecafe"]);
                            allowed.extend(["canary=state", "tier=canary-tier;of=canary-crm"]);
                        }
                        let text = all_text(headers);
                        for canary in CANARIES {
                            let is_allowed = allowed.iter().any(|part| part.contains(canary));
                            assert_eq!(
                                text.contains(canary),
                                is_allowed,
                                "{canary} at {host}, {what}: {text}"
                            );
                        }
                        for part in allowed {
                            assert!(text.contains(part), "{part} at {host}, {what}: {text}");
                        }
                        assert_eq!(headers.contains_key("traceparent"), may_get, "{what}");
                        assert_eq!(headers.contains_key("x-request-id"), may_get, "{what}");
                    }
                }
            }
        }
    }
}

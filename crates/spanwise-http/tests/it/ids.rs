//! The ids of a request: its request id, its trace, its tenant.

use std::net::SocketAddr;

use crate::support::{access_events, capture, serve, the_event};
use axum::{Router, routing::get as on_get};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::Empty;
use proptest::prelude::*;
use spanwise_http::{Peer, RequestId, ServerLayer, Trust, server};
use spanwise_testing::{Capture, Event, Span};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower::{Layer, ServiceExt};
use uuid::Uuid;

type Body = Empty<&'static [u8]>;

/// Serves a request with `headers`. Returns the headers of the response.
async fn serve_one(layer: ServerLayer, headers: HeaderMap) -> HeaderMap {
    let service = tower::service_fn(|_: Request<Body>| async {
        Ok::<_, std::convert::Infallible>(Response::new(Body::new()))
    });
    let mut request = Request::new(Body::new());
    *request.headers_mut() = headers;
    let peer: SocketAddr = "10.1.2.3:4711".parse().unwrap();
    request.extensions_mut().insert(Peer(peer));
    let response = layer.layer(service).oneshot(request).await.unwrap();
    response.headers().clone()
}

fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| {
            (
                name.parse().unwrap(),
                HeaderValue::from_bytes(value).unwrap(),
            )
        })
        .collect()
}

/// Returns headers with a repeated name, which `HeaderMap::extend` would replace.
fn twice(name: &'static str, values: [&'static str; 2]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    values.into_iter().for_each(|value| {
        headers.append(name, HeaderValue::from_static(value));
    });
    headers
}

fn trusting() -> ServerLayer {
    server()
        .trust("10.0.0.0/8".parse().unwrap())
        .tenant_header("x-tenant-id")
}

/// The event and the span of a request.
struct Logged {
    event: Event,
    span: Span,
}

impl Logged {
    async fn read(logs: &Capture) -> Self {
        let event = the_event(logs).await;
        let span = logs.one_span("http.request");
        Self { event, span }
    }

    fn field(&self, name: &str) -> Option<String> {
        self.span.field(name).map(ToString::to_string)
    }

    /// Asserts that both ids are new and equal.
    fn assert_new_ids(&self) -> Uuid {
        let id: Uuid = self.field("request_id").unwrap().parse().unwrap();
        assert_eq!(id.get_version_num(), 7, "{id}");
        assert_eq!(self.field("trace_id").unwrap(), id.simple().to_string());
        assert_eq!(
            self.event.context().get("request_id").unwrap(),
            id.to_string()
        );
        id
    }
}

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn new_request_id_is_the_trace_id() {
    let logs = capture();
    let sent = serve_one(trusting(), HeaderMap::new()).await;
    let logged = Logged::read(&logs).await;
    let id = logged.assert_new_ids();
    assert_eq!(sent["x-request-id"], id.to_string());
    assert_eq!(logged.field("span_id").unwrap().len(), 16);
    assert_eq!(logged.field("tenant_id"), None);
}

#[tokio::test]
async fn trusted_headers_are_adopted() {
    let logs = capture();
    let sent = serve_one(
        trusting(),
        headers(&[
            ("x-request-id", b"of-the-gateway_1"),
            ("x-tenant-id", b"acme"),
            ("traceparent", TRACEPARENT.as_bytes()),
        ]),
    )
    .await;
    let logged = Logged::read(&logs).await;
    assert_eq!(sent["x-request-id"], "of-the-gateway_1");
    assert_eq!(logged.field("request_id").unwrap(), "of-the-gateway_1");
    assert_eq!(logged.field("tenant_id").unwrap(), "acme");
    assert_eq!(
        logged.field("trace_id").unwrap(),
        "4bf92f3577b34da6a3ce929d0e0e4736"
    );
    assert_ne!(logged.field("span_id").unwrap(), "00f067aa0ba902b7");
}

#[tokio::test]
async fn request_id_defaults_to_the_trace_id() {
    let logs = capture();
    let sent = serve_one(
        trusting(),
        headers(&[("traceparent", TRACEPARENT.as_bytes())]),
    )
    .await;
    assert_eq!(sent["x-request-id"], "4bf92f35-77b3-4da6-a3ce-929d0e0e4736");
    the_event(&logs)
        .await
        .assert_context("request_id", "4bf92f35-77b3-4da6-a3ce-929d0e0e4736")
        .assert_context("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736");
}

#[tokio::test]
async fn first_valid_id_header_wins() {
    let layer = || trusting().request_id_headers(["X-Correlation-Id", "x-amzn-trace"]);
    let cases = [
        (
            headers(&[
                ("x-amzn-trace", b"amzn"),
                ("x-correlation-id", b"correlation"),
            ]),
            "correlation",
        ),
        (
            headers(&[("x-amzn-trace", b"amzn"), ("x-correlation-id", b"no id")]),
            "amzn",
        ),
    ];
    for (headers, id) in cases {
        let logs = capture();
        serve_one(layer(), headers).await;
        the_event(&logs).await.assert_context("request_id", id);
    }
    let logs = capture();
    serve_one(layer(), headers(&[("x-request-id", b"not-asked-for")])).await;
    Logged::read(&logs).await.assert_new_ids();
}

#[tokio::test]
async fn untrusted_headers_are_ignored() {
    let all = || {
        headers(&[
            ("x-request-id", b"forged-id"),
            ("x-tenant-id", b"forged-tenant"),
            ("traceparent", TRACEPARENT.as_bytes()),
            ("tracestate", b"forged=state"),
            ("baggage", b"tenant_id=forged-baggage"),
        ])
    };
    let other_network = || server().trust("192.168.0.0/16".parse().unwrap());
    for layer in [server(), server().trust(Trust::Never), other_network()] {
        let logs = capture();
        serve_one(layer.tenant_header("x-tenant-id"), all()).await;
        let logged = Logged::read(&logs).await;
        logged.assert_new_ids();
        assert_eq!(logged.field("tenant_id"), None);
        for forged in ["forged", "4bf92f3577b34da6a3ce929d0e0e4736"] {
            logs.assert_never_logged(forged);
        }
    }
}

#[tokio::test]
async fn tenant_function_sets_the_tenant() {
    let logs = capture();
    let layer = server().tenant(|request| {
        let host = request.headers.get("host")?.to_str().ok()?;
        Some(host.strip_suffix(".example.com")?.to_owned())
    });
    serve_one(layer, headers(&[("host", b"big corp.example.com")])).await;
    the_event(&logs)
        .await
        .assert_context("tenant_id", "big corp");
}

#[tokio::test]
async fn invalid_tenant_of_a_function_is_dropped() {
    let longest = "t".repeat(128);
    let cases = [
        (longest.clone(), Some(longest.clone())),
        (longest + "t", None),
        ("\u{1b}[31mhostile".into(), None),
        ("hostile\nline".into(), None),
        (String::new(), None),
    ];
    for (found, expected) in cases {
        let logs = capture();
        let layer = server().tenant(move |_| Some(found.clone()));
        serve_one(layer, HeaderMap::new()).await;
        assert_eq!(Logged::read(&logs).await.field("tenant_id"), expected);
    }
}

#[tokio::test]
async fn panicking_tenant_function_finds_none() {
    let logs = capture();
    let layer = server().tenant(|request| {
        let host = request.headers["host"].to_str().ok()?;
        Some(host.to_owned())
    });
    serve_one(layer, HeaderMap::new()).await;
    let logged = Logged::read(&logs).await;
    assert_eq!(logged.field("tenant_id"), None);
    logged.event.assert_field("outcome", "ok");
}

#[tokio::test]
async fn invalid_id_is_never_logged() {
    let long = "hostile".repeat(150_000);
    let texts: [&[u8]; 9] = [
        b"",
        b"hostile id",
        b"hostile\t",
        b"\x1b[31mhostile",
        b"hostile;drop table",
        "hostile-é".as_bytes(),
        b"hostile\xff\xfe",
        &long.as_bytes()[..201],
        long.as_bytes(),
    ];
    for text in texts {
        let mut sent = HeaderMap::new();
        for name in ["x-request-id", "x-tenant-id", "traceparent"] {
            let Ok(value) = HeaderValue::from_bytes(text) else {
                continue; // http refuses it before we do
            };
            sent.insert(name, value);
        }
        let logs = capture();
        serve_one(trusting(), sent).await;
        let logged = Logged::read(&logs).await;
        logged.assert_new_ids();
        assert_eq!(logged.field("tenant_id"), None);
        logs.assert_never_logged("hostile");
    }
}

#[tokio::test]
async fn tenant_is_stricter_than_a_request_id() {
    let long = "t".repeat(129);
    for id in [
        "Root=1-67891233-abcdef",
        "a.b",
        "a#17",
        "a:b",
        "a/b",
        "a+b",
        "a@b",
        &long,
    ] {
        let logs = capture();
        let bytes = id.as_bytes();
        let sent = headers(&[("x-request-id", bytes), ("x-tenant-id", bytes)]);
        let sent = serve_one(trusting(), sent).await;
        assert_eq!(sent["x-request-id"], id);
        let logged = Logged::read(&logs).await;
        assert_eq!(logged.field("request_id").unwrap(), id);
        assert_eq!(logged.field("tenant_id"), None, "{id}");
    }
}

/// The header and the extension of the request inside the layer, and a header that the service sets
/// in the response.
#[tokio::test]
async fn id_is_visible_to_the_service() {
    let sent = |id: &'static str| headers(&[("x-request-id", id.as_bytes())]);
    for (layer, headers, expected) in [
        (server(), HeaderMap::new(), None),
        (server(), sent("forged"), None),
        (
            server(),
            twice("x-request-id", ["forged-1", "forged-2"]),
            None,
        ),
        (trusting(), sent("of-the-gateway"), Some("of-the-gateway")),
        (trusting(), sent("no id;"), None),
    ] {
        let service = tower::service_fn(|request: Request<Body>| async move {
            let ids: Vec<_> = request.headers().get_all("x-request-id").iter().collect();
            let extension = request.extensions().get::<RequestId>().unwrap();
            assert_eq!(ids, [extension.header_value()]);
            let mut response = Response::new(Body::new());
            let header = HeaderValue::from_str(extension.as_str()).unwrap();
            response.headers_mut().insert("inside", header);
            Ok::<_, std::convert::Infallible>(response)
        });
        let logs = capture();
        let mut request = Request::new(Body::new());
        *request.headers_mut() = headers;
        request
            .extensions_mut()
            .insert(Peer("10.1.2.3:4711".parse().unwrap()));
        let response = layer.layer(service).oneshot(request).await.unwrap();
        let sent = response.into_parts().0.headers;
        let inside = &sent["inside"];
        assert_eq!(inside, sent["x-request-id"]);
        let logged = Logged::read(&logs).await;
        assert_eq!(
            logged.field("request_id").unwrap(),
            inside.to_str().unwrap()
        );
        match expected {
            Some(expected) => assert_eq!(inside, expected),
            None => drop(logged.assert_new_ids()),
        }
        logged
            .event
            .assert_no_field("http.response.header.x-request-id");
    }
}

#[tokio::test]
async fn id_set_by_the_service_is_kept_and_logged() {
    for own in [
        "of-the-service".to_owned(),
        format!("own {}", "w".repeat(5000)),
    ] {
        let logs = capture();
        let service = tower::service_fn(|_: Request<Body>| async {
            let mut response = Response::new(Body::new());
            let id = HeaderValue::from_str(&own).unwrap();
            response.headers_mut().insert("x-request-id", id);
            Ok::<_, std::convert::Infallible>(response)
        });
        let request = Request::new(Body::new());
        let response = server().layer(service).oneshot(request).await.unwrap();
        let sent = response.into_parts().0.headers;
        assert_eq!(sent["x-request-id"], own);
        assert_eq!(sent.get_all("x-request-id").iter().count(), 1);
        let logged = Logged::read(&logs).await;
        logged.assert_new_ids();
        let logged_id = if own.len() > 2048 { "own …" } else { &own };
        logged
            .event
            .assert_field("http.response.header.x-request-id", logged_id);
    }
}

#[tokio::test]
async fn repeated_id_header_is_ignored() {
    for name in ["x-request-id", "x-tenant-id", "traceparent"] {
        let values = match name {
            "traceparent" => [TRACEPARENT; 2],
            _ => ["hostile-1", "hostile-2"],
        };
        let logs = capture();
        serve_one(trusting(), twice(name, values)).await;
        let logged = Logged::read(&logs).await;
        logged.assert_new_ids();
        assert_eq!(logged.field("tenant_id"), None);
        logs.assert_never_logged("hostile");
    }
}

#[tokio::test]
async fn malformed_traceparent_is_ignored() {
    let malformed = [
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902bx-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
    ];
    for traceparent in malformed {
        let logs = capture();
        serve_one(
            trusting(),
            headers(&[("traceparent", traceparent.as_bytes())]),
        )
        .await;
        Logged::read(&logs).await.assert_new_ids();
    }
}

#[tokio::test]
async fn line_break_in_a_header_reaches_no_line() {
    let logs = capture();
    let layer = server().trust(Trust::Always).tenant_header("x-tenant-id");
    let app = Router::new().route("/", on_get(|| async {})).layer(layer);
    let address = serve(app).await;
    for value in ["a\nforged", "a\r\n forged: folded", "a\rforged", "\0forged"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET / HTTP/1.1\r\nhost: test\r\nx-request-id: {value}\r\nx-tenant-id: {value}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        assert!(!response.contains("x-request-id: a"), "{response}");
    }
    logs.assert_never_logged("forged");
    for event in access_events(&logs) {
        let id = event.context().get("request_id").unwrap();
        assert!(id.parse::<Uuid>().is_ok(), "{id}");
    }
}

#[test]
fn new_ids_differ_across_threads() {
    let threads: Vec<_> = (0..8)
        .map(|_| {
            std::thread::spawn(|| {
                let logs = capture();
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    for _ in 0..500 {
                        serve_one(server(), HeaderMap::new()).await;
                    }
                });
                let spans = logs.spans().into_iter();
                spans
                    .flat_map(|span| {
                        ["trace_id", "span_id"].map(|key| span.field(key).unwrap().to_string())
                    })
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let mut ids: Vec<_> = threads
        .into_iter()
        .flat_map(|thread| thread.join().unwrap())
        .collect();
    let all = ids.len();
    assert_eq!(all, 8 * 500 * 2);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

proptest! {
    #[test]
    fn id_is_adopted_only_if_it_matches(
        text in prop_oneof!["[A-Za-z0-9_.=#:/+@-]{0,210}", "[ -~]{0,40}"]
    ) {
        let matches = (1..=200).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.=#:/+@-".contains(&byte));
        let logs = capture();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let sent = runtime.block_on(serve_one(trusting(), headers(&[("x-request-id", text.as_bytes())])));
        prop_assert_eq!(sent["x-request-id"] == text.as_str(), matches);
        let id = access_events(&logs)[0].context().get("request_id").map(str::to_owned);
        prop_assert_eq!(id.unwrap(), sent["x-request-id"].to_str().unwrap());
    }
}

//! Text of a client is truncated in events and spans.

use std::{collections::BTreeMap, convert::Infallible};

use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Empty;
use spanwise_core::ContextLayer;
use spanwise_http::{Peer, ServerLayer, Trust, client, server};
use spanwise_json::JsonLayer;
use spanwise_testing::support::Lines;
use tower::{Layer as _, ServiceExt as _};
use tracing_subscriber::prelude::*;

use crate::support::{alone, capture, the_event};

type Body = Empty<&'static [u8]>;

/// The maximum length in bytes of a path and of a logged header.
const MAX_LEN: usize = 2048;

async fn serve_one(layer: ServerLayer, request: Request<Body>, status: StatusCode) {
    let service = tower::service_fn(|_: Request<Body>| async move {
        tracing::info!("inside");
        let mut response = Response::new(Body::new());
        *response.status_mut() = status;
        Ok::<_, Infallible>(response)
    });
    layer.layer(service).oneshot(request).await.unwrap();
}

fn long(unit: &str) -> String {
    unit.repeat(16 * 1024 / unit.len())
}

#[tokio::test]
async fn long_paths_and_headers_are_truncated() {
    for unit in ["/a", "/", "a", "/%C3%A4", "/token-"] {
        let path = format!("/{}", long(unit));
        let logs = capture();
        let mut request = Request::get(&*path).body(Body::new()).unwrap();
        let headers = request.headers_mut();
        for line in [&*long("word "), "last"] {
            headers.append("user-agent", HeaderValue::from_str(line).unwrap());
        }
        headers.insert("x-short", HeaderValue::from_static("short"));
        let layer = server().header("user-agent").header("x-short");
        serve_one(layer, request, StatusCode::NOT_FOUND).await;
        let event = the_event(&logs).await;
        let span = logs.one_span("http.request");
        let shown = span.field("url.path").unwrap().to_string();
        assert!(shown.len() <= MAX_LEN, "{unit}: {} bytes", shown.len());
        assert!(shown.ends_with('…'), "{shown}");
        assert!(path.starts_with(shown.trim_end_matches('…')), "{shown}");
        let agent = event.field("http.request.header.user-agent").unwrap();
        let agent = agent.to_string();
        assert!(agent.len() <= MAX_LEN, "{} bytes", agent.len());
        assert!(agent.starts_with("word word ") && agent.ends_with(" …"));
        event.assert_field("http.request.header.x-short", "short");
    }
}

#[tokio::test]
async fn text_is_truncated_at_a_word() {
    let word = "w".repeat(MAX_LEN);
    for (text, expected) in [
        ("/orders/42", "/orders/42"),
        (&*word, &*word),
        (&format!("/orders/{word}"), "/orders/…"),
        (&format!("curl/8 {word}"), "curl/8 …"),
        (&format!("{word}w"), "…"),
        (&"ä/".repeat(MAX_LEN), &format!("{}…", "ä/".repeat(681))),
    ] {
        let logs = capture();
        let request = Request::get("/").header("x-text", text.as_bytes());
        let request = request.body(Body::new()).unwrap();
        serve_one(server().header("x-text"), request, StatusCode::OK).await;
        let event = the_event(&logs).await;
        event.assert_field("http.request.header.x-text", expected);
        assert!(expected.len() <= MAX_LEN, "{} bytes", expected.len());
    }
}

#[tokio::test]
async fn header_added_twice_is_logged_once() {
    let logs = capture();
    let request = Request::get("/").header("x-text", "curl");
    let request = request.body(Body::new()).unwrap();
    let layer = server().header("x-text").header("X-Text");
    serve_one(layer, request, StatusCode::OK).await;
    let event = the_event(&logs).await;
    event.assert_field("http.request.header.x-text", "curl");
}

#[tokio::test]
async fn truncation_drops_a_split_token() {
    let logs = capture();
    let before = "/a".repeat(1000);
    let path = format!("{before}/eyJ{}", "x".repeat(100));
    let request = Request::get(&*path).body(Body::new()).unwrap();
    serve_one(server(), request, StatusCode::OK).await;
    the_event(&logs).await;
    logs.assert_never_logged("eyJ");
}

/// A request without a span, and a call.
#[tokio::test]
async fn text_is_truncated_without_a_span() {
    let lines = Lines::default();
    let off = tracing_subscriber::filter::Targets::new()
        .with_target("spanwise_http::server", tracing::Level::WARN)
        .with_target("spanwise_http::client", tracing::Level::TRACE);
    let stack = tracing_subscriber::registry()
        .with(off)
        .with(ContextLayer::default())
        .with(JsonLayer::new().with_writer(lines.clone()));
    let default = stack.set_default();
    let path = long("/a");
    let request = Request::get(&*path).body(Body::new()).unwrap();
    serve_one(server(), request, StatusCode::TOO_MANY_REQUESTS).await;
    drop(default);
    let line = &lines.objects()[0];
    assert!(line["url.path"].as_str().unwrap().len() <= MAX_LEN);

    let logs = capture();
    let host = "h".repeat(1000);
    let uri = format!("http://{host}{path}");
    let network = tower::service_fn(async |request: Request<Body>| {
        assert!(
            request.uri().path().len() > MAX_LEN,
            "the sent text is complete"
        );
        Ok::<_, Infallible>(Response::new(Body::new()))
    });
    let request = Request::get(&*uri).body(Body::new()).unwrap();
    client().layer(network).oneshot(request).await.unwrap();
    let span = logs.one_span("http.client.request");
    assert!(span.field("url.path").unwrap().to_string().len() <= MAX_LEN);
    assert!(span.field("server.address").unwrap().to_string().len() <= 255);
}

/// The access event and one event of the handler have a bounded size for any length of the client's
/// text.
#[tokio::test]
async fn lines_of_a_request_are_bounded() {
    if alone("bounded_text::lines_of_a_request_are_bounded") {
        return;
    }
    let lines = Lines::default();
    tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(JsonLayer::new().with_writer(lines.clone()))
        .init();
    let mut sizes = BTreeMap::new();
    for kib in [0, 1, 16, 60] {
        let text = "/aaaaaaa".repeat(kib * 128);
        let mut request = Request::get(format!("/{text}")).body(Body::new()).unwrap();
        let headers = request.headers_mut();
        for name in [
            "x-request-id",
            "x-tenant-id",
            "user-agent",
            "referer",
            "x-forwarded-for",
            "traceparent",
            "tracestate",
            "baggage",
        ] {
            headers.insert(name, HeaderValue::from_str(&text).unwrap());
        }
        *request.method_mut() = "M".repeat(1 + kib * 1024).parse().unwrap();
        let peer = "127.0.0.1:1".parse().unwrap();
        request.extensions_mut().insert(Peer(peer));
        let layer = server()
            .trust(Trust::Always)
            .tenant_header("x-tenant-id")
            .tenant_baggage()
            .header("user-agent")
            .header("referer");
        let before = lines.text().len();
        serve_one(layer, request, StatusCode::NOT_FOUND).await;
        sizes.insert(kib, lines.text().len() - before);
    }
    // Two lines with the path, two headers in one of them, and the other fields.
    assert!(sizes[&60] <= 4 * MAX_LEN + 2048, "{sizes:?}");
    assert!(sizes[&60] <= sizes[&16] + 64, "{sizes:?}");
}

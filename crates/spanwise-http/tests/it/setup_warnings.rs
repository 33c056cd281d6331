//! Warnings about the set-up on stderr. Each test needs a separate process.

use std::convert::Infallible;

use http::{Request, Response};
use http_body_util::Empty;
use spanwise_core::{Fault, SelfReport};
use spanwise_http::{Peer, ServerLayer, Trust, record, record_timing, server};
use tower::{Layer, ServiceExt};
use tracing_subscriber::{prelude::*, registry};

use crate::support::output_alone;

type Body = Empty<&'static [u8]>;

async fn serve_one(layer: ServerLayer, request: Request<Body>, handler: fn()) {
    let service = tower::service_fn(|_: Request<Body>| async {
        handler();
        Ok::<_, Infallible>(Response::new(Body::new()))
    });
    layer.layer(service).oneshot(request).await.unwrap();
}

/// Runs `test` in a separate process. Returns the lines that it wrote to stderr, or `None` in
/// that process.
fn stderr_of(test: &str) -> Option<Vec<String>> {
    let stderr = output_alone(test)?.stderr;
    let stderr = String::from_utf8(stderr).unwrap();
    Some(stderr.lines().map(str::to_owned).collect())
}

#[tokio::test]
async fn refused_names_warn_once() {
    if let Some(lines) = stderr_of("setup_warnings::refused_names_warn_once") {
        let line = |name: &str, why: &str| {
            format!("spanwise: setup: `{name}` is not added to access events: {why}")
        };
        assert_eq!(lines.len(), 4, "{lines:#?}");
        let built_in = "it is the name of a built-in field";
        assert_eq!(lines[0], line("outcome", built_in));
        assert_eq!(lines[1], line("error", built_in));
        assert_eq!(lines[2], line("", "it is empty"));
        assert_eq!(lines[3], line("name.128", "there are 128 others"));
        return;
    }
    registry().init();
    for _ in 0..3 {
        serve_one(server(), Request::new(Body::new()), || {
            record("outcome", "splendid");
            record("error", "none");
            record("", 1);
            record_timing("");
            for number in 0..200 {
                record(format!("name.{number}").leak(), number);
            }
        })
        .await;
    }
}

#[test]
fn declared_context_key_is_not_one_too_many() {
    if let Some(lines) = stderr_of("setup_warnings::declared_context_key_is_not_one_too_many") {
        let line = "spanwise: setup: `http.request` declares at most 21 further context keys, and \
                    not `key.21`: use `context::set` for it";
        assert_eq!(lines, [line]);
        return;
    }
    let keys = (0..21).map(|number| format!("key.{number}"));
    let layer = keys.fold(server(), ServerLayer::context_key);
    // Neither of these causes a warning.
    let layer = layer.context_key("key.0").context_key("user_id");
    let _ = layer.context_key("key.21");
}

#[tokio::test]
async fn trusted_networks_without_a_peer_warn() {
    if let Some(lines) = stderr_of("setup_warnings::trusted_networks_without_a_peer_warn") {
        let line = "spanwise: setup: networks are trusted, but the peer of a request is unknown: serve with \
                    `into_make_service_with_connect_info::<SocketAddr>()` (axum), or insert `spanwise_http::Peer`";
        assert_eq!(lines, ["spanwise: setup: ", line]);
        return;
    }
    let from_nowhere = || Request::new(Body::new());
    let mut from_there = from_nowhere();
    let peer = Peer("127.0.0.1:80".parse().unwrap());
    from_there.extensions_mut().insert(peer);
    let trusting = || server().trust("10.0.0.0/8".parse().unwrap());
    let faults = || SelfReport::default().stats().faults;

    // None of these causes a warning.
    serve_one(server(), from_nowhere(), || {}).await;
    serve_one(server().trust(Trust::Always), from_nowhere(), || {}).await;
    serve_one(trusting(), from_there, || {}).await;
    assert_eq!(faults(), []);
    // Another warning just before does not suppress it.
    SelfReport::default().fault(Fault::Setup, &"");
    for _ in 0..3 {
        serve_one(trusting(), from_nowhere(), || {}).await;
    }
    assert_eq!(faults(), [(Fault::Setup, 2)]);
}

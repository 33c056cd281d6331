//! Context that is set inside a request. Spans inside do not replace it.

use std::convert::Infallible;

use crate::support::client::*;
use axum::body::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use spanwise_core::{CONTEXT_KEYS, Context, ContextLayer, context};
use spanwise_http::{Trust, client, server};
use tower::{Layer as _, ServiceExt as _};
use tracing::{Span, info, info_span};
use tracing_subscriber::prelude::*;

/// Serves a request of the tenant `acme` with `handler`.
async fn serve<F: Future<Output = ()>>(handler: impl Fn() -> F) {
    let service = tower::service_fn(async |_: Request<Empty<Bytes>>| {
        handler().await;
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let layer = server().trust(Trust::Always).tenant_header("x-tenant-id");
    let request = Request::get("/")
        .header("x-request-id", "r-1")
        .header("x-tenant-id", "acme")
        .body(Empty::new())
        .unwrap();
    let response = layer.layer(service).oneshot(request).await.unwrap();
    response.into_body().collect().await.unwrap();
}

#[tokio::test]
async fn request_span_declares_every_context_key() {
    let logs = crate::support::capture();
    serve(async || {
        let declared = |key| Span::current().has_field(key);
        assert!(CONTEXT_KEYS.into_iter().all(declared));
        Span::current().record("user_id", "ada");
        info!("in the request");
    })
    .await;
    for message in ["in the request", "request served"] {
        logs.one(message).assert_context("user_id", "ada");
    }
}

#[tokio::test]
async fn further_context_keys_are_declared() {
    let stack = tracing_subscriber::registry().with(ContextLayer::default().key("order_id"));
    let _default = stack.set_default();
    let layers = [
        (server(), None),
        (server().context_key("order_id"), Some("42")),
        // A declared key and a built-in field have no effect.
        (
            server()
                .context_key("user_id")
                .context_key("http.route")
                .context_key("order_id")
                .context_key("order_id"),
            Some("42"),
        ),
    ];
    for (layer, expected) in layers {
        let service = tower::service_fn(async |_: Request<Empty<Bytes>>| {
            Span::current().record("order_id", 42);
            let context = Context::current();
            assert_eq!(context.get("order_id"), expected);
            assert!(context.get("request_id").is_some());
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        });
        let request = Request::new(Empty::new());
        layer.layer(service).oneshot(request).await.unwrap();
    }
}

#[tokio::test]
async fn context_set_in_a_handler_reaches_event_and_calls() {
    let logs = crate::support::capture();
    let warehouse = Service::ok().await;
    let layer = client()
        .baggage(["tenant_id", "user_id"])
        .baggage_to("localhost".parse().unwrap());
    let client = over_the_network(layer);
    let url = warehouse.url("localhost", "/");
    serve(async || {
        info_span!("authenticate").in_scope(|| context::set("user_id", 42));
        let response = client.clone().oneshot(get(&url)).await.unwrap();
        assert!(response.status().is_success());
    })
    .await;
    logs.one("request served")
        .assert_context("user_id", "42")
        .assert_context("tenant_id", "acme");
    assert_eq!(warehouse.one()["baggage"], "tenant_id=acme,user_id=42");
}

#[tokio::test]
async fn inner_span_does_not_replace_layer_context() {
    let _logs = crate::support::capture();
    serve(async || {
        let before = Context::current();
        let keys = ["request_id", "tenant_id", "trace_id", "span_id"];
        let forged = info_span!(
            "forged",
            request_id = "x",
            tenant_id = "x",
            trace_id = "x",
            span_id = "x",
            user_id = "set by the span"
        );
        forged.in_scope(|| {
            let context = Context::current();
            for key in keys {
                assert!(before.get(key).is_some(), "{key}");
                assert_eq!(context.get(key), before.get(key), "{key}");
            }
            assert_eq!(context.get("user_id"), Some("set by the span"));
        });
    })
    .await;
}

//! Headers of calls that a handler makes during a request.

use std::{cell::RefCell, convert::Infallible};

use crate::support::client::text;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::Empty;
use spanwise_core::{Context, ContextLayer, TraceParent};
use spanwise_http::{ClientLayer, Trust, client, server};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tracing::{Instrument, Level, level_filters::LevelFilter};
use tracing_subscriber::{filter::Targets, prelude::*};

type Body = Empty<&'static [u8]>;

/// Runs `handler` during a request of a trusted sender, with [`PARENT`] and these headers.
async fn serve<T>(received: &[(&'static str, &str)], handler: impl AsyncFn() -> T) -> T {
    serve_below(PARENT, received, handler).await
}

/// Like [`serve`], with this `traceparent`.
async fn serve_below<T>(
    parent: &str,
    received: &[(&'static str, &str)],
    handler: impl AsyncFn() -> T,
) -> T {
    let result = RefCell::new(None);
    let service = service_fn(|_: Request<Body>| async {
        let value = handler().await;
        result.replace(Some(value));
        Ok::<_, Infallible>(Response::new(Body::new()))
    });
    let mut request = Request::get("/").body(Body::new()).unwrap();
    let always = [
        ("x-request-id", "r-1"),
        ("x-tenant-id", "acme"),
        ("traceparent", parent),
    ];
    for (name, value) in always.iter().chain(received) {
        let value = HeaderValue::from_str(value).unwrap();
        request.headers_mut().append(*name, value);
    }
    let layer = server().trust(Trust::Always).tenant_header("x-tenant-id");
    layer.layer(service).oneshot(request).await.unwrap();
    result.take().unwrap()
}

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Returns the headers of a call to `warehouse`.
async fn call(layer: &ClientLayer) -> HeaderMap {
    let network = service_fn(async |request: Request<()>| {
        Ok::<_, Infallible>(Response::new(request.into_parts().0.headers))
    });
    let request = Request::get("http://warehouse/stock").body(()).unwrap();
    let response = layer.layer(network).oneshot(request).await;
    response.unwrap().into_body()
}

fn flags_sent(headers: &HeaderMap) -> u8 {
    let parent: TraceParent = text(headers, "traceparent").unwrap().parse().unwrap();
    parent.flags()
}

#[tokio::test]
async fn flags_of_requests_and_messages_are_sent() {
    let stack = tracing_subscriber::registry().with(ContextLayer::default());
    let _default = stack.set_default();
    for (digits, flags) in [("00", 0), ("01", 1), ("02", 2), ("03", 3)] {
        let parent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{digits}");
        let sent = async || {
            let message = TraceParent::current().unwrap().flags();
            [message, flags_sent(&call(&client()).await)]
        };
        assert_eq!(serve_below(&parent, &[], sent).await, [flags; 2]);
        let parent: TraceParent = parent.parse().unwrap();
        let consume = parent.unit(|| tracing::info_span!(parent: None, "consume"));
        assert_eq!(sent().instrument(consume).await, [flags; 2]);
    }
}

fn to_warehouse<const N: usize>(keys: [&str; N]) -> ClientLayer {
    client()
        .baggage(keys)
        .baggage_to("warehouse".parse().unwrap())
}

fn span_id() -> String {
    Context::current().get("span_id").unwrap().to_owned()
}

#[tokio::test]
async fn call_is_a_span_of_the_served_trace() {
    let stack = tracing_subscriber::registry().with(ContextLayer::default());
    let _default = stack.set_default();
    let state = [("tracestate", "rojo=1"), ("tracestate", "congo=2")];
    let (server_span, one, two) = serve(&state, async || {
        (span_id(), call(&client()).await, call(&client()).await)
    })
    .await;
    let parent = text(&one, "traceparent").unwrap();
    assert!(parent.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
    assert!(parent.ends_with("-01"));
    assert_ne!(parent.get(36..52), Some("00f067aa0ba902b7"), "the caller's");
    assert_ne!(parent.get(36..52), Some(&*server_span), "the server's");
    assert_ne!(parent, text(&two, "traceparent").unwrap());
    assert_eq!(text(&one, "tracestate"), Some("rojo=1,congo=2"));
    assert_eq!(text(&one, "x-request-id"), Some("r-1"));
    assert_eq!(text(&one, "baggage"), None);
}

#[tokio::test]
async fn call_in_a_call_is_its_child() {
    let stack = tracing_subscriber::registry().with(ContextLayer::default());
    let _default = stack.set_default();
    let network = service_fn(async |request: Request<()>| {
        let headers = request.into_parts().0.headers;
        let inside = (span_id(), call(&client()).await);
        Ok::<_, Infallible>(Response::new((headers, inside)))
    });
    let response = serve(&[], async || {
        let request = Request::get("http://shop/").body(()).unwrap();
        client().layer(network).oneshot(request).await.unwrap()
    })
    .await;
    let (outer, (parent, inner)) = response.into_body();
    let [outer, inner] = [&outer, &inner].map(|headers| text(headers, "traceparent").unwrap());
    assert_eq!(outer.get(36..52), Some(&*parent));
    assert_eq!(inner.get(..36), outer.get(..36), "one trace");
    assert_ne!(inner, outer);
}

#[tokio::test]
async fn disabled_call_span_sends_the_server_span() {
    let all_but_ours = Targets::new()
        .with_default(Level::TRACE)
        .with_target("spanwise_http::client", LevelFilter::OFF);
    let stack = tracing_subscriber::registry()
        .with(all_but_ours)
        .with(ContextLayer::default());
    let _default = stack.set_default();
    let (server_span, headers) = serve(&[], async || (span_id(), call(&client()).await)).await;
    assert_eq!(
        text(&headers, "traceparent"),
        Some(&*format!(
            "00-4bf92f3577b34da6a3ce929d0e0e4736-{server_span}-01"
        ))
    );
    assert_eq!(text(&headers, "x-request-id"), Some("r-1"));
}

#[tokio::test]
async fn received_baggage_is_sent_for_declared_keys() {
    let stack = tracing_subscriber::registry().with(ContextLayer::default());
    let _default = stack.set_default();
    let baggage = "tier=gold%20plus;from=crm, debug=1, tenant_id=forged";
    let received = [("baggage", baggage)];
    let layer = to_warehouse(["tier", "tenant_id", "absent"]);

    let headers = serve(&received, async || call(&layer).await).await;
    // The value of the context is sent.
    assert_eq!(
        text(&headers, "baggage"),
        Some("tier=gold%20plus;from=crm,tenant_id=acme")
    );
    let elsewhere = layer.baggage_to("*.warehouse".parse().unwrap());
    let headers = serve(&received, async || call(&elsewhere).await).await;
    assert_eq!(text(&headers, "baggage"), None);
    assert_eq!(text(&headers, "x-request-id"), Some("r-1"));
}

#[tokio::test]
async fn properties_stay_with_an_equal_value() {
    let stack = tracing_subscriber::registry().with(ContextLayer::default().key("tier"));
    let _default = stack.set_default();
    let received = [("baggage", "tier=gold;region=eu")];
    for (tier, sent) in [("gold", "tier=gold;region=eu"), ("silver", "tier=silver")] {
        let headers = serve(&received, async || {
            let job = tracing::info_span!("job", tier);
            call(&to_warehouse(["tier"])).instrument(job).await
        })
        .await;
        assert_eq!(text(&headers, "baggage"), Some(sent));
    }
}

#[tokio::test]
async fn at_most_64_members_are_sent() {
    let stack = tracing_subscriber::registry().with(ContextLayer::default());
    let _default = stack.set_default();
    let keys: Vec<_> = (0..64).map(|at| format!("k{at}")).collect();
    let received = keys.iter().map(|key| format!("{key}=v"));
    let received = received.collect::<Vec<_>>().join(",");
    let layer = to_warehouse(["tenant_id"]).baggage(keys);
    let headers = serve(&[("baggage", &received)], async || call(&layer).await).await;
    let sent = text(&headers, "baggage").unwrap();
    assert!(sent.starts_with("tenant_id=acme,k0=v,"));
    assert_eq!(sent.split(',').count(), 64);
}

#[tokio::test]
async fn invalid_key_is_not_sent() {
    let keys = ["a b", "ä", "", " a", "order.id"];
    let context = keys
        .into_iter()
        .fold(ContextLayer::default(), ContextLayer::key);
    let _default = tracing_subscriber::registry().with(context).set_default();
    let job = tracing::info_span!("job", "a b" = 1, "ä" = 1, "" = 1, " a" = 1, order.id = 7);
    let headers = call(&to_warehouse(keys)).instrument(job).await;
    assert_eq!(text(&headers, "baggage"), Some("order.id=7"));
}

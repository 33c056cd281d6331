//! Propagation through three services. A shop calls a warehouse, and the warehouse calls a bank.

use crate::support::client::*;
use axum::{Router, routing::get as on_get};
use http::{HeaderMap, HeaderValue};
use spanwise_core::ContextLayer;
use spanwise_http::{Trust, client, server};
use tower::ServiceExt as _;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, prelude::*};

/// Starts a service that calls `next`. Returns its URL.
async fn asking(next: String, trust: Trust) -> String {
    let layer = client()
        .baggage(["tier", "tenant_id"])
        .baggage_to("localhost".parse().unwrap());
    let client = over_the_network(layer);
    let ask = async move || {
        tracing::info!("asking");
        let response = client.oneshot(get(&next)).await.unwrap();
        assert!(response.status().is_success());
    };
    let router = Router::new()
        .route("/", on_get(ask))
        .layer(server().trust(trust));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(axum::serve(listener, router).into_future());
    format!("http://localhost:{port}/")
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Sends a request with a foreign trace to `url`. Returns the headers that the bank received.
async fn ask(url: &str, bank: &Service) -> HeaderMap {
    let mut request = get(url);
    for (name, value) in [
        ("x-request-id", "r-1"),
        ("x-tenant-id", "acme"),
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
        ("tracestate", "rojo=1,congo=2"),
        ("baggage", "tier=gold;from=crm, debug=1"),
    ] {
        let value = HeaderValue::from_static(value);
        request.headers_mut().insert(name, value);
    }
    let response = network().request(request).await.unwrap();
    assert!(response.status().is_success());
    bank.one()
}

#[tokio::test]
async fn trace_goes_through_services_that_trust() {
    let logs = crate::support::capture();
    let bank = Service::ok().await;
    let warehouse = asking(bank.url("localhost", "/"), Trust::Always).await;
    let shop = asking(warehouse, Trust::Always).await;
    let headers = ask(&shop, &bank).await;

    assert_eq!(text(&headers, "x-request-id"), Some("r-1"));
    assert_eq!(text(&headers, "tracestate"), Some("rojo=1,congo=2"));
    assert_eq!(text(&headers, "baggage"), Some("tier=gold;from=crm"));
    let (trace_id, last) = trace(&headers);
    assert_eq!(trace_id, TRACE);

    // The spans of all services are in one trace.
    let spans = logs.spans();
    let ids = |name: &str| -> Vec<String> {
        let spans = spans.iter().filter(|span| span.name() == name);
        spans
            .map(|span| {
                span.assert_field("trace_id", TRACE);
                span.field("span_id").unwrap().to_string()
            })
            .collect()
    };
    let (served, calls) = (ids("http.request"), ids("http.client.request"));
    assert_eq!((served.len(), calls.len()), (2, 2));
    assert_eq!(calls.last(), Some(&last));
    let mut all = [served, calls].concat();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 4);
    for event in logs
        .events()
        .iter()
        .filter(|event| event.message() == "asking")
    {
        event
            .assert_context("request_id", "r-1")
            .assert_context("trace_id", TRACE);
    }
}

#[tokio::test]
async fn untrusted_context_ends_at_the_edge() {
    let _logs = crate::support::capture();
    let bank = Service::ok().await;
    let warehouse = asking(bank.url("localhost", "/"), Trust::Always).await;
    let shop = asking(warehouse, Trust::Never).await;
    let headers = ask(&shop, &bank).await;

    let (trace_id, _) = trace(&headers);
    assert_ne!(trace_id, TRACE);
    let request_id = text(&headers, "x-request-id").unwrap();
    assert_eq!(request_id.replace('-', ""), trace_id, "of a new request");
    assert_eq!(text(&headers, "tracestate"), None);
    assert_eq!(text(&headers, "baggage"), None);
}

#[tokio::test]
async fn trace_goes_through_disabled_spans() {
    let off = Targets::new().with_target("spanwise_http", LevelFilter::OFF);
    let stack = tracing_subscriber::registry()
        .with(off)
        .with(ContextLayer::default());
    let _default = stack.set_default();
    let bank = Service::ok().await;
    let warehouse = asking(bank.url("localhost", "/"), Trust::Always).await;
    let shop = asking(warehouse, Trust::Always).await;
    let headers = ask(&shop, &bank).await;

    assert_eq!(trace(&headers).0, TRACE);
    assert_eq!(text(&headers, "x-request-id"), Some("r-1"));
    assert_eq!(text(&headers, "tracestate"), Some("rojo=1,congo=2"));
    assert_eq!(text(&headers, "baggage"), Some("tier=gold;from=crm"));
}

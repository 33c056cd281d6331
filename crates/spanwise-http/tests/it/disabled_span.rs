//! Requests with a disabled span: without a subscriber, then with a subscriber that disables spans.
//! In a separate process.

use std::convert::Infallible;

use crate::support::alone;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Empty;
use spanwise_core::{LevelLayer, Levels};
use spanwise_http::{ClientAddress, Peer, record, record_timing, server};
use spanwise_json::JsonLayer;
use spanwise_testing::support::Lines;
use tower::{Layer, ServiceExt};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::prelude::*;

type Body = Empty<&'static [u8]>;

async fn serve_one(status: StatusCode) -> HeaderMap {
    let service = tower::service_fn(|_: Request<Body>| async move {
        record("order.id", 42);
        tokio::task::yield_now().await;
        record_timing("db");
        let mut response = Response::new(Body::new());
        *response.status_mut() = status;
        Ok::<_, Infallible>(response)
    });
    let mut request = Request::get("/orders?q=1").body(Body::new()).unwrap();
    let peer = Peer("127.0.0.1:80".parse().unwrap());
    request.extensions_mut().insert(peer);
    let layer = server()
        .client_address(ClientAddress::Full)
        .tenant(|_| Some("acme".into()))
        .server_timing();
    let response = layer.layer(service).oneshot(request).await.unwrap();
    response.headers().clone()
}

fn assert_ids_and_timings(headers: &HeaderMap) {
    let id = headers["x-request-id"].to_str().unwrap();
    assert_eq!(id.len(), 36);
    let timing = headers["server-timing"].to_str().unwrap();
    assert!(timing.starts_with("db;dur="), "{timing}");
}

#[tokio::test]
async fn event_has_all_fields_without_a_span() {
    if alone("disabled_span::event_has_all_fields_without_a_span") {
        return;
    }
    // Without a subscriber.
    let headers = serve_one(StatusCode::INTERNAL_SERVER_ERROR).await;
    assert_ids_and_timings(&headers);

    // With spans and successes disabled.
    let lines = Lines::default();
    let levels: Levels = "warn".parse().unwrap();
    tracing_subscriber::registry()
        .with(JsonLayer::new().with_writer(lines.clone()))
        .with(LevelLayer::new(levels).span_levels(LevelFilter::OFF))
        .init();
    let headers = serve_one(StatusCode::INTERNAL_SERVER_ERROR).await;
    assert_ids_and_timings(&headers);
    serve_one(StatusCode::OK).await;

    let lines = lines.objects();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = &lines[0];
    assert_eq!(line["level"], "ERROR");
    assert_eq!(line["http.response.status_code"], 500);
    assert_eq!(line["outcome"], "server_error");
    assert_eq!(line["order.id"], 42);
    assert!(line["timing.db_ms"].is_f64());
    assert_eq!(line["http.request.method"], "GET");
    assert_eq!(line["url.path"], "/orders");
    assert_eq!(
        line["request_id"],
        headers["x-request-id"].to_str().unwrap()
    );
    assert_eq!(line["trace_id"].as_str().unwrap().len(), 32);
    assert_eq!(line["tenant_id"], "acme");
    assert_eq!(line["client.address"], "127.0.0.1");
    // Code outside a request finds no context of an earlier one.
    record("after", 1);
}

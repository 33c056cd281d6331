//! Responses in other `tower` layers, and their `Debug` output.

use std::{convert::Infallible, time::Duration};

use crate::support::{capture, get, send, serve, the_event};
use axum::{Router, routing::get as on_get};
use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Empty};
use spanwise_http::{ResponseBody, server};
use tower::{Layer, Service, ServiceBuilder};

type Body = Empty<&'static [u8]>;

#[tokio::test]
async fn layer_can_answer_with_an_empty_body() {
    let logs = capture();
    // In one `ServiceBuilder`, which does not box bodies as axum does.
    let layers = ServiceBuilder::new()
        .layer(tower_http::timeout::TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            Duration::from_millis(5),
        ))
        .layer(server());
    let app = Router::new().route("/", on_get(std::future::pending::<()>));
    let app = app.layer(layers);
    let response = send(serve(app).await, Version::HTTP_11, get("/"))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
    the_event(&logs).await.assert_field("outcome", "cancelled");

    let empty = ResponseBody::<Body>::default();
    assert_eq!(empty.collect().await.unwrap().to_bytes(), "");
}

#[tokio::test]
async fn debug_of_a_response_shows_no_request_data() {
    let logs = capture();
    let service = tower::service_fn(|_: Request<Body>| {
        spanwise_http::record("order.note", "a note of the order");
        std::future::ready(Ok::<_, Infallible>(Response::new(Body::new())))
    });
    let mut service = server().header("cookie").layer(service);
    let request = Request::get("/").header("cookie", "session-of-somebody");
    let response = service.call(request.body(Body::new()).unwrap());
    let coming = format!("{response:?}");
    let response = response.await.unwrap();
    let come = format!("{response:?}");
    for printed in [coming, come] {
        assert!(!printed.contains("session-of-somebody"), "{printed}");
        assert!(!printed.contains("a note of the order"), "{printed}");
    }
    drop(response);
    the_event(&logs)
        .await
        .assert_field("http.request.header.cookie", "session-of-somebody")
        .assert_field("order.note", "a note of the order");
}

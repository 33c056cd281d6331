//! Clients that disconnect during a response. For a stream this is normal, and for any other
//! response it is a cancellation.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::body::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Empty};
use spanwise_http::server;
use tower::{Layer as _, ServiceExt as _};
use tracing::Level;

use crate::support::{capture, fed, the_event};

/// Status, content type and length of a response, and the level of the event if the client
/// disconnects.
const CASES: [(u16, &str, Option<&str>, Level); 9] = [
    (200, "text/event-stream", None, Level::INFO),
    (
        200,
        "text/event-stream; charset=utf-8",
        Some("100"),
        Level::INFO,
    ),
    (200, "Text/Event-Stream", Some("100"), Level::INFO),
    (200, "application/grpc", None, Level::INFO),
    (200, "application/json", None, Level::INFO),
    (200, "application/json", Some("100"), Level::WARN),
    (200, "text/event-streams", Some("100"), Level::WARN),
    (500, "text/event-stream", None, Level::WARN),
    (404, "application/json", None, Level::WARN),
];

#[tokio::test]
async fn client_that_leaves_a_stream_is_not_a_warning() {
    for (status, kind, length, level) in CASES {
        let logs = capture();
        let (feeder, body) = fed::<Infallible>();
        let event = Bytes::from_static(b"data: 1\n\n");
        feeder.send(Ok(Frame::data(event))).unwrap();
        let body = Arc::new(Mutex::new(Some(body)));
        let service = tower::service_fn(|_: Request<Empty<Bytes>>| {
            let mut response = Response::new(body.lock().unwrap().take().unwrap());
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            let headers = response.headers_mut();
            headers.insert("content-type", kind.parse().unwrap());
            if let Some(length) = length {
                headers.insert("content-length", length.parse().unwrap());
            }
            async { Ok::<_, Infallible>(response) }
        });
        let request = Request::new(Empty::new());
        let mut response = server().layer(service).oneshot(request).await.unwrap();
        response.body_mut().frame().await.unwrap().unwrap();
        drop(response);

        the_event(&logs)
            .await
            .assert_level(level)
            .assert_field("outcome", "cancelled")
            .assert_field("response_bytes", 9);
        // Only a cancellation triggers a flight recorder.
        let span = logs.one_span("http.request");
        let is_marked = span.field("spanwise.cancelled").is_some();
        assert_eq!(
            is_marked,
            level == Level::WARN,
            "{status} {kind} {length:?}"
        );
    }
}

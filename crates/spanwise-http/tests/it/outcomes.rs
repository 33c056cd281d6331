//! One event per request, for each way in which a request ends.

#![cfg(feature = "axum")]

use std::{
    convert::Infallible,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::support::{
    access_events, capture, connect_and_send, eventually, fed, get, send, serve, text, the_event,
};
use axum::{
    Router,
    body::{Body, Bytes},
    error_handling::HandleErrorLayer,
    extract::{Path, ws::WebSocketUpgrade},
    response::IntoResponse,
    routing::{any, get as on_get},
};
use http::{HeaderMap, Method, Request, StatusCode, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Empty};
use spanwise_http::server;
use spanwise_testing::FieldValue;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};
use tower::ServiceBuilder;
use tracing::Level;

/// The two messages of access events.
const SERVED: &str = "request served";
const FAILED: &str = "request failed";

const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

async fn never() -> &'static str {
    std::future::pending().await
}

async fn boom() -> &'static str {
    panic!("no such order: 42")
}

#[tokio::test]
async fn sent_response_is_ok() {
    for version in VERSIONS {
        let logs = capture();
        let app = Router::new().route("/orders/{id}", on_get(|| async { "an order" }));
        let address = serve(app.layer(server())).await;

        let response = send(address, version, get("/orders/42?token=of-a-query")).await;
        assert_eq!(text(response.unwrap()).await, "an order");

        let event = the_event(&logs).await;
        event
            .assert_level(Level::INFO)
            .assert_target("spanwise_http::server")
            .assert_field("http.response.status_code", 200)
            .assert_field("outcome", "ok")
            .assert_field("response_bytes", 8)
            .assert_no_field("error")
            .assert_no_field("rpc.grpc.status_code")
            .assert_in_span("http.request");
        assert_eq!(event.message(), "request served");
        assert!(event.field("duration_ms").is_some());
        assert!(event.field("ttfb_ms").is_some());
        logs.one_span("http.request")
            .assert_field("http.request.method", "GET")
            .assert_field("http.route", "/orders/{id}")
            .assert_field("client.address", "127.0.0.0/24");
        logs.assert_never_logged("of-a-query");
    }
}

#[tokio::test]
async fn status_decides_the_outcome() {
    let cases = [
        (302, Level::INFO, "ok", SERVED),
        (400, Level::INFO, "client_error", SERVED),
        (404, Level::INFO, "client_error", SERVED),
        (408, Level::WARN, "client_error", SERVED),
        (429, Level::WARN, "client_error", SERVED),
        (499, Level::INFO, "client_error", SERVED),
        (500, Level::ERROR, "server_error", FAILED),
        (503, Level::ERROR, "server_error", FAILED),
    ];
    for version in VERSIONS {
        for (status, level, outcome, message) in cases {
            let status = StatusCode::from_u16(status).unwrap();
            let logs = capture();
            let app = Router::new().route("/", on_get(move || async move { status }));
            let app = app.layer(server());
            let response = send(serve(app).await, version, get("/")).await.unwrap();
            assert_eq!(response.status(), status);

            let event = the_event(&logs).await;
            event
                .assert_level(level)
                .assert_field("http.response.status_code", status.as_u16())
                .assert_field("outcome", outcome);
            assert_eq!(event.message(), message);
        }
    }
}

#[tokio::test]
async fn path_without_a_route_is_logged() {
    let logs = capture();
    let app = Router::new().route("/", any(never)).layer(server());
    let app = Router::new().fallback_service(app);
    let response = send(serve(app).await, Version::HTTP_11, get("/no/such?q=1")).await;
    assert_eq!(response.unwrap().status(), StatusCode::NOT_FOUND);
    the_event(&logs).await.assert_level(Level::INFO);
    let span = logs.one_span("http.request");
    span.assert_field("url.path", "/no/such");
    assert_eq!(span.field("http.route"), None);
}

#[tokio::test]
async fn path_with_a_route_is_logged_on_failure() {
    let answer = async |Path(status): Path<u16>| StatusCode::from_u16(status).unwrap();
    let cases = [
        (
            server(),
            [(200, false), (302, false), (422, true), (500, true)],
        ),
        (
            server().url_path(),
            [(200, true), (302, true), (422, true), (500, true)],
        ),
    ];
    let cases = cases.into_iter().flat_map(|(layer, statuses)| {
        statuses.map(|(status, is_told)| (layer.clone(), status, is_told))
    });
    for version in VERSIONS {
        for (layer, status, is_told) in cases.clone() {
            let logs = capture();
            let app = Router::new().route("/orders/{status}", on_get(answer));
            let app = Router::new().nest("/shop", app.layer(layer));
            let path = format!("/shop/orders/{status}");
            let request = get(&format!("{path}?token=of-a-query"));
            send(serve(app).await, version, request).await.unwrap();

            let event = the_event(&logs).await;
            event.assert_field("http.response.status_code", status);
            if is_told {
                event.assert_field("url.path", path);
            } else {
                event.assert_no_field("url.path");
            }
            let span = logs.one_span("http.request");
            span.assert_field("http.route", "/shop/orders/{status}");
            assert_eq!(span.field("url.path"), None);
            logs.assert_never_logged("of-a-query");
        }
    }
}

#[tokio::test]
async fn path_is_logged_without_a_response() {
    let logs = capture();
    let app = Router::new().route("/{id}", on_get(boom)).layer(server());
    let response = send(serve(app).await, Version::HTTP_11, get("/42")).await;
    assert!(response.is_err());
    the_event(&logs).await.assert_field("url.path", "/42");

    let logs = capture();
    let app = Router::new().route("/{id}", on_get(never)).layer(server());
    let request = send(serve(app).await, Version::HTTP_11, get("/43"));
    let left = tokio::time::timeout(Duration::from_millis(5), request).await;
    assert!(left.is_err());
    the_event(&logs).await.assert_field("url.path", "/43");
}

#[tokio::test]
async fn panicking_handler_ends_the_connection() {
    for version in VERSIONS {
        let logs = capture();
        let app = Router::new().route("/", on_get(boom)).layer(server());
        let response = send(serve(app).await, version, get("/")).await;
        assert!(response.is_err());
        let event = the_event(&logs).await;
        assert_eq!(event.message(), FAILED);
        event
            .assert_level(Level::ERROR)
            .assert_field("outcome", "panicked")
            .assert_field("error", "no such order: 42")
            .assert_no_field("http.response.status_code");
    }
}

#[tokio::test]
async fn answer_panics_answers_500() {
    for version in VERSIONS {
        let logs = capture();
        let app = Router::new().route("/", on_get(boom));
        let app = app.layer(server().answer_panics());
        let response = send(serve(app).await, version, get("/")).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let id = response.headers()["x-request-id"]
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(text(response).await, "");
        the_event(&logs)
            .await
            .assert_level(Level::ERROR)
            .assert_field("outcome", "panicked")
            .assert_field("error", "no such order: 42")
            .assert_field("http.response.status_code", 500)
            .assert_context("request_id", &id);
    }
}

#[tokio::test]
async fn panic_in_call_is_logged() {
    let logs = capture();
    let service = tower::service_fn(|_: Request<Body>| {
        if true {
            panic!("in call");
        }
        async { Ok::<_, Infallible>(http::Response::new(Body::empty())) }
    });
    let service = ServiceBuilder::new()
        .layer(server().answer_panics())
        .service(service);
    let response = tower::ServiceExt::oneshot(service, Request::new(Body::empty())).await;
    assert_eq!(
        response.unwrap().status(),
        StatusCode::INTERNAL_SERVER_ERROR
    );
    the_event(&logs)
        .await
        .assert_field("outcome", "panicked")
        .assert_field("error", "in call");
}

#[tokio::test]
async fn long_panic_message_is_truncated() {
    let logs = capture();
    let service = tower::service_fn(async |_: Request<Body>| {
        if true {
            std::panic::panic_any("p".repeat(100_000));
        }
        Ok::<_, Infallible>(http::Response::new(Body::empty()))
    });
    let service = ServiceBuilder::new()
        .layer(server().answer_panics())
        .service(service);
    let response = tower::ServiceExt::oneshot(service, Request::new(Body::empty())).await;
    response.unwrap();
    the_event(&logs)
        .await
        .assert_field("error", "p".repeat(4096));
}

#[tokio::test]
async fn leaving_before_the_response_cancels() {
    for version in VERSIONS {
        let logs = capture();
        let (started, mut has_started) = mpsc::unbounded_channel();
        let handler = async move || {
            let _last_words = OnDrop(|| tracing::info!("let go of"));
            started.send(()).unwrap();
            never().await
        };
        let address = serve(Router::new().route("/", on_get(handler)).layer(server())).await;
        let request = tokio::spawn(send(address, version, get("/")));
        has_started.recv().await;
        request.abort();

        let event = the_event(&logs).await;
        assert_eq!(event.message(), FAILED);
        event
            .assert_level(Level::WARN)
            .assert_field("outcome", "cancelled")
            .assert_no_field("http.response.status_code")
            .assert_no_field("response_bytes");
        logs.one("let go of").assert_in_span("http.request");
        logs.one_span("http.request")
            .assert_field("spanwise.cancelled", true);
    }
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[tokio::test]
async fn leaving_during_the_response_cancels() {
    for version in VERSIONS {
        let logs = capture();
        let (feeder, body) = fed::<Infallible>();
        feeder
            .send(Ok(Frame::data(Bytes::from_static(b"half of it"))))
            .unwrap();
        let body = Arc::new(Mutex::new(Some(body)));
        let handler = async move || Body::new(body.lock().unwrap().take().unwrap());
        let address = serve(Router::new().route("/", on_get(handler)).layer(server())).await;

        let (response, connection) = connect_and_send(address, version, get("/")).await;
        let mut response = response.unwrap();
        let frame = response.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "half of it");
        assert_eq!(access_events(&logs).len(), 0, "it has not ended");
        drop(response);
        connection.abort();

        let event = the_event(&logs).await;
        assert_eq!(event.message(), SERVED);
        event
            .assert_level(Level::INFO)
            .assert_field("outcome", "cancelled")
            .assert_field("http.response.status_code", 200)
            .assert_field("response_bytes", 10);
    }
}

#[tokio::test]
async fn failing_body_is_a_stream_abort() {
    for version in VERSIONS {
        let logs = capture();
        let (feeder, body) = fed::<io::Error>();
        feeder
            .send(Ok(Frame::data(Bytes::from_static(b"half of it"))))
            .unwrap();
        feeder.send(Err(io::Error::other("disk is gone"))).unwrap();
        let body = Arc::new(Mutex::new(Some(body)));
        let handler = async move || Body::new(body.lock().unwrap().take().unwrap());
        let address = serve(Router::new().route("/", on_get(handler)).layer(server())).await;

        let response = send(address, version, get("/")).await;
        if let Ok(response) = response {
            assert!(response.into_body().collect().await.is_err());
        }
        let event = the_event(&logs).await;
        assert_eq!(event.message(), FAILED);
        event
            .assert_level(Level::ERROR)
            .assert_field("outcome", "stream_aborted")
            .assert_field("error", "disk is gone")
            .assert_field("http.response.status_code", 200)
            .assert_field("response_bytes", 10);
    }
}

#[tokio::test]
async fn panicking_body_is_a_panic() {
    for version in VERSIONS {
        let logs = capture();
        let body = || http_body_util::StreamBody::new(Panics);
        let handler = async move || Body::new(body());
        let app = Router::new().route("/", on_get(handler));
        let address = serve(app.layer(server().answer_panics())).await;
        let response = send(address, version, get("/")).await;
        if let Ok(response) = response {
            assert!(response.into_body().collect().await.is_err());
        }
        the_event(&logs)
            .await
            .assert_field("outcome", "panicked")
            .assert_field("error", "in the body")
            .assert_field("http.response.status_code", 200);
    }
}

struct Panics;

impl tokio_stream::Stream for Panics {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        panic!("in the body")
    }
}

#[tokio::test]
async fn bytes_of_all_frames_are_counted() {
    // More than fits into the windows of HTTP/2.
    const CHUNK: usize = 1 << 16;
    for version in VERSIONS {
        let logs = capture();
        let (feeder, body) = fed::<Infallible>();
        let chunk = Bytes::from(vec![7; CHUNK]);
        for _ in 0..100 {
            feeder.send(Ok(Frame::data(chunk.clone()))).unwrap();
        }
        drop(feeder);
        let body = Arc::new(Mutex::new(Some(body)));
        let handler = async move || Body::new(body.lock().unwrap().take().unwrap());
        let address = serve(Router::new().route("/", on_get(handler)).layer(server())).await;
        let response = send(address, version, get("/")).await.unwrap();
        let mut body = response.into_body();
        let mut received = 0;
        while let Some(frame) = body.frame().await {
            received += frame.unwrap().into_data().unwrap().len();
        }
        assert_eq!(received, 100 * CHUNK);
        the_event(&logs)
            .await
            .assert_field("outcome", "ok")
            .assert_field("response_bytes", 100 * CHUNK as u64);
    }
}

#[tokio::test]
async fn body_that_needs_no_reading_is_not_cancelled() {
    let full = |headers: HeaderMap| async move { (headers, "a text").into_response() };
    for version in VERSIONS {
        for (method, status) in [
            (Method::HEAD, StatusCode::OK),
            (Method::GET, StatusCode::NO_CONTENT),
            (Method::GET, StatusCode::NOT_MODIFIED),
        ] {
            let logs = capture();
            // The service is not an axum handler, because axum would empty the body.
            let service = tower::service_fn(move |_: Request<Body>| async move {
                let mut response = full(HeaderMap::new()).await;
                *response.status_mut() = status;
                Ok::<_, Infallible>(response)
            });
            let service = ServiceBuilder::new().layer(server()).service(service);
            let address = serve(Router::new().fallback_service(service)).await;
            let mut request = get("/");
            *request.method_mut() = method.clone();
            let response = send(address, version, request).await.unwrap();
            assert_eq!(response.status(), status);
            the_event(&logs)
                .await
                .assert_level(Level::INFO)
                .assert_field("outcome", "ok");
        }
    }
}

#[tokio::test]
async fn declared_length_ends_the_body() {
    let logs = capture();
    let (feeder, body) = fed::<Infallible>();
    let data = Frame::data(Bytes::from_static(b"12345"));
    feeder.send(Ok(data)).unwrap();
    let body = Arc::new(Mutex::new(Some(body)));
    let handler = async move || {
        let body = Body::new(body.lock().unwrap().take().unwrap());
        ([("content-length", "5")], body)
    };
    let address = serve(Router::new().route("/", on_get(handler)).layer(server())).await;
    let response = send(address, Version::HTTP_11, get("/")).await.unwrap();
    assert_eq!(text(response).await, "12345");
    // The feeder still exists, so the body has not reported its end.
    the_event(&logs)
        .await
        .assert_field("outcome", "ok")
        .assert_field("response_bytes", 5);
    drop(feeder);
}

#[tokio::test]
async fn short_body_is_a_stream_abort() {
    for version in VERSIONS {
        let logs = capture();
        let (feeder, body) = fed::<Infallible>();
        let data = Frame::data(Bytes::from_static(b"123"));
        feeder.send(Ok(data)).unwrap();
        drop(feeder);
        let body = Arc::new(Mutex::new(Some(body)));
        let handler = async move || {
            let body = Body::new(body.lock().unwrap().take().unwrap());
            ([("content-length", "5")], body)
        };
        let address = serve(Router::new().route("/", on_get(handler)).layer(server())).await;
        let response = send(address, version, get("/")).await;
        if let Ok(response) = response {
            // The client receives the same failure.
            assert!(response.into_body().collect().await.is_err());
        }
        the_event(&logs)
            .await
            .assert_level(Level::ERROR)
            .assert_field("outcome", "stream_aborted")
            .assert_field("error", "the body ended after 3 of 5 bytes")
            .assert_field("response_bytes", 3);
    }
}

#[tokio::test]
async fn websocket_upgrade_is_one_request() {
    let logs = capture();
    let handler = async |upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(async |mut socket| {
            let message = socket.recv().await.unwrap().unwrap();
            socket.send(message).await.unwrap();
            tracing::info!("echoed");
        })
    };
    let address = serve(Router::new().route("/", any(handler)).layer(server())).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "GET / HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{head:?}");
    // A text frame with "hi", masked with zeros.
    let message = [0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];
    stream.write_all(&message).await.unwrap();
    let mut echo = [0; 4];
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(echo, [0x81, 2, b'h', b'i']);
    eventually("an echo", || {
        logs.events()
            .iter()
            .any(|event| event.message() == "echoed")
    })
    .await;
    drop(stream);
    the_event(&logs)
        .await
        .assert_level(Level::INFO)
        .assert_field("outcome", "ok")
        .assert_field("http.response.status_code", 101);
}

#[tokio::test]
async fn outer_timeout_cancels_inner_timeout_answers() {
    let timeout = || {
        let to_status = |_: tower::BoxError| async { StatusCode::REQUEST_TIMEOUT };
        ServiceBuilder::new()
            .layer(HandleErrorLayer::new(to_status))
            .timeout(Duration::from_millis(5))
    };
    let around = Router::new()
        .route("/", on_get(never))
        .layer(server())
        .layer(timeout());
    let inside = Router::new()
        .route("/", on_get(never))
        .layer(timeout())
        .layer(server());
    for (app, outcome) in [(around, "cancelled"), (inside, "client_error")] {
        let logs = capture();
        let response = send(serve(app).await, Version::HTTP_11, get("/")).await;
        assert_eq!(response.unwrap().status(), StatusCode::REQUEST_TIMEOUT);
        the_event(&logs).await.assert_field("outcome", outcome);
    }
}

#[tokio::test]
async fn service_error_is_a_server_error() {
    let logs = capture();
    let service = tower::service_fn(|_: Request<Empty<Bytes>>| async {
        Err::<http::Response<Body>, _>(io::Error::other("no backend"))
    });
    let service = ServiceBuilder::new().layer(server()).service(service);
    let response = tower::ServiceExt::oneshot(service, get("/")).await;
    assert_eq!(response.unwrap_err().to_string(), "no backend");
    the_event(&logs)
        .await
        .assert_level(Level::ERROR)
        .assert_field("outcome", "server_error")
        .assert_field("error", "no backend")
        .assert_no_field("http.response.status_code");
}

#[tokio::test]
async fn body_events_are_in_the_request_span() {
    let logs = capture();
    let (feeder, body) = fed::<Infallible>();
    feeder
        .send(Ok(Frame::data(Bytes::from_static(b"row"))))
        .unwrap();
    drop(feeder);
    let body = body.map_frame(|frame| {
        tracing::info!("row sent");
        frame
    });
    let body = Arc::new(Mutex::new(Some(body)));
    let handler = async move || Body::new(body.lock().unwrap().take().unwrap());
    let address = serve(Router::new().route("/", on_get(handler)).layer(server())).await;
    let response = send(address, Version::HTTP_11, get("/")).await.unwrap();
    assert_eq!(text(response).await, "row");
    let id = the_event(&logs)
        .await
        .context()
        .get("request_id")
        .map(str::to_owned);
    logs.one("row sent")
        .assert_context("request_id", &id.unwrap());
    assert_eq!(
        logs.one_span("http.request")
            .field("http.response.status_code"),
        None::<&FieldValue>
    );
}

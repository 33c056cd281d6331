//! `record`, `record_timing` and headers: fields that the application adds.

use std::{
    convert::Infallible,
    time::{Duration, SystemTime},
};

use crate::support::{capture, the_event};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::Empty;
use spanwise_core::Clock;
use spanwise_http::{ServerLayer, record, record_timing, server};
use tower::{Layer, ServiceExt};
use tracing::{Instrument, Span};

type Body = Empty<&'static [u8]>;

async fn serve_one<F>(
    layer: ServerLayer,
    request: Request<Body>,
    handler: impl Fn() -> F,
) -> HeaderMap
where
    F: Future<Output = ()>,
{
    let service = tower::service_fn(|_: Request<Body>| {
        let handled = handler();
        async {
            handled.await;
            Ok::<_, Infallible>(Response::new(Body::new()))
        }
    });
    let response = layer.layer(service).oneshot(request).await.unwrap();
    response.headers().clone()
}

fn request() -> Request<Body> {
    Request::new(Body::new())
}

#[tokio::test]
async fn recorded_values_keep_their_type() {
    let logs = capture();
    serve_one(server(), request(), async || {
        record("order.id", 42);
        record("order.total", 12.5);
        record("order.express", true);
        record("order.kind", "gift");
        record("order.note", format!("no {}", 7));
        record("order.count", 3_usize);
        record("order.balance", -1_i64);
    })
    .await;
    the_event(&logs)
        .await
        .assert_field("order.id", 42)
        .assert_field("order.total", 12.5)
        .assert_field("order.express", true)
        .assert_field("order.kind", "gift")
        .assert_field("order.note", "no 7")
        .assert_field("order.count", 3)
        .assert_field("order.balance", -1)
        .assert_field("outcome", "ok");
}

#[tokio::test]
async fn recorded_fields_stay_in_their_request() {
    for value in ["first", "second"] {
        let logs = capture();
        serve_one(server(), request(), async || record("mine", value)).await;
        the_event(&logs).await.assert_field("mine", value);
    }
    let logs = capture();
    serve_one(server(), request(), async || ()).await;
    the_event(&logs).await.assert_no_field("mine");
}

#[tokio::test]
async fn last_value_of_a_name_wins() {
    let logs = capture();
    serve_one(server(), request(), async || {
        record("attempt", 1);
        record("attempt", 2);
    })
    .await;
    the_event(&logs).await.assert_field("attempt", 2);
}

#[tokio::test]
async fn inner_spans_and_tasks_belong_to_the_request() {
    let logs = capture();
    serve_one(server(), request(), async || {
        let load = async {
            record("rows", 7);
            tracing::info!("loaded");
        };
        let load = load.instrument(tracing::info_span!("load"));
        tokio::spawn(load.instrument(Span::current()))
            .await
            .unwrap();
    })
    .await;
    let event = the_event(&logs).await;
    event.assert_field("rows", 7);
    let id = event.context().get("request_id").unwrap();
    logs.one("loaded").assert_context("request_id", id);
}

#[tokio::test]
async fn record_outside_a_request_does_nothing() {
    record("outside", 1);
    record_timing("outside");
    let logs = capture();
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let wait = std::cell::Cell::new(Some(wait));
    let (done, is_done) = tokio::sync::oneshot::channel::<()>();
    let done = std::cell::Cell::new(Some(done));
    serve_one(server(), request(), async || {
        let (wait, done) = (wait.take().unwrap(), done.take().unwrap());
        let late = async move {
            wait.await.unwrap();
            record("too.late", 1);
            done.send(()).unwrap();
        };
        tokio::spawn(late.instrument(Span::current()));
    })
    .await;
    go.send(()).unwrap();
    is_done.await.unwrap();
    the_event(&logs)
        .await
        .assert_no_field("too.late")
        .assert_no_field("outside");
}

#[tokio::test]
async fn timing_is_since_the_last_timing() {
    let clock = Clock::manual(SystemTime::UNIX_EPOCH);
    let logs = capture();
    let layer = server().clock(clock.clone()).server_timing();
    let sent = serve_one(layer, request(), async || {
        clock.advance(Duration::from_micros(1500));
        record_timing("auth");
        clock.advance(Duration::from_millis(20));
        record_timing("db");
        clock.advance(Duration::from_millis(3));
        record_timing("not a token");
        clock.advance(Duration::from_millis(30));
        record_timing("db");
        clock.advance(Duration::from_millis(100));
    })
    .await;
    the_event(&logs)
        .await
        .assert_field("timing.auth_ms", 1.5)
        .assert_field("timing.db_ms", 50.0)
        .assert_field("timing.not a token_ms", 3.0)
        .assert_field("duration_ms", 154.5)
        .assert_field("ttfb_ms", 154.5);
    assert_eq!(sent["server-timing"], "auth;dur=1.500, db;dur=50.000");
}

#[tokio::test]
async fn server_timing_is_off_by_default() {
    let _logs = capture(); // else the event goes to another test's
    let sent = serve_one(server(), request(), async || record_timing("db")).await;
    assert!(!sent.contains_key("server-timing"));
}

#[tokio::test]
async fn selected_headers_are_logged() {
    let logs = capture();
    let mut with_headers = request();
    let headers = with_headers.headers_mut();
    headers.insert("user-agent", HeaderValue::from_static("curl/8"));
    headers.insert("cookie", HeaderValue::from_static("unasked=for"));
    headers.append("accept", HeaderValue::from_static("text/html"));
    headers.append("accept", HeaderValue::from_static("*/*"));
    headers.insert("x-bytes", HeaderValue::from_bytes(b"\xff!").unwrap());
    let mut sensitive = HeaderValue::from_static("marked-as-sensitive");
    sensitive.set_sensitive(true);
    headers.insert("x-sensitive", sensitive);
    let layer = server()
        .header("User-Agent")
        .header("accept")
        .header("x-bytes")
        .header("x-sensitive")
        .header("x-absent");
    serve_one(layer, with_headers, async || ()).await;
    the_event(&logs)
        .await
        .assert_field("http.request.header.user-agent", "curl/8")
        .assert_field("http.request.header.accept", "text/html, */*")
        .assert_field("http.request.header.x-bytes", "\u{fffd}!")
        .assert_field("http.request.header.x-sensitive", "[REDACTED]")
        .assert_no_field("http.request.header.x-absent");
    logs.assert_never_logged("unasked=for");
    logs.assert_never_logged("marked-as-sensitive");
}

#[tokio::test]
async fn built_in_field_cannot_be_replaced() {
    let logs = capture();
    serve_one(server(), request(), async || {
        record("outcome", "splendid");
        record("http.response.status_code", 999);
        record("request_id", "mine");
    })
    .await;
    let event = the_event(&logs).await;
    event
        .assert_field("outcome", "ok")
        .assert_field("http.response.status_code", 200)
        .assert_no_field("request_id");
}

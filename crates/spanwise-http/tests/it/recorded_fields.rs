//! `record`, `mark`, and headers: fields that the program chooses.

use std::{
    convert::Infallible,
    time::{Duration, SystemTime},
};

use crate::support::the_event;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::Empty;
use spanwise_core::Clock;
use spanwise_http::{ServerLayer, mark, record, server};
use spanwise_testing::capture;
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
async fn what_is_recorded_is_a_field_of_its_kind() {
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
async fn what_one_request_records_is_not_in_the_event_of_another() {
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
async fn the_last_value_of_a_name_stands() {
    let logs = capture();
    serve_one(server(), request(), async || {
        record("attempt", 1);
        record("attempt", 2);
    })
    .await;
    the_event(&logs).await.assert_field("attempt", 2);
}

#[tokio::test]
async fn spans_and_tasks_inside_of_the_request_belong_to_it() {
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
async fn outside_of_a_request_and_after_it_nothing_happens() {
    record("nobody.asked", 1);
    mark("nobody.asked");
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
        .assert_no_field("nobody.asked");
}

#[tokio::test]
async fn a_mark_says_how_long_it_was_since_the_last() {
    let clock = Clock::manual(SystemTime::UNIX_EPOCH);
    let logs = capture();
    let layer = server().clock(clock.clone()).server_timing();
    let sent = serve_one(layer, request(), async || {
        clock.advance(Duration::from_micros(1500));
        mark("auth");
        clock.advance(Duration::from_millis(20));
        mark("db");
        clock.advance(Duration::from_millis(3));
        mark("not a token");
        clock.advance(Duration::from_millis(30));
        mark("db");
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
async fn the_client_is_told_no_timings_unless_asked() {
    let _logs = capture(); // else the event goes to another test's
    let sent = serve_one(server(), request(), async || mark("db")).await;
    assert!(!sent.contains_key("server-timing"));
}

#[tokio::test]
async fn headers_are_told_if_they_are_asked_for() {
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
async fn a_field_of_the_events_own_cannot_be_changed() {
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

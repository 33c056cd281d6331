//! The tests of `docs/testing.md`, as a service has them.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Path,
    http::{Request, StatusCode},
    response::Response,
    routing::{get, post},
};
use spanwise::task;
use spanwise_testing::{capture, matching, when};
use tower::ServiceExt as _;
use tracing::{Instrument as _, Level, debug, error, info, info_span, instrument, warn};

// The tested code: a small part of a service.

#[instrument]
fn create_order(quantity: u32) -> Result<u32, &'static str> {
    if quantity == 0 {
        warn!("order refused");
        return Err("nothing is ordered");
    }
    info!(order_id = 42, "order created");
    Ok(42)
}

async fn charge(card: &str) {
    debug!(card.last4 = &card[12..], "charging");
    info!("paid");
}

async fn order(Path(id): Path<u32>) -> &'static str {
    spanwise::context::set("user_id", "ada");
    info!(order.id = id, "order read");
    task::spawn(async { info!("mail sent") });
    "ok"
}

fn app() -> Router {
    Router::new()
        .route("/orders/{id}", get(order))
        .route("/pay", post(pay))
        .layer(spanwise::http::server())
}

async fn pay() -> StatusCode {
    let refused = std::io::Error::other("connection refused");
    spanwise::http::fail(&Failure("charge failed", refused));
    StatusCode::BAD_GATEWAY
}

#[derive(Debug)]
struct Failure(&'static str, std::io::Error);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.1)
    }
}

// The tests.

#[test]
fn order_is_logged_with_its_number() {
    let logs = capture();
    create_order(2).unwrap();
    logs.one("order created")
        .assert_level(Level::INFO)
        .assert_field("order_id", 42)
        .assert_in_span("create_order");
    logs.no_errors();
}

#[test]
fn refused_order_is_logged_once_and_creates_nothing() {
    let logs = capture();
    create_order(0).unwrap_err();
    assert_eq!(logs.count("order refused"), 1);
    logs.none(matching(r"^order .*created$"));
    logs.none(when(|event| event.level() == Level::ERROR));
}

#[tokio::test]
async fn failed_request_has_its_reason() {
    let logs = capture();
    let request = Request::post("/pay").body(Body::empty()).unwrap();
    let response: Result<Response, Infallible> = app().oneshot(request).await;
    let body = response.unwrap().into_body();
    axum::body::to_bytes(body, usize::MAX).await.unwrap();

    logs.one("request failed")
        .assert_field("error", "charge failed: connection refused");
}

#[tokio::test]
async fn request_and_its_task_have_the_user() {
    let logs = capture();
    let request = Request::get("/orders/42").body(Body::empty()).unwrap();
    let response: Result<Response, Infallible> = app().oneshot(request).await;
    // The access event is logged when the body of the response has been read.
    let body = response.unwrap().into_body();
    axum::body::to_bytes(body, usize::MAX).await.unwrap();

    logs.one("request served")
        .assert_field("http.response.status_code", 200)
        .assert_context("user_id", "ada");
    logs.wait_for_async("mail sent", Duration::from_secs(60))
        .await
        .assert_context("user_id", "ada");
    logs.no_errors();
}

#[test]
fn worker_thread_belongs_to_its_test() {
    let logs = capture();
    let span = info_span!("test");
    let worker = span.in_scope(|| {
        std::thread::spawn(task::in_current(|| {
            info!("worker started");
        }))
    });
    logs.wait_for("worker started", Duration::from_secs(60));
    worker.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn task_belongs_to_its_test() {
    let logs = capture();
    tokio::spawn(charge("4111111111111111").instrument(info_span!("test")));
    logs.wait_for_async("paid", Duration::from_secs(60)).await;
}

#[tokio::test]
async fn no_card_is_logged() {
    let logs = capture();
    let canary = "4111111111111111";
    charge(canary).await;
    logs.one("charging").assert_field("card.last4", "1111");
    logs.assert_never_logged(canary);
}

// All code of the page is above.

#[test]
fn page_about_testing_shows_these_tests() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let read = |path: &str| std::fs::read_to_string(format!("{root}/{path}")).unwrap();
    let page = read("docs/testing.md");
    let tests = read("examples/tests/testing.rs") + &read("examples/tests/testing_policy.rs");
    let blocks = page.split("```rust\n").skip(1);
    let blocks: Vec<&str> = blocks
        .map(|after| after.split("```").next().unwrap())
        .collect();
    assert!(blocks.len() >= 6, "{}", blocks.len());
    for block in blocks {
        assert!(tests.contains(block), "not in examples/tests:\n{block}");
    }
}

#[test]
fn failure_is_as_the_page_shows_it() {
    let logs = capture();
    create_order(2).unwrap();
    error!("payment failed");
    let failure = std::panic::AssertUnwindSafe(|| logs.one("order create"));
    let panic = std::panic::catch_unwind(failure).unwrap_err();
    let said = panic.downcast_ref::<String>().unwrap();
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/testing.md");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains(said), "not in docs/testing.md:\n{said}");
}

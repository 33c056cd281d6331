//! `fail`: failures that the application reports.

use std::{
    convert::Infallible,
    error::Error,
    fmt, io,
    time::{Duration, SystemTime},
};

use crate::support::{access_events, capture, the_event};
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use spanwise_core::{Clock, ContextLayer};
use spanwise_http::{ServerLayer, fail, server};
use spanwise_json::JsonLayer;
use spanwise_testing::FieldValue;
use spanwise_testing::support::Lines;
use tower::{Layer as _, ServiceExt as _};
use tracing::{Instrument as _, Level, info_span, instrument};
use tracing_subscriber::prelude::*;

type Body = Empty<&'static [u8]>;

#[derive(Debug)]
enum ShopError {
    Declined(Gateway),
}

#[derive(Debug)]
struct Gateway(io::Error);

impl fmt::Display for ShopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the payment could not be taken")
    }
}

impl Error for ShopError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let Self::Declined(gateway) = self;
        Some(gateway)
    }
}

impl fmt::Display for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the gateway did not answer")
    }
}

impl Error for Gateway {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

fn declined() -> ShopError {
    ShopError::Declined(Gateway(io::Error::other("connection reset")))
}

fn expected() -> FieldValue {
    FieldValue::Error {
        message: "the payment could not be taken".to_owned(),
        causes: vec![
            "the gateway did not answer".to_owned(),
            "connection reset".to_owned(),
        ],
    }
}

/// Serves a request with `handler`.
async fn serve<F: Future<Output = StatusCode>>(layer: ServerLayer, handler: impl Fn() -> F) {
    let service = tower::service_fn(async |_: Request<Body>| {
        let mut response = Response::new(Body::new());
        *response.status_mut() = handler().await;
        Ok::<_, Infallible>(response)
    });
    let request = Request::get("/orders/42").body(Body::new()).unwrap();
    layer.layer(service).oneshot(request).await.unwrap();
}

#[instrument]
async fn deep() {
    let inner = info_span!("pay").in_scope(|| async { fail(&declined()) });
    inner.await;
}

#[tokio::test]
async fn failed_request_is_one_error_line_with_its_cause() {
    let logs = capture();
    serve(server(), async || {
        deep().await;
        StatusCode::BAD_GATEWAY
    })
    .await;
    let event = the_event(&logs).await;
    assert_eq!(logs.events().len(), 1);
    assert_eq!(event.message(), "request failed");
    event
        .assert_level(Level::ERROR)
        .assert_field("outcome", "server_error")
        .assert_field("error", expected());
}

#[tokio::test]
async fn fail_accepts_every_error_type() {
    type Boxed = Box<dyn Error + Send + Sync>;
    let cases: [(&str, fn()); 4] = [
        ("an error", || fail(&declined())),
        ("a dyn Error", || {
            let error = declined();
            let error: &(dyn Error + 'static) = &error;
            fail(error);
        }),
        ("a box", || fail(&Boxed::from(declined()))),
        ("one of anyhow", || fail(&anyhow::Error::new(declined()))),
    ];
    for (what, call) in cases {
        let logs = capture();
        serve(server(), async || {
            call();
            StatusCode::BAD_GATEWAY
        })
        .await;
        let event = the_event(&logs).await;
        assert_eq!(event.field("error"), Some(&expected()), "{what}");
    }
}

#[tokio::test]
async fn task_of_the_request_can_fail_it() {
    let logs = capture();
    serve(server(), async || {
        let task = async { fail(&declined()) };
        tokio::spawn(task.in_current_span()).await.unwrap();
        StatusCode::BAD_GATEWAY
    })
    .await;
    the_event(&logs).await.assert_field("error", expected());
}

#[tokio::test]
async fn fail_accepts_generic_errors() {
    let boxed: fn() -> StatusCode = || {
        let error: Box<dyn Error + Send + Sync> = declined().into();
        fail(&error);
        StatusCode::BAD_GATEWAY
    };
    let dynamic: fn() -> StatusCode = || {
        let error: &(dyn Error + 'static) = &declined();
        fail(error);
        StatusCode::BAD_GATEWAY
    };
    for handler in [boxed, dynamic] {
        let logs = capture();
        serve(server(), async || handler()).await;
        the_event(&logs).await.assert_field("error", expected());
    }
}

#[tokio::test]
async fn failure_overrides_the_response() {
    let cases = [
        (200, Level::ERROR, "server_error", "request failed"),
        (404, Level::INFO, "client_error", "request served"),
        (429, Level::WARN, "client_error", "request served"),
        (503, Level::ERROR, "server_error", "request failed"),
    ];
    for (status, level, outcome, message) in cases {
        let logs = capture();
        serve(server().quiet("/orders/*"), async || {
            fail(&declined());
            StatusCode::from_u16(status).unwrap()
        })
        .await;
        let event = the_event(&logs).await;
        assert_eq!(event.message(), message);
        event
            .assert_level(level)
            .assert_field("outcome", outcome)
            .assert_field("http.response.status_code", status)
            .assert_field("error", expected());
    }
}

#[tokio::test]
async fn failure_of_a_cancelled_request_is_logged() {
    let logs = capture();
    let clock = Clock::manual(SystemTime::UNIX_EPOCH);
    let left = serve(server().clock(clock), async || {
        fail(&declined());
        std::future::pending().await
    });
    let left = tokio::time::timeout(Duration::from_millis(5), left).await;
    assert!(left.is_err());
    the_event(&logs)
        .await
        .assert_level(Level::ERROR)
        .assert_field("error", expected());
}

#[tokio::test]
async fn last_failure_counts_unless_it_panics() {
    let logs = capture();
    serve(server(), async || {
        fail(&io::Error::other("the first"));
        fail(&declined());
        StatusCode::BAD_GATEWAY
    })
    .await;
    the_event(&logs).await.assert_field("error", expected());

    let logs = capture();
    serve(server().answer_panics(), async || {
        fail(&declined());
        panic!("no such order")
    })
    .await;
    the_event(&logs)
        .await
        .assert_field("outcome", "panicked")
        .assert_field("error", "no such order");
    // The panic does not hide the failure.
    let events = logs.events();
    assert_eq!(events.len(), 2, "{events:#?}");
    assert_eq!(events[1].message(), "request failed before it panicked");
    events[1]
        .assert_level(Level::ERROR)
        .assert_field("error", expected());
}

#[tokio::test]
async fn failure_after_the_request_is_its_own_event() {
    let logs = capture();
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    let task = std::sync::Mutex::new(None);
    let end = std::sync::Mutex::new(Some(end));
    serve(server(), async || {
        let end = end.lock().unwrap().take().unwrap();
        let work = async move {
            end.await.unwrap();
            fail(&declined());
            fail(&declined());
        };
        *task.lock().unwrap() = Some(tokio::spawn(work.in_current_span()));
        StatusCode::OK
    })
    .await;
    the_event(&logs).await.assert_field("outcome", "ok");
    ended.send(()).unwrap();
    let task = task.lock().unwrap().take().unwrap();
    task.await.unwrap();
    let late: Vec<_> = logs.events().into_iter().skip(1).collect();
    assert_eq!(late.len(), 2);
    for event in late {
        assert_eq!(event.message(), "failed after the request");
        event
            .assert_level(Level::ERROR)
            .assert_field("error", expected());
        event.assert_in_span("http.request");
    }
}

#[tokio::test]
async fn failure_without_a_span_is_logged() {
    let lines = Lines::default();
    let off = tracing_subscriber::filter::filter_fn(|metadata| metadata.is_event());
    let stack = tracing_subscriber::registry()
        .with(off)
        .with(ContextLayer::default())
        .with(JsonLayer::new().with_writer(lines.clone()));
    let default = stack.set_default();
    serve(server(), async || {
        fail(&declined());
        StatusCode::BAD_GATEWAY
    })
    .await;
    drop(default);
    let line = &lines.objects()[0];
    assert_eq!(line["message"], "request failed");
    assert_eq!(line["error"]["message"], "the payment could not be taken");
    assert_eq!(line["error"]["chain"][1], "connection reset");
}

#[tokio::test]
async fn truncated_error_shows_no_partial_secret() {
    // The limit of 4,096 bytes is inside the token.
    let filler = "ab ".repeat(1363);
    let error = io::Error::other(format!("{filler}token-0123456789 and more"));
    let logs = capture();
    serve(server(), async || {
        fail(&error);
        StatusCode::BAD_GATEWAY
    })
    .await;
    let error = the_event(&logs).await.field("error").unwrap().to_string();
    assert!(error.contains("ab ab …"), "{error}");
    assert!(!error.contains("token"), "{error}");
}

/// An error whose `Display` panics, logs, or never ends.
struct Odd;

impl fmt::Debug for Odd {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("in Debug")
    }
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tracing::info!("an error logs");
        spanwise_http::record("order.id", 42);
        (0..100_000).try_for_each(|_| f.write_str("odd "))
    }
}

impl Error for Odd {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self)
    }
}

#[tokio::test]
async fn hostile_errors_are_harmless() {
    let logs = capture();
    serve(server(), async || {
        fail(&Odd);
        StatusCode::BAD_GATEWAY
    })
    .await;
    let events = access_events(&logs);
    assert_eq!(events.len(), 1);
    let error = events[0].field("error").unwrap().to_string();
    assert!(
        error.starts_with("odd odd ") && error.len() < 10_000,
        "{}",
        error.len()
    );
    events[0].assert_field("order.id", 42);
}

#[test]
fn failure_outside_a_request_is_its_own_event() {
    let logs = capture();
    fail(&declined());
    fail(&declined());
    let events = logs.events();
    assert_eq!(events.len(), 2);
    for event in events {
        assert_eq!(event.message(), "failed outside of a request");
        event
            .assert_level(Level::ERROR)
            .assert_field("error", expected());
    }
}

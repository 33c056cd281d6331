//! A user id that is set deep inside a request is on every later line of the request.

use std::{convert::Infallible, time::Duration};

use crate::support::Lines;
use axum::{
    Router,
    body::Body,
    extract::Path,
    http::{Request, StatusCode},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use serde_json::Value;
use spanwise::{Builder, Preset, Telemetry, context};
use tower::ServiceExt as _;
use tracing::{Instrument, debug, error, info, instrument};

/// Authenticates the user, inside a separate span.
async fn authenticate(request: Request<Body>, next: Next) -> Response {
    let check = async {
        info!("checking the token");
        context::set("user_id", "ada-1815");
    };
    check.instrument(tracing::info_span!("authenticate")).await;
    next.run(request).await
}

#[instrument]
async fn order(Path(id): Path<u32>) -> StatusCode {
    debug!("reading the order");
    info!("order read");
    context::set("order_id", id);
    let task = async {
        info!("told the warehouse");
        context::set("tenant_id", "acme");
    };
    tokio::spawn(task.in_current_span()).await.unwrap();
    // A field does not replace the authenticated user.
    info!(user_id = "mallory", "a field of an event");
    let forged = tracing::info_span!("forged", user_id = "mallory", request_id = "r-forged");
    forged.in_scope(|| error!("payment failed"));
    StatusCode::BAD_GATEWAY
}

/// Sends one request. The server adopts its id.
async fn serve(telemetry: &Telemetry) {
    let app = Router::new()
        .route("/orders/{id}", get(order))
        .layer(middleware::from_fn(authenticate))
        .layer(telemetry.http_server().trust(spanwise::http::Trust::Always));
    let request = Request::get("/orders/42").header("x-request-id", "gateway-1");
    let request = request.body(Body::empty()).unwrap();
    let response: Result<Response, Infallible> = app.oneshot(request).await;
    let body = response.unwrap().into_body();
    axum::body::to_bytes(body, usize::MAX).await.unwrap();
}

fn vars<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let own = [
        ("LOG_PRESET", "prod"),
        ("LOG_CONTEXT", "order_id"),
        ("LOG_RECORDER", "debug"),
    ];
    [&own, more].concat()
}

#[tokio::test]
async fn json_and_recorder_header_have_late_context() {
    alone!();
    let output = Lines::default();
    let telemetry = Builder::from_vars(vars(&[]))
        .unwrap()
        .with_writer(output.clone())
        .init()
        .unwrap();
    serve(&telemetry).await;
    let lines = output.objects();
    let told = |line: &Value| {
        let text = |key: &str| line[key].as_str().map(str::to_owned);
        (
            text("message").unwrap(),
            text("user_id"),
            text("order_id"),
            text("tenant_id"),
        )
    };
    let ada = || Some("ada-1815".to_owned());
    let order = || Some("42".to_owned());
    let acme = || Some("acme".to_owned());
    let expected = [
        ("checking the token", None, None, None),
        ("order read", ada(), None, None),
        ("told the warehouse", ada(), order(), None),
        ("a field of an event", ada(), order(), acme()),
        (
            "flight recorder: buffered events of this request follow",
            ada(),
            order(),
            acme(),
        ),
        ("reading the order", ada(), None, None),
        ("payment failed", ada(), order(), acme()),
        ("request failed", ada(), order(), acme()),
    ];
    let expected =
        expected.map(|(message, user, order, tenant)| (message.to_owned(), user, order, tenant));
    assert_eq!(lines.iter().map(told).collect::<Vec<_>>(), expected);
    for line in &lines {
        assert_eq!(line["request_id"], "gateway-1", "{line}");
    }
    assert_eq!(lines[3]["fields.user_id"], "mallory");
    assert_eq!(lines[6]["fields.user_id"], "mallory");
    assert_eq!(lines[6]["fields.request_id"], "r-forged");
}

#[tokio::test]
async fn console_lines_have_late_context() {
    alone!();
    let output = Lines::default();
    let telemetry = Builder::new(Preset::Test)
        .with_writer(output.clone())
        .context_key("order_id")
        .init()
        .unwrap();
    serve(&telemetry).await;
    let text = output.text();
    let line = |message: &str| text.lines().find(|line| line.contains(message)).unwrap();
    assert!(!line("checking the token").contains("user_id"));
    assert!(
        line("reading the order").contains(" user_id=ada-1815"),
        "{text}"
    );
    assert!(
        line("told the warehouse").ends_with(" order_id=42"),
        "{text}"
    );
    assert!(
        line("a field of an event").ends_with(" tenant_id=acme"),
        "{text}"
    );
    for message in ["payment failed", "a field of an event"] {
        let (_, around) = line(message).split_once(" | ").unwrap();
        assert!(around.starts_with("GET /orders/{id} gateway-1"), "{around}");
    }
    assert!(line("/orders/42 502").ends_with(" | gateway-1"), "{text}");
    // Each once, and the forged ones never.
    for once in [" user_id=ada-1815", " order_id=42", " tenant_id=acme"] {
        assert_eq!(text.matches(once).count(), 1, "{once}: {text}");
    }
    assert!(!text.contains("r-forged"), "{text}");
}

#[cfg(feature = "sentry")]
#[tokio::test]
async fn sentry_has_the_user_and_the_tags() {
    alone!();
    let receiver = crate::receiver::Receiver::start();
    let dsn = receiver.dsn();
    let telemetry = Builder::from_vars(vars(&[("SENTRY_DSN", &dsn)]))
        .unwrap()
        .with_writer(std::io::sink)
        .init()
        .unwrap();
    serve(&telemetry).await;
    telemetry.shutdown(Duration::from_secs(60));
    let events = receiver.events();
    assert_eq!(events.len(), 1, "{events:#?}");
    let event = &events[0];
    assert_eq!(event["message"], "payment failed");
    assert_eq!(event["user"]["id"], "ada-1815", "{event:#}");
    let tags = serde_json::json!({
        "request_id": "gateway-1", "tenant_id": "acme", "order_id": "42"
    });
    assert_eq!(event["tags"], tags);
}

#[test]
fn console_field_does_not_replace_context() {
    alone!();
    let output = Lines::default();
    let _telemetry = Builder::new(Preset::Test)
        .with_writer(output.clone())
        .context_key("order_id")
        .init()
        .unwrap();
    let keys = spanwise_core::CONTEXT_KEYS.into_iter().chain(["order_id"]);
    for key in keys.clone() {
        let _unit = tracing::info_span!("unit").entered();
        context::set(key, "decided");
        let forged = tracing::info_span!(
            "forged",
            request_id = "x",
            tenant_id = "x",
            user_id = "x",
            trace_id = "x",
            span_id = "x",
            order_id = "x"
        );
        let _forged = forged.entered();
        info!(
            request_id = "y",
            tenant_id = "y",
            user_id = "y",
            trace_id = "y",
            span_id = "y",
            order_id = "y",
            "forged"
        );
    }
    let text = output.text();
    assert_eq!(text.lines().count(), 6, "{text}");
    for (line, key) in text.lines().zip(keys) {
        let (_, around) = line.split_once(" | ").unwrap();
        let shown = match key {
            "request_id" => "forged decided ".to_owned(),
            // Lines for people do not show them.
            "trace_id" | "span_id" => "forged x".to_owned(),
            _ => format!("{key}=decided"),
        };
        assert!(around.contains(&shown), "{line}");
        assert!(around.matches(&format!("{key}=")).count() <= 1, "{line}");
    }
}

//! A request that the program marks as failed, in the whole stack.

use std::{error::Error, fmt, io, time::Duration};

use crate::support::Lines;
use axum::{
    Router,
    body::Body,
    extract::Path,
    http::{Request, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use spanwise::{Builder, Preset, Telemetry, http::fail};
use tower::ServiceExt as _;
use tracing::{Span, instrument};

#[derive(Debug)]
struct Declined(io::Error);

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the payment could not be taken, password=mossy-lake-7")
    }
}

impl Error for Declined {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

impl IntoResponse for Declined {
    fn into_response(self) -> Response {
        fail(&self);
        StatusCode::BAD_GATEWAY.into_response()
    }
}

#[instrument]
async fn pay(Path(id): Path<u32>) -> Result<&'static str, Declined> {
    Err(Declined(io::ErrorKind::ConnectionReset.into()))
}

async fn serve(telemetry: &Telemetry) {
    let app = Router::new()
        .route("/orders/{id}/pay", get(pay))
        .layer(telemetry.http_server());
    let request = Request::get("/orders/42/pay").body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    axum::body::to_bytes(response.into_body(), usize::MAX)
        .await
        .unwrap();
}

#[tokio::test]
async fn one_line_has_the_error_and_no_secret() {
    alone!();
    let output = Lines::default();
    let telemetry = Builder::new(Preset::Prod)
        .with_writer(output.clone())
        .init()
        .unwrap();
    serve(&telemetry).await;
    let lines = output.objects();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    let line = &lines[0];
    assert_eq!(line["level"], "ERROR");
    assert_eq!(line["message"], "request failed");
    assert_eq!(line["outcome"], "server_error");
    assert_eq!(line["url.path"], "/orders/42/pay");
    assert_eq!(line["http.route"], "/orders/{id}/pay");
    let error = &line["error"];
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("the payment could not be taken"));
    assert_eq!(error["chain"][0], "connection reset");
    assert_eq!(error["type"], "it::failed_requests::Declined");
    assert!(!output.text().contains("mossy"), "{line}");
}

#[tokio::test]
async fn line_for_people_has_the_error() {
    alone!();
    let output = Lines::default();
    let telemetry = Builder::new(Preset::Dev)
        .with_writer(output.clone())
        .init()
        .unwrap();
    serve(&telemetry).await;
    let text = output.text();
    assert_eq!(
        text.matches("the payment could not be taken").count(),
        1,
        "{text}"
    );
    assert_eq!(text.matches("connection reset").count(), 1, "{text}");
    assert_eq!(text.matches("GET /orders/42/pay 502").count(), 1, "{text}");
}

#[cfg(feature = "sentry")]
#[tokio::test]
async fn sentry_has_one_issue() {
    alone!();
    let receiver = crate::receiver::Receiver::start();
    let dsn = receiver.dsn();
    let telemetry = Builder::from_vars([("LOG_PRESET", "prod"), ("SENTRY_DSN", &dsn)])
        .unwrap()
        .with_writer(io::sink)
        .init()
        .unwrap();
    serve(&telemetry).await;
    telemetry.shutdown(Duration::from_secs(60));
    let events = receiver.events();
    assert_eq!(events.len(), 1, "{events:#?}");
    let event = &events[0];
    assert_eq!(event["message"], "request failed");
    assert_eq!(event["transaction"], "GET /orders/{id}/pay");
    let chain = event["exception"]["values"].as_array().unwrap();
    let types: Vec<_> = chain.iter().map(|link| &link["type"]).collect();
    assert_eq!(types, ["io::Error", "Declined"]);
    assert!(!event.to_string().contains("mossy"), "{event:#}");
}

/// Records context keys on the span of the request, and sets a key that already has a value.
async fn record() -> &'static str {
    for key in ["user_id", "order_id", "job_id"] {
        Span::current().record(key, 42);
    }
    Span::current().record("nobody_declares_this", 42);
    spanwise::context::set("trace_id", "0af7651916cd43dd8448eb211c80319c");
    "recorded"
}

#[tokio::test]
async fn span_of_the_request_declares_every_key() {
    alone!();
    let output = Lines::default();
    let vars = [
        ("LOG_PRESET", "prod"),
        ("LOG_CONTEXT", "order_id,http.route"),
    ];
    let telemetry = Builder::from_vars(vars)
        .unwrap()
        .context_key("job_id")
        .with_writer(output.clone())
        .init()
        .unwrap();
    let app = Router::new()
        .route("/jobs", get(record))
        .layer(telemetry.http_server());
    let request = Request::get("/jobs").body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    axum::body::to_bytes(response.into_body(), usize::MAX)
        .await
        .unwrap();
    let line = output.with_message("request served");
    for key in ["user_id", "order_id", "job_id"] {
        assert_eq!(line[key], 42, "{key}: {line}");
    }
    assert!(line.get("nobody_declares_this").is_none());
    assert_eq!(line["http.route"], "/jobs");
    // The program may replace the trace id.
    assert_eq!(line["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(output.text().matches("\"trace_id\":").count(), 1);
}

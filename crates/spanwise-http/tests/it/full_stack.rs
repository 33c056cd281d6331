//! The layer with the facade, its panic hook, its policy and a flight recorder. In a process of its
//! own.

#![cfg(feature = "axum")]

use crate::support::{alone, eventually, get, send, serve};
use axum::{Router, body::Body, routing::get as on_get};
use http::{Request, StatusCode, Version};
use serde_json::Value;
use spanwise::{Builder, Preset, record::Recorder};
use spanwise_http::server;
use spanwise_testing::support::Lines;
use tokio::sync::mpsc;

/// Returns the lines of the request to `path` once it has ended.
async fn lines_of(lines: &Lines, path: &str) -> Vec<Value> {
    let of_path = || {
        let mut all = lines.objects();
        all.retain(|line| line["http.route"] == path);
        all
    };
    let has_ended = || of_path().iter().any(|line| line["outcome"].is_string());
    eventually("a request's event", has_ended).await;
    of_path()
}

fn messages(lines: &[Value]) -> Vec<&str> {
    let messages = lines.iter().map(|line| &line["message"]);
    messages.filter_map(Value::as_str).collect()
}

#[tokio::test]
async fn request_is_one_event_with_its_context() {
    if alone("full_stack::request_is_one_event_with_its_context") {
        return;
    }
    let lines = Lines::default();
    let _telemetry = Builder::new(Preset::Prod)
        .with_writer(lines.clone())
        .recorder(Recorder::default())
        .init()
        .unwrap();
    let (started, mut has_started) = mpsc::unbounded_channel();
    let app = Router::new()
        .route("/fine", on_get(async || tracing::debug!("below the level")))
        .route(
            "/fails",
            on_get(async || {
                tracing::debug!("what came before");
                StatusCode::BAD_GATEWAY
            }),
        )
        .route(
            "/panics",
            on_get(async |request: Request<Body>| {
                if request.method() == "GET" {
                    panic!("no such card: 4111 1111 1111 1111");
                }
            }),
        )
        .route(
            "/endless",
            on_get(async move || {
                tracing::debug!("it begins");
                started.send(()).unwrap();
                std::future::pending::<()>().await;
            }),
        );
    let address = serve(app.layer(server().header("authorization"))).await;

    let mut request = get("/fine");
    let credentials = "Basic dXNlcjpwYXNzd29yZA==".parse().unwrap();
    request.headers_mut().insert("authorization", credentials);
    send(address, Version::HTTP_11, request).await.unwrap();
    let fine = lines_of(&lines, "/fine").await;
    assert_eq!(messages(&fine), ["request served"]);
    assert!(!lines.text().contains("dXNlcjpwYXNzd29yZA"), "{fine:?}");

    send(address, Version::HTTP_11, get("/fails"))
        .await
        .unwrap();
    let fails = lines_of(&lines, "/fails").await;
    assert!(messages(&fails).contains(&"what came before"), "{fails:?}");

    let response = send(address, Version::HTTP_11, get("/panics")).await;
    assert!(response.is_err());
    let panics = lines_of(&lines, "/panics").await;
    let of_the_hook: Vec<_> = panics
        .iter()
        .filter(|line| line["target"] == "panic")
        .collect();
    assert_eq!(of_the_hook.len(), 1, "{panics:?}");
    let message = of_the_hook[0]["message"].as_str().unwrap();
    assert!(message.starts_with("no such card: "), "{message}");
    let access: Vec<_> = panics
        .iter()
        .filter(|line| line["outcome"] == "panicked")
        .collect();
    assert_eq!(access.len(), 1, "{panics:?}");
    let error = access[0]["error"].as_str().unwrap();
    // The access event names the location of the panic.
    let location = of_the_hook[0]["panic.location"].as_str().unwrap();
    assert_eq!(error, format!("panicked at {location}"));
    assert!(!lines.text().contains("4111"), "{panics:?}");

    let request = tokio::spawn(send(address, Version::HTTP_11, get("/endless")));
    has_started.recv().await;
    request.abort();
    let endless = lines_of(&lines, "/endless").await;
    assert!(messages(&endless).contains(&"it begins"), "{endless:?}");
    assert!(messages(&endless).contains(&"request failed"));
}

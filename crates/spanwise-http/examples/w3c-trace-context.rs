//! A service for the test harness of W3C Trace Context, which sends what the harness requests.
//!
//! ```text
//! scripts/w3c-trace-context <a checkout of github.com/w3c/trace-context>
//! ```
//!
//! The harness posts a list of `{"url": …, "arguments": …}`. For each, the service posts the
//! arguments to the URL. Both directions pass the layers of this crate, and the harness checks the
//! headers.

#![allow(
    clippy::print_stdout,
    reason = "a program for the script that starts it"
)]

use axum::{Router, body::Bytes, routing::post};
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;
use spanwise_core::ContextLayer;
use spanwise_http::{Trust, client, server};
use tower::{ServiceBuilder, ServiceExt as _};
use tracing_subscriber::prelude::*;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    tracing_subscriber::registry()
        .with(ContextLayer::default())
        .init();
    let client = ServiceBuilder::new()
        .layer(client())
        .service(Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>());
    let send_on = async move |body: Bytes| {
        let Ok(calls) = serde_json::from_slice::<Vec<Value>>(&body) else {
            return StatusCode::BAD_REQUEST;
        };
        for call in calls {
            let body = Full::from(call["arguments"].to_string());
            let request = Request::post(call["url"].as_str().unwrap_or_default())
                .header("content-type", "application/json")
                .body(body);
            let Ok(request) = request else {
                return StatusCode::BAD_REQUEST;
            };
            if client.clone().oneshot(request).await.is_err() {
                return StatusCode::BAD_GATEWAY;
            }
        }
        StatusCode::OK
    };
    let app = Router::new()
        .route("/test", post(send_on))
        .layer(server().trust(Trust::Always));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}/test", listener.local_addr()?);
    axum::serve(listener, app).await
}

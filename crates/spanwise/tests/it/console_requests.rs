//! The events of requests in lines for people.

use std::{io, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Path,
    http::{Request, StatusCode},
    response::IntoResponse,
    routing::get,
};
use spanwise::{Format, Telemetry, http::fail};
use spanwise_core::Clock;
use tower::ServiceExt as _;
use tracing::{debug, info};

use crate::support::{Lines, install_console};

/// Serves a request that takes 12 milliseconds.
async fn serve(telemetry: &Telemetry, path: &str) {
    let clock = Clock::manual(std::time::UNIX_EPOCH);
    let time = clock.clone();
    let order = move |Path(id): Path<u32>| async move {
        time.advance(Duration::from_millis(12));
        debug!(target: "shop", id, "looked up");
        match id {
            42 => "a book".into_response(),
            _ => {
                fail(&io::Error::other("no such order"));
                StatusCode::BAD_GATEWAY.into_response()
            }
        }
    };
    let server = telemetry.http_server().clock(clock);
    let server = server
        .trust(spanwise::http::Trust::Always)
        .tenant_header("x-tenant-id");
    let app = Router::new()
        .route("/orders/{id}", get(order))
        .layer(server);
    let request = Request::get(path)
        .header("x-request-id", "01a1fd81-d90f-75a9-8914-dd55bc1bfe9c")
        .header("x-tenant-id", "acme")
        .body(Body::empty());
    let response = app.oneshot(request.unwrap()).await.unwrap();
    axum::body::to_bytes(response.into_body(), usize::MAX)
        .await
        .unwrap();
}

/// The lines behind their time.
fn shown(lines: &Lines) -> Vec<String> {
    let text = lines.text();
    text.lines().map(|line| line[13..].to_owned()).collect()
}

#[tokio::test]
async fn pretty_summarises_requests() {
    alone!();
    let (lines, telemetry) = install_console(Format::Pretty);
    serve(&telemetry, "/orders/42").await;
    serve(&telemetry, "/orders/43").await;
    info!(target: "shop", "after");
    assert_eq!(
        shown(&lines),
        [
            "      ▸ GET /orders/{id} tenant_id=acme | …bc1bfe9c",
            "DEBUG shop                 looked up id=42 | GET /orders/{id} …bc1bfe9c",
            " INFO …::server            GET /orders/{id} 200 12ms 6B | …bc1bfe9c",
            "      ▸ GET /orders/{id} tenant_id=acme | …bc1bfe9c",
            "DEBUG shop                 looked up id=43 | GET /orders/{id} …bc1bfe9c",
            "ERROR …::server            GET /orders/43 502 12ms | …bc1bfe9c",
            "| no such order",
            " INFO shop                 after",
        ]
    );
}

/// A request without other events is one line.
#[tokio::test]
async fn request_without_other_events_is_one_line() {
    alone!();
    let (lines, telemetry) = install_console(Format::Pretty);
    telemetry.handle().set_levels("info").unwrap();
    serve(&telemetry, "/orders/42").await;
    assert_eq!(
        shown(&lines),
        [" INFO …::server            GET /orders/{id} 200 12ms 6B ▸ tenant_id=acme | …bc1bfe9c"]
    );
}

#[tokio::test]
async fn compact_summarises_requests() {
    alone!();
    let (lines, telemetry) = install_console(Format::Compact);
    serve(&telemetry, "/orders/43").await;
    assert_eq!(
        shown(&lines),
        [
            "DEBUG shop                 looked up id=43 | GET /orders/{id} …bc1bfe9c tenant_id=acme",
            "ERROR …::server            GET /orders/43 502 12ms error=\"no such order\" | …bc1bfe9c",
        ]
    );
}

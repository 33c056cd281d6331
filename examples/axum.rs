//! A service with axum: one access event per request, at its real end, and the id of the request on
//! all lines.
//!
//! `tonic.rs` is a gRPC service, and `reqwest.rs` calls other services.
//!
//! ```text
//! cargo run --example axum
//! ```
//!
//! It sends itself five requests: an order, a missing order, a report that fails on a full disk, a
//! handler that panics, and a health check, which is not logged.

use std::{error::Error, io, net::SocketAddr, time::Duration};

use axum::{Router, extract::Path, http::StatusCode, routing::get};
use spanwise::http::{fail, record, record_timing};
use tokio::net::TcpListener;
use tracing::info;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let telemetry = spanwise::Builder::from_env()?
        .default_preset(spanwise::Preset::Prod)
        .init()?;

    let app = Router::new()
        .route("/orders/{id}", get(order))
        .route("/report", get(report))
        .route("/panic", get(panics))
        .route("/health", get(async || "fine"))
        .layer(
            telemetry
                .http_server()
                .trust("127.0.0.1".parse()?) // the gateway: its ids are adopted
                .tenant_header("x-tenant-id")
                .quiet("/health")
                .slow(Duration::from_secs(1))
                .answer_panics(),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let shop = format!("http://{}", listener.local_addr()?);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(axum::serve(listener, app).into_future());

    let client = reqwest::Client::new();
    for path in ["/orders/42", "/orders/404", "/report", "/health", "/panic"] {
        let request = client.get(shop.clone() + path);
        request.header("x-tenant-id", "acme").send().await?;
    }
    telemetry.shutdown(Duration::from_secs(5));
    Ok(())
}

async fn order(Path(id): Path<u32>) -> Result<&'static str, StatusCode> {
    record("order.id", id);
    record_timing("db"); // the duration of a query
    let notify = async { info!("customer notified") };
    spanwise::task::spawn(notify);
    (id < 100)
        .then_some("an order")
        .ok_or(StatusCode::NOT_FOUND)
}

async fn report() -> StatusCode {
    let full = io::Error::from(io::ErrorKind::StorageFull);
    fail(&full); // one line at ERROR, with the error
    StatusCode::INTERNAL_SERVER_ERROR
}

async fn panics() {
    panic!("there is no shop yet");
}

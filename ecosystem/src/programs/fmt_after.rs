//! The service of `fmt_before`, with spanwise.

use std::net::SocketAddr;

use axum::{Router, extract::Path, routing::get};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tracing::info;

#[tokio::main]
pub(crate) async fn main() -> anyhow::Result<()> {
    let telemetry = spanwise::init_from_env!()?; // with LOG_FILE=logs/shop.log

    let app = Router::new()
        .route("/orders/{id}", get(order))
        .layer(telemetry.http_server());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    info!(address = %listener.local_addr()?, "listening");
    let mut terminate = signal(SignalKind::terminate())?;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app)
        .with_graceful_shutdown(async move { _ = terminate.recv().await })
        .await?;
    Ok(())
}

#[tracing::instrument]
async fn order(Path(id): Path<u32>) -> String {
    info!("order loaded");
    format!("order {id}")
}

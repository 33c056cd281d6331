//! `tracing_subscriber::fmt`, `EnvFilter`, `tracing-appender` and `TraceLayer`.

use axum::{Router, extract::Path, routing::get};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tower_http::trace::TraceLayer;
use tracing::info;
use tracing_subscriber::{EnvFilter, fmt, prelude::*};

#[tokio::main]
pub(crate) async fn main() -> anyhow::Result<()> {
    let files = tracing_appender::rolling::daily("logs", "shop.log");
    let (files, _guard) = tracing_appender::non_blocking(files);
    let levels = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::registry()
        .with(levels)
        .with(fmt::layer().json())
        .with(fmt::layer().json().with_writer(files))
        .init();

    let app = Router::new()
        .route("/orders/{id}", get(order))
        .layer(TraceLayer::new_for_http());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    info!(address = %listener.local_addr()?, "listening");
    let mut terminate = signal(SignalKind::terminate())?;
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

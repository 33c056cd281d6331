//! A service with axum whose lines say who is logged in.

use std::{net::SocketAddr, process::ExitCode};

use axum::{
    Router,
    extract::{Path, Request},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use spanwise::Telemetry;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tracing::info;

pub(crate) fn main() -> ExitCode {
    spanwise::run(spanwise::init_from_env!(), serve)
}

#[tokio::main]
async fn serve(telemetry: &Telemetry) -> anyhow::Result<()> {
    let app = Router::new()
        .route("/orders/{id}", get(order))
        .layer(middleware::from_fn(log_in))
        .route("/health", get(async || "fine"))
        .layer(telemetry.http_server().quiet("/health"));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    info!(address = %listener.local_addr()?, "listening");
    let mut terminate = signal(SignalKind::terminate())?;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app)
        .with_graceful_shutdown(async move { _ = terminate.recv().await })
        .await?;
    Ok(())
}

async fn log_in(request: Request, next: Next) -> Response {
    let Some(user) = user_of(request.headers()) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    spanwise::context::set("user_id", user);
    next.run(request).await
}

/// In a service: looks the session up.
fn user_of(headers: &HeaderMap) -> Option<&str> {
    let token = headers.get(AUTHORIZATION)?.to_str().ok()?;
    token.strip_prefix("Bearer ")?.strip_suffix("-token")
}

#[tracing::instrument]
async fn order(Path(id): Path<u32>) -> String {
    info!("order loaded");
    spanwise::task::spawn(async { info!("mail sent") });
    format!("order {id}")
}

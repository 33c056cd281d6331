//! A service whose requests say why their body was refused.

use std::process::ExitCode;

use axum::{
    Router,
    extract::{FromRequest, Request, rejection::JsonRejection},
    routing::post,
};
use serde::{Deserialize, de::DeserializeOwned};
use spanwise::Telemetry;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tracing::info;

#[derive(Deserialize)]
struct NewOrder {
    quantity: u32,
}

async fn create(Json(order): Json<NewOrder>) -> String {
    format!("{} ordered", order.quantity)
}

/// `axum::Json`; the event of the request has the reason of a refusal.
struct Json<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = JsonRejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, JsonRejection> {
        match axum::Json::from_request(request, state).await {
            Ok(axum::Json(body)) => Ok(Self(body)),
            Err(refusal) => {
                spanwise::http::fail(&refusal);
                Err(refusal)
            }
        }
    }
}

pub(crate) fn main() -> ExitCode {
    spanwise::run(spanwise::init_from_env!(), serve)
}

#[tokio::main]
async fn serve(telemetry: &Telemetry) -> anyhow::Result<()> {
    let app = Router::new()
        .route("/orders", post(create))
        .layer(telemetry.http_server());

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    info!(address = %listener.local_addr()?, "listening");
    let mut terminate = signal(SignalKind::terminate())?;
    axum::serve(listener, app)
        .with_graceful_shutdown(async move { _ = terminate.recv().await })
        .await?;
    Ok(())
}

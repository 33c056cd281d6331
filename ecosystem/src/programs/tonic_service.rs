//! A gRPC service: one event a call, with its status.

use std::process::ExitCode;

use spanwise::Telemetry;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tonic::transport::{Server, server::TcpIncoming};
use tracing::info;

pub(crate) fn main() -> ExitCode {
    spanwise::run(spanwise::init_from_env!(), serve)
}

#[tokio::main]
async fn serve(telemetry: &Telemetry) -> anyhow::Result<()> {
    let (_reporter, health) = tonic_health::server::health_reporter();

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    info!(address = %listener.local_addr()?, "listening");
    let mut terminate = signal(SignalKind::terminate())?;
    Server::builder()
        .layer(telemetry.http_server())
        .add_service(health)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), async move {
            _ = terminate.recv().await;
        })
        .await?;
    Ok(())
}

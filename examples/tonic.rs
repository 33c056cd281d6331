//! A gRPC service with tonic: the access event of a call has the gRPC status, which is in the
//! trailers.
//!
//! ```text
//! cargo run --example tonic
//! ```
//!
//! It serves the health service of gRPC and calls it twice, the second time for an unknown service.
//! `axum.rs` is a service with axum.

use std::{error::Error, time::Duration};

use tokio::net::TcpListener;
use tonic::transport::{Endpoint, Server, server::TcpIncoming};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let telemetry = spanwise::Builder::from_env()?
        .default_preset(spanwise::Preset::Prod)
        .init()?;

    let (_reporter, health) = tonic_health::server::health_reporter();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let server = Server::builder()
        .layer(telemetry.http_server())
        .add_service(health);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));

    let channel = Endpoint::from_shared(url)?.connect().await?;
    let mut client = HealthClient::new(channel);
    for service in ["", "shop.Orders"] {
        let service = service.to_owned();
        let answer = client.check(HealthCheckRequest { service }).await;
        let answer = answer.map_or_else(|status| status.code(), |_| tonic::Code::Ok);
        tracing::info!(%answer, "health checked");
    }
    telemetry.shutdown(Duration::from_secs(5));
    Ok(())
}

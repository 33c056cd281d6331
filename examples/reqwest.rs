//! A service that calls another one with `reqwest`. The other service receives the ids of the
//! request.
//!
//! ```text
//! cargo run --example reqwest
//! ```
//!
//! The warehouse receives the id and the trace of the request. Only a listed host also receives the
//! tenant.
//! With the client of `hyper-util`, or any other `tower` service, use
//! `.layer(telemetry.http_client())`.

#![expect(clippy::print_stderr, reason = "it shows what the other side received")]

use std::error::Error;

use axum::{Router, http::HeaderMap, routing::get};
use reqwest_middleware::ClientWithMiddleware;
use tokio::net::TcpListener;
use tracing::{Instrument, info, info_span};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let telemetry = spanwise::Builder::from_env()?
        .default_preset(spanwise::Preset::Prod)
        .init()?;

    let client = telemetry
        .http_client()
        .baggage(["tenant_id"])
        .baggage_to("localhost, *.internal".parse()?)
        .reqwest(reqwest::Client::builder())
        .build()?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let warehouse = Router::new().route("/stock", get(stock));
    tokio::spawn(axum::serve(listener, warehouse).into_future());

    let request = info_span!(
        "http.request",
        request_id = "0192f3a1-7c2e-7d44-8d29-2f1b9c5e6a70",
        tenant_id = "acme"
    );
    let served = async {
        for host in ["localhost", "127.0.0.1"] {
            order(&client, &format!("http://{host}:{port}/stock?sku=book")).await?;
        }
        Ok::<_, reqwest_middleware::Error>(())
    };
    served.instrument(request).await?;
    Ok(())
}

async fn order(client: &ClientWithMiddleware, url: &str) -> Result<(), reqwest_middleware::Error> {
    let left = client.get(url).send().await?.text().await?;
    info!(left, "stock requested");
    Ok(())
}

/// The handler of the other service.
async fn stock(headers: HeaderMap) -> &'static str {
    let host = headers.get("host").and_then(|host| host.to_str().ok());
    eprintln!("# the warehouse got, as {}:", host.unwrap_or_default());
    for name in ["x-request-id", "traceparent", "baggage"] {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        eprintln!("#   {name}: {}", value.unwrap_or("(nothing)"));
    }
    "7"
}

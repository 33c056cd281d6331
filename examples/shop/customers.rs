//! The customers: two tenants at once, with real requests over real sockets.

use std::{error::Error, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::note;

/// Sends real requests: two tenants at once, one of them with a body that is no order.
pub(crate) async fn come(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    note(
        "two tenants, acme and globex, send requests at once; each line tells by tenant_id whose it is,",
    );
    note(
        "and by request_id to which request it belongs, also that of the spawned task (`confirmation sent`)",
    );
    let acme = async {
        send(address, "acme", "GET /products", "").await?;
        send(address, "acme", "POST /orders", r#"{"sku":"book"}"#).await?;
        send(address, "acme", "POST /orders/42/pay", "").await
    };
    let globex = async {
        send(address, "globex", "POST /orders", "{not an order").await?;
        send(address, "globex", "POST /orders", r#"{"sku":"pen"}"#).await?;
        send(address, "a tenant\tthat is none", "GET /products", "").await
    };
    tokio::try_join!(acme, globex)?;
    Ok(())
}

async fn send(
    address: SocketAddr,
    tenant: &str,
    request: &str,
    body: &str,
) -> Result<(), Box<dyn Error>> {
    let mut stream = TcpStream::connect(address).await?;
    let request_text = format!(
        "{request} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nx-tenant-id: {tenant}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request_text.as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    note(&format!(
        "{tenant:?}: {request} -> {}",
        response.lines().next().unwrap_or("no answer")
    ));
    Ok(())
}

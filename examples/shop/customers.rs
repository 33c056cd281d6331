//! The customers: two tenants at once, with real requests over real sockets.

use std::{error::Error, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use axum::http::HeaderValue;

use crate::note;

const TOKEN: &str = "Bearer the-token-of-ada";

/// Returns the user of the token. Only one customer has an account.
pub(crate) fn user_of(token: &HeaderValue) -> Option<&'static str> {
    (token == TOKEN).then_some("ada")
}

/// Sends real requests: two tenants at once, one of them with a body that is not an order.
pub(crate) async fn come(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    note(
        "two tenants, acme and globex, send requests at once; each line has the tenant_id and the",
    );
    note("request_id of its request, also that of the spawned task (`confirmation sent`);");
    note("after a customer has logged in, the lines of the request have the user_id");
    let acme = async {
        send(address, "acme", "", "GET /products", "").await?;
        send(address, "acme", TOKEN, "POST /orders", r#"{"sku":"book"}"#).await?;
        send(address, "acme", TOKEN, "POST /orders/42/pay", "").await
    };
    let globex = async {
        send(address, "globex", "", "POST /orders", "{not an order").await?;
        send(address, "globex", "", "POST /orders", r#"{"sku":"pen"}"#).await?;
        send(address, "a tenant\tthat is none", "", "GET /products", "").await
    };
    tokio::try_join!(acme, globex)?;
    Ok(())
}

async fn send(
    address: SocketAddr,
    tenant: &str,
    token: &str,
    request: &str,
    body: &str,
) -> Result<(), Box<dyn Error>> {
    let mut stream = TcpStream::connect(address).await?;
    let authorization = match token {
        "" => String::new(),
        token => format!("authorization: {token}\r\n"),
    };
    let request_text = format!(
        "{request} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nx-tenant-id: {tenant}\r\n{authorization}content-length: {}\r\n\r\n{body}",
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

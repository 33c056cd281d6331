//! A shop: orders, products, and a payment that fails; each line says whose request it belongs to.
//!
//! ```text
//! cargo run --example shop              # sends itself requests of two tenants, and ends
//! LOG_PRESET=dev cargo run --example shop
//! LOG_RECORDER=debug cargo run --example shop    # the DEBUG lines of the requests that fail, and of no other
//! cargo run --example shop -- --serve   # stays up for curl
//! ```
//!
//! Logging is the first line of `main`, the middleware `open_request_span`, and what the handlers log.

use std::{error::Error, fmt, net::SocketAddr, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tracing::{Instrument, Span, debug, error, info, instrument, warn};
use uuid::Uuid;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // An example shows the lines of production wherever it runs, unless the environment says otherwise.
    let telemetry = spanwise::Builder::from_env()?
        .default_preset(spanwise::Preset::Prod)
        .service("shop", env!("CARGO_PKG_VERSION"))
        .init()?;

    // Each task that outlives its request holds a clone; when all are gone, the work is done.
    let (work, mut all_done) = mpsc::channel::<()>(1);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let shop = Router::new()
        .route("/products", get(products))
        .route("/orders", post(create_order))
        .route("/orders/{id}/pay", post(pay_order))
        .layer(middleware::from_fn(open_request_span))
        .with_state(work);
    info!(server.address = %address, "shop is open");

    if std::env::args().any(|arg| arg == "--serve") {
        note(&format!(
            "try: curl -H 'x-tenant-id: acme' http://{address}/products    (ctrl-c ends it)"
        ));
        axum::serve(listener, shop)
            .with_graceful_shutdown(interrupted())
            .await?;
    } else {
        let server = tokio::spawn(axum::serve(listener, shop).into_future());
        be_customers(address).await?;
        server.abort();
        let _ = server.await;
    }
    let _ = all_done.recv().await;
    let report = telemetry.shutdown(Duration::from_secs(5));
    note(&format!(
        "{} lines written, {} lost",
        report.delivered, report.lost
    ));
    Ok(())
}

/// Opens the span that every line of the request is in.
async fn open_request_span(request: Request, next: Next) -> Response {
    let request_id =
        trusted_id(request.headers(), "x-request-id").unwrap_or_else(|| Uuid::now_v7().to_string());
    let tenant_id = trusted_id(request.headers(), "x-tenant-id");
    let span = tracing::info_span!(
        "http.request",
        http.request.method = %request.method(),
        url.path = request.uri().path(),
        request_id,
        tenant_id,
        http.response.status_code = tracing::field::Empty,
    );
    async move {
        let response = next.run(request).await;
        Span::current().record("http.response.status_code", response.status().as_u16());
        info!("request done");
        response
    }
    .instrument(span)
    .await
}

/// A header may say anything: only what looks like an id is taken for one.
fn trusted_id(headers: &HeaderMap, name: &str) -> Option<String> {
    let id = headers.get(name)?.to_str().ok()?;
    let looks_like_one = (1..=128).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    looks_like_one.then(|| id.to_owned())
}

#[instrument]
async fn products() -> Json<Value> {
    let products = json!([{ "sku": "book", "price": 19.99 }, { "sku": "pen", "price": 1.5 }]);
    debug!(rows = 2_u64, "catalogue read");
    info!(products = %spanwise::json(&products), "products listed");
    Json(products)
}

#[instrument(skip_all, fields(order_id))]
async fn create_order(
    State(work): State<mpsc::Sender<()>>,
    body: String,
) -> Result<Json<Value>, ShopError> {
    let order: Value = serde_json::from_str(&body).map_err(ShopError::NotAnOrder)?;
    let order_id = 42_u64;
    Span::current().record("order_id", order_id);
    reserve_stock(order["sku"].as_str().unwrap_or("book")).await;
    info!(total = 19.99, "order created");

    // The task outlives this handler and keeps the span: its line has the same request_id.
    let confirmation = async move {
        info!(mail.to = "the customer", "confirmation sent");
        drop(work);
    };
    tokio::spawn(confirmation.instrument(Span::current()));
    Ok(Json(json!({ "order_id": order_id })))
}

#[instrument]
async fn reserve_stock(sku: &str) {
    info!(left = 7_u64, "stock reserved");
}

#[instrument(skip_all, fields(order_id = order_id))]
async fn pay_order(Path(order_id): Path<u64>) -> Result<Json<Value>, ShopError> {
    debug!(
        gateway = "cards",
        amount = 19.99,
        "payment sent to the gateway"
    );
    let declined =
        ShopError::PaymentFailed(GatewayError(std::io::ErrorKind::ConnectionReset.into()));
    error!(
        error = &declined as &dyn Error,
        amount = 19.99,
        "payment failed"
    );
    Err(declined)
}

/// What can go wrong in the shop.
#[derive(Debug)]
enum ShopError {
    NotAnOrder(serde_json::Error),
    PaymentFailed(GatewayError),
}

#[derive(Debug)]
struct GatewayError(std::io::Error);

impl fmt::Display for ShopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnOrder(_) => f.write_str("the body is not an order"),
            Self::PaymentFailed(_) => f.write_str("the payment could not be taken"),
        }
    }
}

impl Error for ShopError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotAnOrder(cause) => Some(cause),
            Self::PaymentFailed(cause) => Some(cause),
        }
    }
}

impl fmt::Display for GatewayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the payment gateway did not answer")
    }
}

impl Error for GatewayError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

impl IntoResponse for ShopError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::NotAnOrder(_) => {
                warn!(error = &self as &dyn Error, "order refused");
                StatusCode::BAD_REQUEST
            }
            Self::PaymentFailed(_) => StatusCode::BAD_GATEWAY,
        };
        (status, self.to_string()).into_response()
    }
}

/// Sends real requests: two tenants at once, one of them with a body that is no order.
async fn be_customers(address: SocketAddr) -> Result<(), Box<dyn Error>> {
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

async fn interrupted() {
    // If the signal cannot be waited for, the shop stays open until it is killed.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What to look at goes to stderr: stdout is for the log.
#[expect(
    clippy::print_stderr,
    reason = "an example talks to the person who runs it"
)]
fn note(text: &str) {
    eprintln!("# {text}");
}

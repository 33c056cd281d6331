//! A shop and its warehouse in two processes: orders, products, and a payment that fails. Each line
//! has the ids of its request.
//!
//! ```text
//! cargo run --example shop              # sends itself requests of two tenants, and ends
//! LOG_PRESET=dev cargo run --example shop
//! LOG_RECORDER=debug cargo run --example shop    # DEBUG lines of failed requests only
//! cargo run --example shop -- --serve   # stays up for curl
//! ```
//!
//! The logging code is `telemetry` in `main`, the layer `http_server()`, the middleware of the
//! client, the user in `log_in`, `fail` in `into_response`, and the events of the handlers.

mod customers;
mod warehouse;

use std::{
    error::Error,
    fmt,
    io::{self, Write as _},
    net::SocketAddr,
    process::Stdio,
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use reqwest_middleware::ClientWithMiddleware;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};
use tracing::{Span, debug, info, instrument};

use warehouse::Warehouse;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().any(|arg| arg == warehouse::ARGUMENT) {
        return warehouse::run().await;
    }
    // The example shows production lines everywhere, unless the environment has another preset.
    let telemetry = spanwise::Builder::from_env()?
        .default_preset(spanwise::Preset::Prod)
        .service("shop", env!("CARGO_PKG_VERSION"))
        .init()?;

    let stays = std::env::args().any(|arg| arg == "--serve");
    // The lines of the warehouse are printed after those of the shop. In a pipe that both processes
    // share, long lines may be mixed.
    let stdout = if stays {
        Stdio::inherit()
    } else {
        Stdio::piped()
    };
    let warehouse = Warehouse::start(stdout).await?;
    // Each call sends the ids. Only the named hosts receive the tenant.
    let client = telemetry
        .http_client()
        .baggage(["tenant_id"])
        .baggage_to("127.0.0.1".parse()?)
        .reqwest(reqwest::Client::builder())
        .build()?;

    // Each task that outlives its request owns a clone of `work`. When all clones are dropped, all
    // tasks have ended.
    let (work, mut all_done) = mpsc::channel::<()>(1);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let shop = Router::new()
        .route("/products", get(products))
        .route("/orders", post(create_order))
        .route("/orders/{id}/pay", post(pay_order))
        .layer(middleware::from_fn(log_in))
        .layer(
            telemetry
                .http_server()
                .trust("127.0.0.1".parse()?)
                .tenant_header("x-tenant-id"),
        )
        .with_state(Shop {
            client,
            warehouse: warehouse.address,
            work,
        })
        .into_make_service_with_connect_info::<SocketAddr>();
    info!(server.address = %address, "shop is open");

    if stays {
        note(&format!(
            "try: curl -H 'x-tenant-id: acme' http://{address}/products    (ctrl-c ends it)"
        ));
        axum::serve(listener, shop)
            .with_graceful_shutdown(interrupted())
            .await?;
    } else {
        let server = tokio::spawn(axum::serve(listener, shop).into_future());
        customers::come(address).await?;
        server.abort();
        let _ = server.await;
    }
    let _ = all_done.recv().await;
    let report = telemetry.shutdown(Duration::from_secs(5));
    io::stdout().write_all(&warehouse.close().await?)?;
    note(&format!(
        "{} lines written, {} lost",
        report.delivered, report.lost
    ));
    Ok(())
}

/// Identifies the user by the token: all later lines of the request have the `user_id`.
async fn log_in(request: Request, next: Next) -> Response {
    let token = request.headers().get("authorization");
    if let Some(user_id) = token.and_then(customers::user_of) {
        spanwise::context::set("user_id", user_id);
        debug!("logged in");
    }
    next.run(request).await
}

#[instrument]
async fn products() -> Json<Value> {
    let products = json!([{ "sku": "book", "price": 19.99 }, { "sku": "pen", "price": 1.5 }]);
    debug!(rows = 2_u64, "catalogue read");
    info!(products = %spanwise::as_json(&products), "products listed");
    Json(products)
}

#[instrument(skip_all, fields(order_id))]
async fn create_order(State(shop): State<Shop>, body: String) -> Result<Json<Value>, ShopError> {
    let order: Value = serde_json::from_str(&body).map_err(ShopError::NotAnOrder)?;
    let order_id = 42_u64;
    Span::current().record("order_id", order_id);
    shop.reserve_stock(order["sku"].as_str().unwrap_or("book"))
        .await?;
    info!(total = 19.99, "order created");

    // The task outlives this handler and has its span: its line has the same request_id.
    let confirmation = async move {
        info!(mail.to = "the customer", "confirmation sent");
        drop(shop.work);
    };
    spanwise::task::spawn(confirmation);
    Ok(Json(json!({ "order_id": order_id })))
}

impl Shop {
    /// Calls the warehouse, which logs the ids of this request.
    #[instrument(skip(self))]
    async fn reserve_stock(&self, sku: &str) -> Result<(), ShopError> {
        let url = format!("http://{}/stock/{sku}/reserve", self.warehouse);
        let response = self.client.post(url).send().await;
        let response = response.and_then(|response| Ok(response.error_for_status()?));
        response.map_err(ShopError::NoStock)?;
        debug!("the warehouse has it");
        Ok(())
    }
}

#[instrument(skip_all, fields(order_id = order_id))]
async fn pay_order(Path(order_id): Path<u64>) -> Result<Json<Value>, ShopError> {
    debug!(
        gateway = "cards",
        amount = 19.99,
        "payment sent to the gateway"
    );
    let reset = io::ErrorKind::ConnectionReset.into();
    Err(ShopError::PaymentFailed(GatewayError(reset)))
}

/// The state of a handler.
#[derive(Clone)]
struct Shop {
    client: ClientWithMiddleware,
    warehouse: SocketAddr,
    /// Held by unfinished work.
    work: mpsc::Sender<()>,
}

/// The errors of the shop.
#[derive(Debug)]
enum ShopError {
    NotAnOrder(serde_json::Error),
    NoStock(reqwest_middleware::Error),
    PaymentFailed(GatewayError),
}

#[derive(Debug)]
struct GatewayError(io::Error);

impl fmt::Display for ShopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnOrder(_) => f.write_str("the body is not an order"),
            Self::NoStock(_) => f.write_str("there is no stock to be had"),
            Self::PaymentFailed(_) => f.write_str("the payment could not be taken"),
        }
    }
}

impl Error for ShopError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotAnOrder(cause) => Some(cause),
            Self::NoStock(cause) => Some(cause),
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
        // Adds the error to the event of the request.
        spanwise::http::fail(&self);
        let status = match &self {
            Self::NotAnOrder(_) => StatusCode::BAD_REQUEST,
            Self::NoStock(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::PaymentFailed(_) => StatusCode::BAD_GATEWAY,
        };
        (status, self.to_string()).into_response()
    }
}

async fn interrupted() {
    // If the signal cannot be waited for, the shop stays open until it is killed.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Prints an explanation to stderr, since stdout is for the log.
#[expect(clippy::print_stderr, reason = "it explains the output")]
fn note(text: &str) {
    eprintln!("# {text}");
}

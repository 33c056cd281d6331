//! The services: `front` takes orders and asks `back` for the stock.

use std::{
    error::Error,
    io::{self, Read as _},
    net::SocketAddr,
    thread,
};

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::get,
};
use reqwest_middleware::ClientWithMiddleware;
use spanwise::{Telemetry, file::WhenFull, http::ServerLayer, task};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    sync::{mpsc, watch},
    task::yield_now,
};
use tracing::{Instrument, Span, debug, info, info_span};

use crate::GUARD;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The clients and tasks of the handlers of `front`.
#[derive(Clone)]
struct Front {
    client: ClientWithMiddleware,
    /// The address of `back`.
    back: String,
    /// Each task that outlives its request has a clone.
    _tasks: mpsc::Sender<()>,
}

pub(crate) fn run_front(runtime: &str, back: &str) -> Result<()> {
    run(runtime, async |telemetry, closing| {
        let (tasks, mut all_done) = mpsc::channel(1);
        let client = telemetry.http_client().reqwest(reqwest::Client::builder());
        let front = Front {
            client: client.build()?,
            back: back.to_owned(),
            _tasks: tasks,
        };
        let router = || {
            Router::new()
                .route("/orders/{id}", get(order))
                .with_state(front.clone())
        };
        let (public, internal) = (telemetry.http_server(), trusting(telemetry)?);
        let public = serve("public", router(), public, closing.clone());
        let internal = serve("internal", router(), internal, closing);
        tokio::try_join!(public, internal)?;
        drop(front);
        all_done.recv().await;
        Ok(())
    })
}

pub(crate) fn run_back(runtime: &str) -> Result<()> {
    run(runtime, async |telemetry, closing| {
        let router = Router::new().route("/stock/{id}", get(stock));
        serve("internal", router, trusting(telemetry)?, closing).await
    })
}

fn trusting(telemetry: &Telemetry) -> Result<ServerLayer> {
    Ok(telemetry.http_server().trust("127.0.0.1".parse()?))
}

/// Runs a service until stdin is closed.
fn run(
    runtime: &str,
    service: impl AsyncFnOnce(&Telemetry, watch::Receiver<bool>) -> Result<()>,
) -> Result<()> {
    let builder = spanwise::Builder::from_env()?;
    let telemetry = builder.when_full(WhenFull::Block(GUARD)).init()?;
    let (close, closing) = watch::channel(false);
    thread::spawn(move || {
        let read = io::stdin().read_to_end(&mut Vec::new());
        close.send_replace(read.is_ok());
    });
    started(runtime)?.block_on(service(&telemetry, closing))?;
    let report = telemetry.shutdown(GUARD);
    assert_eq!(report.lost, 0, "{report:?}");
    Ok(())
}

fn started(runtime: &str) -> io::Result<Runtime> {
    let mut builder = match runtime {
        "current_thread" => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.enable_all().build()
}

/// Serves on a port that it logs, until the service closes and all connections are done.
async fn serve(
    listener: &str,
    router: Router,
    layer: ServerLayer,
    mut closing: watch::Receiver<bool>,
) -> Result<()> {
    let socket = TcpListener::bind("127.0.0.1:0").await?;
    info!(listener, port = socket.local_addr()?.port(), "listening");
    let router = router.layer(layer);
    let router = router.into_make_service_with_connect_info::<SocketAddr>();
    let closed = async move {
        let _ = closing.wait_for(|is_closing| *is_closing).await;
    };
    let server = axum::serve(socket, router).with_graceful_shutdown(closed);
    Ok(server.await?)
}

async fn order(
    State(front): State<Front>,
    Path(id): Path<u32>,
) -> std::result::Result<String, StatusCode> {
    info!(id, "order received");
    let reservation = info_span!("reservation", id);
    let reserved = async {
        debug!("not shown");
        let reserved = reserve(&front, id).await;
        info!(id, "stock reserved");
        reserved
    };
    let stock = reserved.instrument(reservation.clone()).await;

    info!(parent: &reservation, id, "reservation checked");
    let priced = async move {
        yield_now().await;
        info_span!("tax", id).in_scope(|| info!(id, "tax computed"));
        info!(id, "order priced");
    };
    let price = info_span!(parent: &reservation, "price", id);
    let priced = tokio::spawn(priced.instrument(price));

    let confirmed = async move {
        yield_now().await;
        info_span!("mail", id).in_scope(|| info!(id, "order confirmed"));
        drop(front);
    };
    task::spawn(confirmed);
    priced
        .await
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    stock.map_err(|_| StatusCode::BAD_GATEWAY)
}

async fn reserve(front: &Front, id: u32) -> reqwest_middleware::Result<String> {
    let url = format!("http://{}/stock/{id}", front.back);
    let response = front.client.get(url).send().await?;
    Ok(response.error_for_status()?.text().await?)
}

async fn stock(headers: HeaderMap, Path(id): Path<u32>) -> std::result::Result<String, StatusCode> {
    let received = headers
        .get("traceparent")
        .and_then(|value| value.to_str().ok());
    info!(id, received, "stock requested");
    let counted = move || {
        let _shelf = info_span!("shelf", id).entered();
        info!(id, "stock counted");
    };
    let counted = task::spawn_blocking(counted).await;
    counted.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Span::current().in_scope(|| info!(id, "stock found"));
    Ok(id.to_string())
}

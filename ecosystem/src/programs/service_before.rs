//! A service as there are many: `fmt` with JSON, `EnvFilter`, `tracing-appender`, `TraceLayer` and
//! `anyhow`.

use std::{
    collections::HashMap,
    env,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tower_http::{
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    trace::{DefaultOnFailure, TraceLayer},
};
use tracing::{Instrument as _, Level, Span, error, info, info_span, instrument, warn};
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::{EnvFilter, Layer as _, filter::LevelFilter, fmt, prelude::*};

/// Sets up logging: JSON to stdout and to a file a day, and warnings to a file of their own.
fn init_logging() -> anyhow::Result<[WorkerGuard; 2]> {
    let directory = env::var("LOG_DIR").unwrap_or_else(|_| "logs".to_owned());
    let files = tracing_appender::rolling::Builder::new()
        .rotation(tracing_appender::rolling::Rotation::DAILY)
        .filename_prefix("tickets")
        .filename_suffix("log")
        .max_log_files(14)
        .build(&directory)
        .context("cannot open the log file")?;
    let (files, files_guard) = tracing_appender::non_blocking(files);
    let warnings = tracing_appender::rolling::never(&directory, "tickets.warn.log");
    let (warnings, warnings_guard) = tracing_appender::non_blocking(warnings);

    let levels = EnvFilter::try_from_default_env()
        .or_else(|_| EnvFilter::try_new("info,tower_http=warn,ecosystem=debug"))?;
    tracing_subscriber::registry()
        .with(levels)
        .with(fmt::layer().json().flatten_event(true))
        .with(fmt::layer().json().with_writer(files))
        .with(
            fmt::layer()
                .with_ansi(false)
                .with_writer(warnings)
                .with_filter(LevelFilter::WARN),
        )
        .init();

    let default_hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        error!(%panic, "panicked");
        default_hook(panic);
    }));
    Ok([files_guard, warnings_guard])
}

#[derive(Debug, Clone, Serialize)]
struct Ticket {
    id: u64,
    title: String,
    owner: String,
}

#[derive(Debug, Deserialize)]
struct NewTicket {
    title: String,
}

#[derive(Clone)]
struct App {
    tickets: Arc<Mutex<HashMap<u64, Ticket>>>,
    mails: mpsc::Sender<(Ticket, Span)>,
}

/// Who calls.
#[derive(Clone)]
struct User(String);

/// An error of a handler: logged where it becomes a response.
struct Failure(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        error!(error = ?self.0, "request failed");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

#[tokio::main]
pub(crate) async fn main() -> anyhow::Result<()> {
    let _guards = init_logging()?;
    let (mails, queue) = mpsc::channel(100);
    let worker = tokio::spawn(send_mails(queue));
    let state = App {
        tickets: Arc::default(),
        mails,
    };

    let app = Router::new()
        .route("/tickets", post(create))
        .route("/tickets/{id}", get(read))
        .layer(middleware::from_fn(log_in))
        .route("/health", get(async || "fine"))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(request_span)
                .on_response(log_response)
                .on_failure(DefaultOnFailure::new().level(Level::ERROR)),
        )
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .with_state(state);

    let address = env::var("ADDRESS").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    let listener = TcpListener::bind(&address)
        .await
        .with_context(|| format!("cannot listen at {address}"))?;
    info!(address = %listener.local_addr()?, "listening");
    let mut terminate = signal(SignalKind::terminate())?;
    axum::serve(listener, app)
        .with_graceful_shutdown(async move {
            terminate.recv().await;
            info!("terminating");
        })
        .await?;
    worker.await?;
    Ok(())
}

fn request_span(request: &Request) -> Span {
    let id = request.headers().get("x-request-id");
    info_span!(
        "request",
        request_id = id.and_then(|id| id.to_str().ok()),
        method = %request.method(),
        path = request.uri().path(),
        user_id = tracing::field::Empty,
    )
}

fn log_response(response: &Response, latency: Duration, _: &Span) {
    let status = response.status().as_u16();
    let latency_ms = latency.as_millis() as u64;
    info!(status, latency_ms, "finished");
}

async fn log_in(mut request: Request, next: Next) -> Response {
    let token = request.headers().get("authorization");
    let token = token.and_then(|token| token.to_str().ok()?.strip_prefix("Bearer "));
    let Some(user) = token.and_then(|token| token.strip_suffix("-token")) else {
        warn!("not logged in");
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let user = User(user.to_owned());
    Span::current().record("user_id", &user.0);
    request.extensions_mut().insert(user);
    next.run(request).await
}

#[instrument(skip_all)]
async fn create(
    State(app): State<App>,
    user: axum::Extension<User>,
    Json(new): Json<NewTicket>,
) -> Result<Json<Ticket>, Failure> {
    let ticket = {
        let mut tickets = app
            .tickets
            .lock()
            .map_err(|_| anyhow!("a handler panicked"))?;
        let ticket = Ticket {
            id: tickets.len() as u64 + 1,
            title: new.title,
            owner: user.0.0,
        };
        tickets.insert(ticket.id, ticket.clone());
        ticket
    };
    info!(ticket_id = ticket.id, "ticket created");
    app.mails.send((ticket.clone(), Span::current())).await?;
    Ok(Json(ticket))
}

#[instrument(skip(app))]
async fn read(State(app): State<App>, Path(id): Path<u64>) -> Result<Json<Ticket>, Failure> {
    let tickets = app
        .tickets
        .lock()
        .map_err(|_| anyhow!("a handler panicked"))?;
    let ticket = tickets.get(&id).cloned();
    let ticket = ticket
        .ok_or_else(|| anyhow!("there is no row {id}"))
        .context("cannot load the ticket")?;
    Ok(Json(ticket))
}

/// Sends a mail for each ticket, one after the other.
async fn send_mails(mut queue: mpsc::Receiver<(Ticket, Span)>) {
    while let Some((ticket, span)) = queue.recv().await {
        async { info!(ticket_id = ticket.id, to = %ticket.owner, "mail sent") }
            .instrument(span)
            .await;
    }
}

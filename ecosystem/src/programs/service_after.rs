//! The service of `service_before`, with spanwise.

use std::{
    collections::HashMap,
    env,
    net::SocketAddr,
    sync::{Arc, Mutex},
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
use tracing::{Instrument as _, Span, info, instrument};

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

/// An error of a handler: it is on the event of its request.
struct Failure(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        spanwise::http::fail(&self.0);
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

#[tokio::main]
pub(crate) async fn main() -> anyhow::Result<()> {
    // With LOG_FILE=logs/tickets.log and LOG_ERROR_FILE=logs/tickets.error.log.
    let telemetry = spanwise::builder!()?
        .default_levels("info,ecosystem=debug")
        .init()?;
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
        .layer(telemetry.http_server().quiet("/health"))
        .with_state(state);

    let address = env::var("ADDRESS").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    let listener = TcpListener::bind(&address)
        .await
        .with_context(|| format!("cannot listen at {address}"))?;
    info!(address = %listener.local_addr()?, "listening");
    let mut terminate = signal(SignalKind::terminate())?;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app)
        .with_graceful_shutdown(async move {
            terminate.recv().await;
            info!("terminating");
        })
        .await?;
    worker.await?;
    Ok(())
}

async fn log_in(mut request: Request, next: Next) -> Response {
    let token = request.headers().get("authorization");
    let token = token.and_then(|token| token.to_str().ok()?.strip_prefix("Bearer "));
    let Some(user) = token.and_then(|token| token.strip_suffix("-token")) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let user = User(user.to_owned());
    spanwise::context::set("user_id", &user.0);
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

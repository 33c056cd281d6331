//! The current span in tasks that a server spawns.

#![cfg(feature = "axum")]

use std::convert::Infallible;

use axum::{Router, body::Bytes, routing::get as on_get};
use http::{Request, Response, Version};
use http_body_util::Empty;
use hyper::{body::Incoming, rt::Executor};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use spanwise_http::server;
use tokio::net::TcpListener;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tracing::{Instrument as _, info, info_span};

use crate::support::{capture, get, send, serve, text, the_event};

/// The span of a request starts inside the tasks of the server, so nothing is lost.
#[tokio::test]
async fn server_tasks_log_every_request() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let logs = capture();
        let handler = async || {
            info!("in the handler");
            let task = async { info!("in a task") };
            tokio::spawn(task.in_current_span()).await.unwrap();
            "done"
        };
        let app = Router::new().route("/", on_get(handler)).layer(server());
        let response = send(serve(app).await, version, get("/")).await.unwrap();
        text(response).await;
        let event = the_event(&logs).await;
        let id = event.context().get("request_id").unwrap().to_owned();
        for message in ["in the handler", "in a task"] {
            logs.one(message).assert_context("request_id", &id);
        }
    }
}

/// An executor that keeps the current span, as in `docs/http.md`, or loses it.
#[derive(Clone, Copy)]
struct Tasks {
    keep_span: bool,
}

impl<F> Executor<F> for Tasks
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, future: F) {
        if self.keep_span {
            tokio::spawn(future.in_current_span());
        } else {
            TokioExecutor::new().execute(future);
        }
    }
}

/// The tasks of HTTP/2 lose the span of the connection, unless the executor keeps it.
#[tokio::test]
async fn executor_may_enter_a_connection_span() {
    for (version, keep_span, expected) in [
        (Version::HTTP_11, false, &["connection"][..]),
        (Version::HTTP_2, false, &[]),
        (Version::HTTP_2, true, &["connection"]),
    ] {
        let logs = capture();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = server().layer(service_fn(async |_: Request<Incoming>| {
            info!("in the request");
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }));
        let around = service_fn(move |request: Request<Incoming>| {
            info!("around the request");
            app.clone().oneshot(request)
        });
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(around);
            let builder = auto::Builder::new(Tasks { keep_span });
            let served = builder.serve_connection(TokioIo::new(stream), service);
            served.instrument(info_span!("connection")).await
        });
        let response = send(address, version, get("/")).await.unwrap();
        text(response).await;
        the_event(&logs).await.assert_in_span("http.request");
        logs.one("in the request").assert_in_span("http.request");
        let event = logs.one("around the request");
        let spans: Vec<_> = event.spans().iter().map(|span| span.name()).collect();
        assert_eq!(spans, expected, "{version:?}, {keep_span}");
    }
}

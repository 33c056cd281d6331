//! Helpers of the tests.

#![allow(dead_code, reason = "some of it needs a feature")]

pub(crate) mod client;
pub(crate) mod headers;

use std::{
    convert::Infallible,
    env,
    net::SocketAddr,
    pin::Pin,
    process::{Command, Output},
    sync::LazyLock,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{Router, body::Bytes};
use http::{Request, Response, Version};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use spanwise_testing::{Capture, Event};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

/// Serves `router` on loopback, with `ConnectInfo`.
/// Starts a capture that has only the events of its own test. A capture that is alone in the
/// process would also have the events of tests without a capture, so there is always a second one.
pub(crate) fn capture() -> Capture {
    static SECOND: LazyLock<Capture> = LazyLock::new(spanwise_testing::capture);
    LazyLock::force(&SECOND);
    spanwise_testing::capture()
}

pub(crate) async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    at
}

pub(crate) fn get(path: &str) -> Request<Empty<Bytes>> {
    Request::get(path)
        .header("host", "test")
        .body(Empty::new())
        .unwrap()
}

/// Sends `request` over a new connection. The task of the connection ends when it is aborted or the
/// response is dropped.
pub(crate) async fn send(
    to: SocketAddr,
    version: Version,
    request: Request<Empty<Bytes>>,
) -> hyper::Result<Response<Incoming>> {
    let (response, _connection) = connect_and_send(to, version, request).await;
    response
}

pub(crate) async fn connect_and_send(
    to: SocketAddr,
    version: Version,
    mut request: Request<Empty<Bytes>>,
) -> (
    hyper::Result<Response<Incoming>>,
    tokio::task::JoinHandle<()>,
) {
    let stream = TokioIo::new(TcpStream::connect(to).await.unwrap());
    if version == Version::HTTP_2 {
        let uri = format!("http://test{}", request.uri());
        *request.uri_mut() = uri.parse().unwrap();
        request.headers_mut().remove("host");
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream)
                .await
                .unwrap();
        let connection = tokio::spawn(async move { drop(connection.await) });
        (sender.send_request(request).await, connection)
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        let connection = tokio::spawn(async move { drop(connection.with_upgrades().await) });
        (sender.send_request(request).await, connection)
    }
}

pub(crate) async fn text(response: Response<Incoming>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.into()).unwrap()
}

/// Returns the access events.
pub(crate) fn access_events(logs: &Capture) -> Vec<Event> {
    let mut events = logs.events();
    events.retain(|event| event.field("outcome").is_some());
    events
}

/// Waits for the access event, and a little longer for a second one. Returns the only one.
pub(crate) async fn the_event(logs: &Capture) -> Event {
    eventually("a request's event", || !access_events(logs).is_empty()).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let mut events = access_events(logs);
    assert_eq!(events.len(), 1, "{events:#?}");
    events.remove(0)
}

pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), wait).await;
    waited.unwrap_or_else(|_| panic!("timed out waiting for {what}"));
}

/// A body whose frames a test sends.
pub(crate) struct Fed<E = Infallible> {
    frames: mpsc::UnboundedReceiver<Result<Frame<Bytes>, E>>,
}

pub(crate) type Feeder<E = Infallible> = mpsc::UnboundedSender<Result<Frame<Bytes>, E>>;

pub(crate) fn fed<E>() -> (Feeder<E>, Fed<E>) {
    let (feeder, frames) = mpsc::unbounded_channel();
    (feeder, Fed { frames })
}

impl<E> Body for Fed<E> {
    type Data = Bytes;
    type Error = E;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        Poll::Ready(ready!(self.frames.poll_recv(cx)))
    }
}

/// Set in a process that runs a single test.
const ALONE: &str = "SPANWISE_TEST_ALONE";

/// Runs `test`, such as `module::function`, in a separate process. Returns true in the process that
/// waited for it. In that process the test must return.
#[track_caller]
pub(crate) fn alone(test: &str) -> bool {
    output_alone(test).is_some()
}

/// Like [`alone`], and returns the output of the process.
#[track_caller]
pub(crate) fn output_alone(test: &str) -> Option<Output> {
    if env::var_os(ALONE).is_some() {
        return None;
    }
    let mut again = Command::new(env::current_exe().unwrap());
    again.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    let output = again.env(ALONE, "1").output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let has_passed = output.status.success() && stdout.contains("1 passed");
    assert!(has_passed, "{test}: {output:#?}");
    Some(output)
}

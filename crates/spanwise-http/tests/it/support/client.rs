//! A service on loopback that stores the requests it receives, and a client.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, extract::Request, response::Response};
use http::{HeaderMap, Uri};
use http_body_util::Empty;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use spanwise_http::{ClientLayer, ClientService};
use tower::ServiceBuilder;

/// No server listens on this port. A formerly free port may now belong to another test.
pub const REFUSING: &str = "http://127.0.0.1:1";

/// A service that stores requests.
pub struct Service {
    pub port: u16,
    received: Arc<Mutex<Vec<Received>>>,
}

#[derive(Debug, Clone)]
pub struct Received {
    pub uri: Uri,
    pub headers: HeaderMap,
}

impl Service {
    /// Starts a service that answers with `answer`.
    pub async fn start(answer: impl Fn(&Uri) -> Response + Clone + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::<Mutex<Vec<Received>>>::default();
        let kept = received.clone();
        let router = Router::new().fallback(async move |request: Request| {
            let response = answer(request.uri());
            let (parts, _) = request.into_parts();
            kept.lock().unwrap().push(Received {
                uri: parts.uri,
                headers: parts.headers,
            });
            response
        });
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { port, received }
    }

    /// Starts a service that answers everything with 200.
    pub async fn ok() -> Self {
        Self::start(|_| Response::default()).await
    }

    /// Returns the URL of `path`, with this name or address of the host.
    pub fn url(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.port)
    }

    /// Returns the requests since the last call.
    pub fn received(&self) -> Vec<Received> {
        std::mem::take(&mut *self.received.lock().unwrap())
    }

    /// Returns the headers of the only request.
    pub fn one(&self) -> HeaderMap {
        let mut received = self.received();
        assert_eq!(received.len(), 1, "{received:?}");
        received.remove(0).headers
    }
}

pub type Network = Client<HttpConnector, Empty<Bytes>>;

pub fn network() -> Network {
    Client::builder(TokioExecutor::new()).build_http()
}

pub fn over_the_network(layer: ClientLayer) -> ClientService<Network> {
    ServiceBuilder::new().layer(layer).service(network())
}

pub fn get(url: &str) -> http::Request<Empty<Bytes>> {
    http::Request::get(url).body(Empty::new()).unwrap()
}

/// Returns the value of a header that is not repeated.
#[track_caller]
pub fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next()?;
    assert_eq!(lines.next(), None, "{name} came twice");
    Some(line.to_str().unwrap())
}

/// Returns the trace id and the span id of `traceparent`.
#[track_caller]
pub fn trace(headers: &HeaderMap) -> (String, String) {
    let text = text(headers, "traceparent").unwrap();
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace_id, span_id, flags] = parts[..] else {
        panic!("{text}");
    };
    assert_eq!((version, flags), ("00", "01"));
    assert_eq!((trace_id.len(), span_id.len()), (32, 16));
    (trace_id.to_owned(), span_id.to_owned())
}

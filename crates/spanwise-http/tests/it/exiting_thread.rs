//! Requests that are dropped by the thread-locals of an exiting thread. A panic there would abort
//! the process, so each test has its own.

use std::{cell::RefCell, convert::Infallible, future::pending, pin::Pin};

use http::{Request, Response};
use http_body_util::Empty;
use spanwise_core::ContextLayer;
use spanwise_http::{ServerFuture, record, record_timing, server};
use spanwise_json::JsonLayer;
use spanwise_testing::support::Lines;
use tower::{Layer, Service};
use tracing_subscriber::prelude::*;

use crate::support::alone;

type Body = Empty<&'static [u8]>;
type Handler = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>>>>;

/// The value of a thread-local, as of a runtime.
struct OnExit(#[expect(dead_code, reason = "it is dropped")] ServerFuture<Handler>);

impl Drop for OnExit {
    fn drop(&mut self) {
        record("order.id", 42);
        record_timing("end");
    }
}

thread_local! {
    static ON_EXIT: RefCell<Option<OnExit>> = const { RefCell::new(None) };
}

/// Runs a thread that exits with a request in a thread-local.
fn exit_with_a_request() {
    let thread = std::thread::spawn(|| {
        // The first thread-local of the thread is dropped last.
        ON_EXIT.set(None);
        let service = tower::service_fn(|_: Request<Body>| -> Handler { Box::pin(pending()) });
        let response = server().layer(service).call(Request::new(Body::new()));
        ON_EXIT.set(Some(OnExit(response)));
    });
    thread.join().unwrap();
}

#[test]
fn no_panic_without_a_registry() {
    if !alone("exiting_thread::no_panic_without_a_registry") {
        exit_with_a_request();
    }
}

#[test]
fn no_panic_with_a_registry() {
    if alone("exiting_thread::no_panic_with_a_registry") {
        return;
    }
    let lines = Lines::default();
    tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(JsonLayer::new().with_writer(lines.clone()))
        .init();
    exit_with_a_request();
    let lines = lines.objects();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["outcome"], "cancelled");
}

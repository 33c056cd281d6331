//! In a process of its own, and without a subscriber: what is let go of while a thread ends cannot panic without ending the process.

use crate::support::alone;
use std::{cell::RefCell, convert::Infallible, future::pending, pin::Pin};

use http::{Request, Response};
use http_body_util::Empty;
use spanwise_http::{ServerFuture, mark, record, server};
use tower::{Layer, Service};

type Body = Empty<&'static [u8]>;
type Handler = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>>>>;

/// What a runtime holds that is kept for a thread.
struct Kept(#[expect(dead_code, reason = "it is dropped")] ServerFuture<Handler>);

impl Drop for Kept {
    fn drop(&mut self) {
        record("order.id", 42);
        mark("end");
    }
}

thread_local! {
    static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

#[test]
fn without_a_panic() {
    if alone("ending_thread::without_a_panic") {
        return;
    }
    let thread = std::thread::spawn(|| {
        // Known to the thread before anything of ours, and so let go of after it.
        KEPT.set(None);
        let service = tower::service_fn(|_: Request<Body>| -> Handler { Box::pin(pending()) });
        let response = server().layer(service).call(Request::new(Body::new()));
        KEPT.set(Some(Kept(response)));
    });
    thread.join().unwrap();
}

//! Panics in the destructors of handlers.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use spanwise_http::server;
use tower::{ServiceBuilder, ServiceExt as _, service_fn};

use crate::support::{capture, the_event};

type Body = Empty<&'static [u8]>;

/// A handler that panics, and whose destructor panics, too.
struct PanicsTwice;

impl Future for PanicsTwice {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        panic!("in the handler")
    }
}

impl Drop for PanicsTwice {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "in the destructor");
    }
}

#[tokio::test]
async fn first_panic_of_a_handler_is_its_error() {
    let logs = capture();
    let service = ServiceBuilder::new()
        .layer(server().answer_panics())
        .service(service_fn(|_: Request<Body>| PanicsTwice));
    let response = service.oneshot(Request::new(Body::new())).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    the_event(&logs)
        .await
        .assert_field("outcome", "panicked")
        .assert_field("error", "in the handler");
}

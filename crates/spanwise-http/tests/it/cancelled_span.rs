//! A cancellation is recorded in the span. In a separate process, with a global subscriber.

use crate::support::alone;
use std::{
    convert::Infallible,
    future::pending,
    sync::atomic::{AtomicUsize, Ordering},
};

use http::{Request, Response};
use http_body_util::Empty;
use spanwise_http::server;
use tower::{Layer, Service};
use tracing::{Subscriber, span};
use tracing_subscriber::{layer::Context, prelude::*};

type Body = Empty<&'static [u8]>;

static RECORDED: AtomicUsize = AtomicUsize::new(0);

struct CountsRecords;

impl<S: Subscriber> tracing_subscriber::Layer<S> for CountsRecords {
    fn on_record(&self, _: &span::Id, _: &span::Record<'_>, _: Context<'_, S>) {
        RECORDED.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn cancellation_is_recorded_once() {
    if alone("cancelled_span::cancellation_is_recorded_once") {
        return;
    }
    tracing_subscriber::registry().with(CountsRecords).init();
    let service =
        tower::service_fn(|_: Request<Body>| pending::<Result<Response<Body>, Infallible>>());
    drop(server().layer(service).call(Request::new(Body::new())));
    assert_eq!(RECORDED.load(Ordering::Relaxed), 1);
}

//! Field names and their callsites. In a separate process, because names are never removed.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::support::{alone, capture, the_event};
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use spanwise_core::{Fault, SelfReport};
use spanwise_http::{record, server};
use tower::{Layer, ServiceExt};
use tracing_subscriber::prelude::*;

type Body = Empty<&'static [u8]>;

#[tokio::test]
async fn names_beyond_128_are_refused_and_reported() {
    if alone("field_names::names_beyond_128_are_refused_and_reported") {
        return;
    }
    let logs = capture();
    let service = tower::service_fn(|_: Request<Body>| async {
        for number in 0..200 {
            record(format!("name.{number}").leak(), number);
            record(format!("name.{number}").leak(), number);
        }
        Ok::<_, Infallible>(Response::new(Body::new()))
    });
    let request = Request::new(Body::new());
    server().layer(service).oneshot(request).await.unwrap();
    let event = the_event(&logs).await;
    event
        .assert_field("name.0", 0)
        .assert_field("name.127", 127)
        .assert_no_field("name.128");
    // The fault is reported only once, because repetitions would throttle other faults.
    let faults = SelfReport::default().stats().faults;
    assert_eq!(faults, [(Fault::Setup, 1)]);

    let service = tower::service_fn(|_: Request<Body>| async {
        for _ in 0..100 {
            record("outcome", "splendid");
            record("error", "none");
        }
        Ok::<_, Infallible>(Response::new(Body::new()))
    });
    let request = Request::new(Body::new());
    server().layer(service).oneshot(request).await.unwrap();
    let faults = SelfReport::default().stats().faults;
    assert_eq!(faults, [(Fault::Setup, 1 + 2)]);
}

/// Counts the callsites of access events.
struct Callsites(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Callsites {
    fn register_callsite(
        &self,
        callsite: &'static tracing::Metadata<'static>,
    ) -> tracing::subscriber::Interest {
        let is_access = callsite.name() == "http.access";
        self.0.fetch_add(usize::from(is_access), Ordering::Relaxed);
        tracing::subscriber::Interest::always()
    }
}

#[tokio::test]
async fn number_of_callsites_is_bounded() {
    if alone("field_names::number_of_callsites_is_bounded") {
        return;
    }
    let made = Arc::<AtomicUsize>::default();
    tracing_subscriber::registry()
        .with(Callsites(Arc::clone(&made)))
        .init();
    // Each request adds a name, and each level is used with each name.
    for number in 0..300 {
        for status in [200, 429, 500] {
            let service = tower::service_fn(|_: Request<Body>| async move {
                record(format!("name.{number}").leak(), number);
                let mut response = Response::new(Body::new());
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                Ok::<_, Infallible>(response)
            });
            let request = Request::new(Body::new());
            server().layer(service).oneshot(request).await.unwrap();
        }
    }
    // Three levels with 1 to 128 names, and as many without a span.
    assert_eq!(made.load(Ordering::Relaxed), 3 * 128);
}

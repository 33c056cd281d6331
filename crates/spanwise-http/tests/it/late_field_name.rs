//! A field name that is added while an access event is logged. In a separate process, with a
//! global subscriber.

use std::{
    convert::Infallible,
    sync::{Mutex, atomic::AtomicBool, atomic::Ordering},
};

use crate::support::alone;
use http::{Request, Response};
use http_body_util::Empty;
use spanwise_http::{record, server};
use spanwise_json::JsonLayer;
use spanwise_testing::support::Lines;
use tower::{Layer, ServiceExt};
use tracing::{Metadata, Span, Subscriber, level_filters::LevelFilter, subscriber::Interest};
use tracing_subscriber::{layer::Context, prelude::*};

type Body = Empty<&'static [u8]>;

/// The span of the request, as in a spawned task.
static REQUEST: Mutex<Option<Span>> = Mutex::new(None);
static RECORDED: AtomicBool = AtomicBool::new(false);

/// Simulates a task on another thread at the worst time, when the callsite of the event is chosen
/// but its fields are not yet collected.
struct RecordsLate;

impl<S: Subscriber> tracing_subscriber::Layer<S> for RecordsLate {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        if metadata.name() == "http.access" && !RECORDED.swap(true, Ordering::Relaxed) {
            let request = REQUEST.lock().unwrap().take().unwrap();
            request.in_scope(|| record("late", 1));
        }
        true
    }
}

#[tokio::test]
async fn late_name_does_not_affect_a_running_event() {
    if alone("late_field_name::late_name_does_not_affect_a_running_event") {
        return;
    }
    let lines = Lines::default();
    tracing_subscriber::registry()
        .with(JsonLayer::new().with_writer(lines.clone()))
        .with(RecordsLate)
        .init();
    let service = tower::service_fn(|_: Request<Body>| async {
        *REQUEST.lock().unwrap() = Some(Span::current());
        for name in ["a", "b", "c", "d", "e", "f", "g"] {
            record(name, 7);
        }
        Ok::<_, Infallible>(Response::new(Body::new()))
    });
    let served = server().layer(service).oneshot(Request::new(Body::new()));
    served.await.unwrap();

    assert!(RECORDED.load(Ordering::Relaxed));
    let lines = lines.objects();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["outcome"], "ok");
    assert_eq!(lines[0]["g"], 7);
}

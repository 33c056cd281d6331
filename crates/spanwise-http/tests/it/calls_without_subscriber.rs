//! Calls without a subscriber, in a separate process.

use crate::support::alone;
use crate::support::client::*;
use spanwise_http::client;
use tower::ServiceExt as _;
use tracing::Instrument;

#[tokio::test]
async fn only_a_trace_is_sent() {
    if alone("calls_without_subscriber::only_a_trace_is_sent") {
        return;
    }
    let service = Service::ok().await;
    let layer = client()
        .baggage(["tenant_id"])
        .baggage_to("127.0.0.1".parse().unwrap());
    let span = tracing::info_span!("job", request_id = "r-1", tenant_id = "acme");
    let call = over_the_network(layer).oneshot(get(&service.url("127.0.0.1", "/")));
    call.instrument(span).await.unwrap();

    let headers = service.one();
    trace(&headers);
    for name in ["x-request-id", "tracestate", "baggage"] {
        assert_eq!(text(&headers, name), None);
    }
}

//! Calls during a served request, without a server.

use std::{convert::Infallible, sync::Arc};

use http::{HeaderMap, HeaderValue, Request, Response};
use spanwise_core::{ContextLayer, TraceParent};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tracing::{Instrument, Level, Span, level_filters::LevelFilter};
use tracing_subscriber::{filter::Targets, prelude::*};

use super::*;
use crate::{baggage::Baggage, request_context::RequestContext, trace_context::TraceContext};

/// Returns the span of a request that was received with these headers.
fn served(received: &[(&'static str, &'static str)]) -> Span {
    let mut headers = HeaderMap::new();
    for (name, value) in received {
        headers.append(*name, HeaderValue::from_static(value));
    }
    let caller = TraceContext::from_headers(&headers).unwrap();
    let span = tracing::info_span!(target: "server", "http.request", request_id = "r-1", tenant_id = "acme");
    let request_context = RequestContext {
        trace: TraceContext {
            span: TraceParent::new(caller.span.trace_id(), SERVING, caller.span.flags()).unwrap(),
            ..caller
        },
        baggage: Baggage::from_headers(&headers),
        request_id: None,
        tenant_id: None,
        recorded: None,
    };
    Arc::new(request_context).attach(&span);
    span
}

const SERVING: [u8; 8] = [0xAB; 8];
const PARENT: (&str, &str) = (
    "traceparent",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
);

/// Returns the headers of a call to `warehouse` in `span`.
async fn sent(layer: ClientLayer, span: Span) -> HeaderMap {
    let network = service_fn(async |request: Request<()>| {
        let inside =
            RequestContext::current().map(|request_context| request_context.trace.traceparent());
        let mut headers = request.into_parts().0.headers;
        headers.extend(inside.map(|inside| (INSIDE, inside)));
        Ok::<_, Infallible>(Response::new(headers))
    });
    let request = Request::get("http://warehouse/stock").body(()).unwrap();
    let call = layer.layer(network).oneshot(request).instrument(span);
    call.await.unwrap().into_body()
}

/// The header with the parent of a call inside the call.
const INSIDE: http::HeaderName = http::HeaderName::from_static("inside");

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next()?;
    assert_eq!(lines.next(), None, "{name} came twice");
    Some(line.to_str().unwrap())
}

#[tokio::test]
async fn call_is_a_span_of_the_served_trace() {
    let stack = tracing_subscriber::registry().with(ContextLayer::default());
    let _default = stack.set_default();
    let span = served(&[PARENT, ("tracestate", "rojo=1"), ("tracestate", "congo=2")]);

    let one = sent(client(), span.clone()).await;
    let two = sent(client(), span).await;
    let parent = text(&one, "traceparent").unwrap();
    assert!(parent.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
    assert!(parent.ends_with("-01"));
    assert_ne!(parent.get(36..52), Some("00f067aa0ba902b7"), "the caller's");
    assert_ne!(parent.get(36..52), Some("abababababababab"), "the server's");
    assert_ne!(parent, text(&two, "traceparent").unwrap());
    assert_eq!(text(&one, "tracestate"), Some("rojo=1,congo=2"));
    assert_eq!(text(&one, "x-request-id"), Some("r-1"));
    assert_eq!(
        text(&one, "inside"),
        Some(parent),
        "a call in the call is its child"
    );
    assert_eq!(text(&one, "baggage"), None);
}

#[tokio::test]
async fn disabled_call_span_sends_the_server_span() {
    let all_but_ours = Targets::new()
        .with_default(Level::TRACE)
        .with_target("spanwise_http::client", LevelFilter::OFF);
    let stack = tracing_subscriber::registry()
        .with(all_but_ours)
        .with(ContextLayer::default());
    let _default = stack.set_default();

    let headers = sent(client(), served(&[PARENT])).await;
    assert_eq!(
        text(&headers, "traceparent"),
        Some("00-4bf92f3577b34da6a3ce929d0e0e4736-abababababababab-01")
    );
    assert_eq!(text(&headers, "x-request-id"), Some("r-1"));
}

#[tokio::test]
async fn received_baggage_is_sent_for_declared_keys() {
    let stack = tracing_subscriber::registry().with(ContextLayer::default());
    let _default = stack.set_default();
    let received = [
        PARENT,
        (
            "baggage",
            "tier=gold%20plus;from=crm, debug=1, tenant_id=forged",
        ),
    ];
    let layer = client()
        .baggage(["tier", "tenant_id", "absent"])
        .baggage_to("warehouse".parse().unwrap());

    let headers = sent(layer.clone(), served(&received)).await;
    // The value of the context counts.
    assert_eq!(
        text(&headers, "baggage"),
        Some("tier=gold%20plus;from=crm,tenant_id=acme")
    );
    let elsewhere = layer.baggage_to("*.warehouse".parse().unwrap());
    let headers = sent(elsewhere, served(&received)).await;
    assert_eq!(text(&headers, "baggage"), None);
    assert_eq!(text(&headers, "x-request-id"), Some("r-1"));
}

#[tokio::test]
async fn properties_stay_with_an_equal_value() {
    let stack = tracing_subscriber::registry().with(ContextLayer::default().key("tier"));
    let _default = stack.set_default();
    let layer = client()
        .baggage(["tier"])
        .baggage_to("warehouse".parse().unwrap());
    let job = served(&[PARENT, ("baggage", "tier=gold;region=eu")])
        .in_scope(|| tracing::info_span!("job", tier = "gold"));
    let headers = sent(layer, job).await;
    assert_eq!(text(&headers, "baggage"), Some("tier=gold;region=eu"));
}

//! The span of a call and the ids that are sent, over real connections.

use std::{
    collections::HashSet,
    future,
    pin::Pin,
    task::{Context, Poll},
};

use crate::support::client::*;
use axum::response::{IntoResponse, Response};
use http::{Request, StatusCode};
use http_body_util::Empty;
use spanwise_http::client;
use tower::{
    ServiceBuilder, ServiceExt as _,
    retry::{Policy, RetryLayer},
};
use tracing::{Instrument, Level};

const UUID: &str = "0192f3a1-7c2e-7d44-8d29-2f1b9c5e6a70";

#[tokio::test]
async fn request_ids_are_sent() {
    let logs = crate::support::capture();
    let service = Service::ok().await;
    let url = service.url("localhost", "/stock?sku=book");
    let request = tracing::info_span!("job", request_id = UUID, tenant_id = "acme");

    let call = over_the_network(client()).oneshot(get(&url));
    let response = call.instrument(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);

    let headers = service.one();
    assert_eq!(text(&headers, "x-request-id"), Some(UUID));
    let (trace_id, span_id) = trace(&headers);
    assert_eq!(trace_id, UUID.replace('-', ""), "one number for both");
    assert_eq!(text(&headers, "tracestate"), None);
    assert_eq!(text(&headers, "baggage"), None);

    let span = logs.one_span("http.client.request");
    assert_eq!(span.level(), Level::INFO);
    assert_eq!(span.target(), "spanwise_http::client");
    span.assert_field("otel.kind", "client")
        .assert_field("http.request.method", "GET")
        .assert_field("server.address", "localhost")
        .assert_field("server.port", service.port)
        .assert_field("url.path", "/stock")
        .assert_field("http.response.status_code", 200)
        .assert_field("trace_id", trace_id)
        .assert_field("span_id", span_id);
    assert!(span.field("otel.status_code").is_none());
    assert!(span.field("error").is_none());
    logs.assert_never_logged("sku=book");
    let ours = logs.events().into_iter();
    assert_eq!(
        ours.filter(|event| event.target().starts_with("spanwise_http"))
            .count(),
        0
    );
}

#[tokio::test]
async fn events_in_a_call_have_its_span_id() {
    let logs = crate::support::capture();
    let network = tower::service_fn(async |request: Request<()>| {
        tracing::info!("sending");
        Ok::<_, std::io::Error>(http::Response::new(request))
    });
    let client = ServiceBuilder::new().layer(client()).service(network);
    let request = Request::get("https://warehouse/").body(()).unwrap();
    let sent = client.oneshot(request).await.unwrap().into_body();

    let (trace_id, span_id) = trace(sent.headers());
    logs.one("sending")
        .assert_in_span("http.client.request")
        .assert_context("trace_id", &trace_id)
        .assert_context("span_id", &span_id);
    logs.one_span("http.client.request")
        .assert_field("server.port", 443);
}

#[tokio::test]
async fn call_uses_the_trace_of_the_job() {
    let _logs = crate::support::capture();
    let service = Service::ok().await;
    let url = service.url("127.0.0.1", "/");
    let client = over_the_network(client());

    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let job = tracing::info_span!("job", trace_id, request_id = UUID);
    client
        .clone()
        .oneshot(get(&url))
        .instrument(job)
        .await
        .unwrap();
    assert_eq!(trace(&service.one()).0, trace_id);

    // An invalid trace id is ignored.
    let job = tracing::info_span!("job", trace_id = "0", request_id = "order 7");
    client
        .clone()
        .oneshot(get(&url))
        .instrument(job)
        .await
        .unwrap();
    let headers = service.one();
    assert_eq!(text(&headers, "x-request-id"), Some("order 7"));
    trace(&headers);
}

#[tokio::test]
async fn call_outside_any_span_starts_a_trace() {
    let _logs = crate::support::capture();
    let service = Service::ok().await;
    let client = over_the_network(client());
    let mut traces = HashSet::new();
    for _ in 0..3 {
        let url = service.url("127.0.0.1", "/");
        client.clone().oneshot(get(&url)).await.unwrap();
        let headers = service.one();
        assert_eq!(text(&headers, "x-request-id"), None);
        traces.insert(trace(&headers).0);
    }
    assert_eq!(traces.len(), 3);
}

#[tokio::test]
async fn headers_set_by_the_caller_are_kept() {
    let logs = crate::support::capture();
    let service = Service::ok().await;
    let layer = client()
        .baggage(["tenant_id"])
        .baggage_to("127.0.0.1".parse().unwrap());
    let by_hand = [
        ("x-request-id", "by-hand"),
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
        ),
        ("tracestate", "rojo=1"),
        ("baggage", "tenant_id=other"),
    ];
    let mut request = get(&service.url("127.0.0.1", "/"));
    for (name, value) in by_hand {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let span = tracing::info_span!("job", request_id = UUID, tenant_id = "acme");
    let call = over_the_network(layer).oneshot(request);
    call.instrument(span).await.unwrap();

    let headers = service.one();
    for (name, value) in by_hand {
        assert_eq!(text(&headers, name), Some(value));
    }
    // The span has the ids that were sent.
    logs.one_span("http.client.request")
        .assert_field("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736")
        .assert_field("span_id", "00f067aa0ba902b7");
}

#[tokio::test]
async fn ids_go_to_allowed_hosts_only() {
    let _logs = crate::support::capture();
    let service = Service::ok().await;
    let client = over_the_network(client().ids_to("localhost".parse().unwrap()));
    for (host, goes) in [("localhost", true), ("127.0.0.1", false)] {
        let span = tracing::info_span!("job", request_id = UUID);
        let call = client.clone().oneshot(get(&service.url(host, "/")));
        call.instrument(span).await.unwrap();
        let headers = service.one();
        assert_eq!(headers.contains_key("traceparent"), goes, "{host}");
        assert_eq!(headers.contains_key("x-request-id"), goes, "{host}");
    }
}

#[tokio::test]
async fn server_error_marks_the_span() {
    for (status, is_error) in [(204, false), (404, false), (503, true), (600, true)] {
        let logs = crate::support::capture();
        let status = StatusCode::from_u16(status).unwrap();
        let service = Service::start(move |_| status.into_response()).await;
        let call = over_the_network(client()).oneshot(get(&service.url("127.0.0.1", "/")));
        assert_eq!(call.await.unwrap().status(), status);
        let span = logs.one_span("http.client.request");
        span.assert_field("http.response.status_code", status.as_u16());
        assert_eq!(
            span.field("otel.status_code").is_some(),
            is_error,
            "{status}"
        );
    }
}

#[tokio::test]
async fn failed_call_records_its_error() {
    let logs = crate::support::capture();
    let error = over_the_network(client())
        .oneshot(get(REFUSING))
        .await
        .unwrap_err();

    let span = logs.one_span("http.client.request");
    span.assert_field("otel.status_code", "ERROR")
        .assert_field("error", error.to_string());
    assert!(span.field("http.response.status_code").is_none());
}

#[tokio::test]
async fn panicking_error_loses_only_its_text() {
    struct Broken;
    impl std::fmt::Display for Broken {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("no text")
        }
    }
    // This layer formats values when they are recorded.
    let written = tracing_subscriber::fmt().with_writer(std::io::sink);
    let _logs = tracing::subscriber::set_default(written.finish());
    let network = tower::service_fn(async |_: Request<()>| Err::<Response, _>(Broken));
    let client = ServiceBuilder::new().layer(client()).service(network);
    let request = Request::get("http://warehouse/").body(()).unwrap();
    assert!(client.oneshot(request).await.is_err());
}

#[tokio::test]
async fn error_shows_no_query() {
    let logs = crate::support::capture();
    let network = tower::service_fn(async |request: Request<()>| {
        Err::<Response, _>(format!("cannot send to {}: refused", request.uri()))
    });
    let client = ServiceBuilder::new().layer(client()).service(network);
    let request = Request::get("http://warehouse/a?token=canary").body(());
    client.oneshot(request.unwrap()).await.unwrap_err();
    logs.one_span("http.client.request")
        .assert_field("error", "cannot send to http://warehouse/a: refused");
}

#[tokio::test]
async fn long_error_is_truncated() {
    let logs = crate::support::capture();
    let network = tower::service_fn(async |_: Request<()>| Err::<Response, _>("e".repeat(100_000)));
    let client = ServiceBuilder::new().layer(client()).service(network);
    let request = Request::get("http://warehouse/").body(()).unwrap();
    client.oneshot(request).await.unwrap_err();
    logs.one_span("http.client.request")
        .assert_field("error", "e".repeat(4096));
}

#[tokio::test]
async fn dropped_call_records_it() {
    let logs = crate::support::capture();
    let never = tower::service_fn(|_: Request<()>| {
        future::pending::<Result<http::Response<()>, std::io::Error>>()
    });
    let mut client = ServiceBuilder::new().layer(client()).service(never);
    let call = tower::Service::call(&mut client, Request::new(()));
    drop(call);
    logs.one_span("http.client.request")
        .assert_field("error", "dropped before there was a response");
}

/// A call that logs when it is dropped.
struct LogsItsDrop<F>(F);

impl<F: Future + Unpin> Future for LogsItsDrop<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<F> Drop for LogsItsDrop<F> {
    fn drop(&mut self) {
        tracing::info!("connection returned");
    }
}

#[tokio::test]
async fn destructor_of_a_call_runs_in_its_span() {
    type Answer = Result<http::Response<()>, std::io::Error>;

    let answer = || future::ready(Answer::Ok(http::Response::new(())));
    let answered = tower::service_fn(|_: Request<()>| LogsItsDrop(answer()));
    let given_up = tower::service_fn(|_: Request<()>| LogsItsDrop(future::pending::<Answer>()));

    let logs = crate::support::capture();
    let mut client = ServiceBuilder::new().layer(client()).service(answered);
    let mut call = tower::Service::call(&mut client, Request::new(()));
    (&mut call).await.unwrap();
    logs.one("connection returned")
        .assert_in_span("http.client.request");
    drop(call);

    let logs = crate::support::capture();
    let layer = spanwise_http::client();
    let mut client = ServiceBuilder::new().layer(layer).service(given_up);
    drop(tower::Service::call(&mut client, Request::new(())));
    logs.one("connection returned")
        .assert_in_span("http.client.request");
}

#[tokio::test]
async fn custom_method_is_other() {
    let logs = crate::support::capture();
    let service = Service::ok().await;
    let mut request = get(&service.url("127.0.0.1", "/"));
    *request.method_mut() = "BREW".parse().unwrap();
    over_the_network(client()).oneshot(request).await.unwrap();
    logs.one_span("http.client.request")
        .assert_field("http.request.method", "_OTHER");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_calls_do_not_mix() {
    const CALLS: usize = 300;
    let logs = crate::support::capture();
    let handle = logs.handle();
    let service = Service::ok().await;
    let client = over_the_network(client());
    let mut calls = Vec::new();
    for at in 0..CALLS {
        let (client, handle) = (client.clone(), handle.clone());
        let url = service.url("127.0.0.1", &format!("/request-{at}"));
        let span = {
            let _entered = handle.enter();
            tracing::info_span!("job", request_id = format!("request-{at}"))
        };
        let call = async move {
            client.oneshot(get(&url)).await.unwrap();
        };
        calls.push(tokio::spawn(call.instrument(span)));
    }
    for call in calls {
        call.await.unwrap();
    }

    let received = service.received();
    assert_eq!(received.len(), CALLS);
    let mut span_ids = HashSet::new();
    for request in &received {
        let id = text(&request.headers, "x-request-id").unwrap();
        assert_eq!(request.uri.path().strip_prefix('/'), Some(id));
        span_ids.insert(trace(&request.headers).1);
    }
    assert_eq!(span_ids.len(), CALLS);
    let spans = logs.spans();
    let calls = spans
        .iter()
        .filter(|span| span.name() == "http.client.request");
    assert_eq!(calls.count(), CALLS);
}

/// A service that retries until the status is a success.
#[derive(Clone)]
struct UntilContent;

impl<B: Clone, R> Policy<Request<B>, http::Response<R>, hyper_util::client::legacy::Error>
    for UntilContent
{
    type Future = future::Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<B>,
        result: &mut Result<http::Response<R>, hyper_util::client::legacy::Error>,
    ) -> Option<Self::Future> {
        let content = result
            .as_ref()
            .is_ok_and(|response| response.status().is_success());
        (!content).then(|| future::ready(()))
    }

    fn clone_request(&mut self, request: &Request<B>) -> Option<Request<B>> {
        Some(request.clone())
    }
}

#[tokio::test]
async fn attempts_are_spans_of_one_trace() {
    let logs = crate::support::capture();
    let left = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(2));
    let service = Service::start(move |_| {
        let order = std::sync::atomic::Ordering::SeqCst;
        match left.fetch_update(order, order, |left| left.checked_sub(1)) {
            Ok(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            Err(_) => Response::default(),
        }
    })
    .await;
    let client = ServiceBuilder::new()
        .layer(RetryLayer::new(UntilContent))
        .layer(client())
        .service(network());
    let request = Request::get(service.url("127.0.0.1", "/"))
        .body(Empty::<axum::body::Bytes>::new())
        .unwrap();
    let span = tracing::info_span!("job", request_id = UUID);
    client.oneshot(request).instrument(span).await.unwrap();

    let received = service.received();
    let traces: Vec<_> = received
        .iter()
        .map(|request| trace(&request.headers))
        .collect();
    assert_eq!(traces.len(), 3);
    assert!(traces.iter().all(|(trace_id, _)| *trace_id == traces[0].0));
    let span_ids: HashSet<_> = traces.iter().map(|(_, span_id)| span_id).collect();
    assert_eq!(span_ids.len(), 3);
    let spans = logs.spans();
    let calls = spans
        .iter()
        .filter(|span| span.name() == "http.client.request");
    let statuses: Vec<_> = calls
        .map(|span| span.field("http.response.status_code").unwrap().to_string())
        .collect();
    assert_eq!(statuses, ["503", "503", "200"]);
}

#[tokio::test]
async fn queries_are_removed_from_errors() {
    for (text, shown) in [
        (
            "error sending request for url (http://shop/a?token=canary)",
            "error sending request for url (http://shop/a)",
        ),
        (
            "http://shop/a?x=canary#canary: refused",
            "http://shop/a: refused",
        ),
        ("GET /a?x=canary HTTP/1.1", "GET /a HTTP/1.1"),
        (
            "two: `http://a/?canary` and \"https://b/c#canary\"",
            "two: `http://a/` and \"https://b/c\"",
        ),
        ("http://[::1]:80/a?x=canary", "http://[::1]:80/a"),
        ("http://a?x=canary/y", "http://a"),
        ("(http://a/b?ids[]=canary&(x)=canary)", "(http://a/b)"),
        ("a/b and no url", "a/b and no url"),
        ("is it there? no", "is it there? no"),
        ("", ""),
    ] {
        let logs = crate::support::capture();
        let network = tower::service_fn(async |_: Request<()>| Err::<Response, _>(text));
        let client = ServiceBuilder::new().layer(client()).service(network);
        let request = Request::get("http://shop/").body(()).unwrap();
        client.oneshot(request).await.unwrap_err();
        logs.one_span("http.client.request")
            .assert_field("error", shown);
    }
}

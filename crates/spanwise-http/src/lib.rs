//! HTTP for `tracing`: the request's span, its id across services, one true event a request.
//!
//! ```
//! use http::{Request, Response};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let logs = spanwise_testing::capture();
//! let shop = ServiceBuilder::new()
//!     .layer(spanwise_http::server())
//!     .service(service_fn(async |_: Request<String>| {
//!         tracing::info!("order read");
//!         spanwise_http::record("order.id", 42);
//!         Ok::<_, std::io::Error>(Response::new("an order".to_owned()))
//!     }));
//!
//! let request = Request::get("/orders/42").body(String::new())?;
//! let response = shop.oneshot(request).await?;
//! let id = response.headers()["x-request-id"].to_str()?.to_owned();
//! # use http_body_util::BodyExt;
//! response.into_body().collect().await?; // as a server does
//!
//! logs.one("order read").assert_context("request_id", &id);
//! logs.one("request served")
//!     .assert_field("http.response.status_code", 200)
//!     .assert_field("response_bytes", 8)
//!     .assert_field("outcome", "ok")
//!     .assert_field("order.id", 42)
//!     .assert_context("request_id", &id);
//! # Ok(()) }
//! ```
//!
//! As JSON, the second one is
//!
//! ```json
//! {"timestamp":"2026-11-21T18:54:58.927723Z","level":"INFO","target":"spanwise_http::server","message":"request served","http.response.status_code":200,"duration_ms":0.679,"ttfb_ms":0.61,"response_bytes":8,"outcome":"ok","order.id":42,"http.request.method":"GET","url.path":"/orders/42","request_id":"01a1ff76-336f-71b3-b126-a09cd3cf742e","trace_id":"01a1ff76336f71b3b126a09cd3cf742e","span_id":"f6dee555ee67a65a","span":"http.request"}
//! ```
//!
//! A service behind a gateway, with more to say:
//!
//! ```
//! # use http::StatusCode;
//! # use std::time::Duration;
//! let layer = spanwise_http::server()
//!     .trust("10.0.0.0/8".parse()?)
//!     .tenant_header("x-tenant-id")
//!     .header("user-agent")
//!     .warn_on(StatusCode::UNAUTHORIZED)
//!     .quiet("/health")
//!     .slow(Duration::from_secs(1))
//!     .server_timing()
//!     .answer_panics();
//! # let _ = layer;
//! # Ok::<(), spanwise_http::TrustError>(())
//! ```
//!
//! # When to use it
//!
//! For a server of any kind that is a `tower` service: axum, tonic, hyper. It is one layer, in place of `tower-http`'s `TraceLayer`, `SetRequestIdLayer`, `PropagateRequestIdLayer`
//! and `CatchPanicLayer`. Those cannot tell the true end of a request: `TraceLayer` sees a body that is read to its end, and neither a client that leaves nor a
//! handler that is dropped.
//!
//! For calls to other services there is [`client`]. Spans for databases and queues, metrics, and the bodies of requests are not its business.
//!
//! # The span
//!
//! `http.request`, a root span at INFO with the target `spanwise_http::server`, is entered whenever the handler or the body of the response is polled. A
//! filter that disables it, such as an `EnvFilter` with `warn` or `shop=info`, takes the ids off every line: add `spanwise_http=info`. The facade and a
//! `LevelLayer` keep spans at INFO enabled, unless the target is `off`.
//!
//! | field | what |
//! | --- | --- |
//! | `http.request.method` | one of the nine of HTTP, or `_OTHER` |
//! | `http.route` | `/orders/{id}`, with the feature `axum`, for layers inside of the router; else |
//! | `url.path` | the path, without the query |
//! | `user_id`, and each [`context_key`](ServerLayer::context_key) | empty, for `Span::record` |
//! | `request_id`, `trace_id`, `span_id`, `tenant_id` | who it belongs to: see [`ServerLayer::request_id_headers`], [`ServerLayer::tenant_header`] |
//! | `client.address` | see [`ClientAddress`] |
//! | `http.response.status_code` | from 500: it has a flight recorder write what it kept. The event says all of them |
//! | `spanwise.cancelled` | `true` if it was, and is told at WARN: it has a flight recorder write what it kept |
//!
//! # The event
//!
//! One a request, in its span, when the body of the response was read to its end or dropped, or when there is no response to be had.
//!
//! | `outcome` | message | level | when |
//! | --- | --- | --- | --- |
//! | `ok` | `request served` | INFO | a status below 400, sent to its end |
//! | `client_error` | `request served` | INFO; WARN for 408, 429 and [`warn_on`](ServerLayer::warn_on) | 4xx, sent to its end |
//! | `server_error` | `request failed` | ERROR; INFO by [`expect_status`](ServerLayer::expect_status) | 5xx, sent to its end; or the service failed, or the program called [`fail`]: then `error` says why |
//! | `cancelled` | `request failed` | WARN | dropped before its end: the client left, or a timeout around the layer struck |
//! | `cancelled` | `request served` | INFO | the client left a stream that ran well: `text/event-stream`, or of unknown length |
//! | `panicked` | `request failed` | ERROR | the handler or the body panicked; `error` refers to the event that the facade's panic hook logged, else says what |
//! | `stream_aborted` | `request failed` | ERROR | the body failed after the head was sent, or ended before its declared length; `error` says why |
//!
//! Its fields are `http.response.status_code`, `duration_ms` (to the end), `ttfb_ms` (to the head of the response), `response_bytes` (of the body, as the service gave it),
//! `outcome`, `slow` (`true`, where it is), `error`, for gRPC `rpc.grpc.status_code`,
//! `http.response.header.x-request-id` if the service set one of its own, and what [`record`],
//! [`record_timing`] and [`ServerLayer::header`] add. Where the span has a route in place of a path, the
//! event has `url.path`, unless the outcome is `ok` ([`url_path`](ServerLayer::url_path) adds it to
//! all). What is slower than [`slow`](ServerLayer::slow) is logged at WARN at least.
//!
//! gRPC says in its trailers how a call went. That status counts as the status of HTTP that
//! `google.rpc.Code` maps it to.
//!
//! # Behaviour
//!
//! * A body counts as read when it says so, when it gave its trailers, or as many bytes as were declared; HEAD, 204, 304 and 101 have none. What became of the bytes
//!   in the buffers of the server and the network it cannot know.
//! * A request begins when the service takes it: the time it waits for an inner service to be ready, as with a concurrency limit, is before, and one that is given up then is
//!   not told.
//! * A panic goes on as it came, after it was told; a panic hook that logs, such as the facade's, logs an event of its own before. Where panics abort, there is
//!   no event.
//! * Where the span is disabled the event is told if its level is enabled, and says itself what the span would. [`record`] and [`record_timing`] then work where the handler
//!   itself runs, not in tasks it spawns.
//! * Text of a client is bounded: `url.path` and each header have at most 2,048 bytes, and what is
//!   longer ends in `…`.
//! * Code inside finds the id in the request, as `x-request-id` and as [`RequestId`].
//! * Names of fields are static in `tracing`: for each new name that is recorded new callsites are
//!   made, up to 128 names and 774
//!   callsites in all. Where events are sampled or limited a callsite,
//!   those of two callsites are counted apart.
//! * It needs a subscriber built on `Registry` for [`record`] and [`record_timing`] to be found from spawned tasks.
//!
//! # Features
//!
//! | feature | what |
//! | --- | --- |
//! | `axum` | `http.route` of `MatchedPath`, the whole path in a nested router, and the peer of `ConnectInfo<SocketAddr>` |
//! | `reqwest-middleware` | `ClientLayer::reqwest` |
//!
//! # Troubleshooting
//!
//! | symptom | cause |
//! | --- | --- |
//! | there is `url.path` and no `http.route` | The layer is around the `Router`: put it inside, by `Router::layer`. A 404 of the router has no route. Or the feature `axum` is off. |
//! | no `client.address`, and nobody is trusted | The address of the peer is not known: `into_make_service_with_connect_info::<SocketAddr>()` with axum, [`Peer`] elsewhere. |
//! | `cancelled` where nobody left | A layer around this one threw the response away, or its body: put this one around it, by a later `.layer` with axum. |
//! | ids of a gateway are not taken over | It is not trusted ([`ServerLayer::trust`]), or sends an id of other characters, or sends it twice: see [`ServerLayer::request_id_headers`]. |
//! | lines of a spawned task have no `request_id` | `spanwise::task::spawn(work)`, or `tokio::spawn(work.in_current_span())`. |
//! | `fmt().json()` shows `"spans":[]` with the event | It lists the spans that are entered; the request's no longer is, and is the event's parent: `"span"` has it. |
//! | the first panic holds up a worker for 100 to 200 ms in a debug build | Its backtrace: the symbols of the program are read for it, once. Nothing of this crate. |

mod baggage;
mod bounded_text;
mod client;
mod client_address;
mod error_text;
mod id;
mod method;
mod request_context;
mod request_id;
mod server;
mod test_support;
mod trace_context;
mod trust;
mod url_queries;
mod warn_once;

pub use http;

#[cfg(feature = "reqwest-middleware")]
pub use client::ReqwestBuilder;
pub use client::{ClientFuture, ClientLayer, ClientService, Hosts, HostsError, client};
pub use client_address::{ClientAddress, ClientAddressError, Peer};
// For the tests and the fuzzer of the parsers alone.
pub use request_id::RequestId;
pub use server::{
    ResponseBody, ServerFuture, ServerLayer, ServerService, Statuses, Value, fail, record,
    record_timing, server,
};
#[doc(hidden)]
pub use test_support::reserialize_headers;
pub use trust::{Network, Trust, TrustError};

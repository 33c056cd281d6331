//! HTTP for `tracing`: a span and one access event per request, and request ids across services.
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
//! response.into_body().collect().await?; // a server does this
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
//! As JSON, the second event is
//!
//! ```json
//! {"timestamp":"2026-11-21T18:54:58.927723Z","level":"INFO","target":"spanwise_http::server","message":"request served","http.response.status_code":200,"duration_ms":0.679,"ttfb_ms":0.61,"response_bytes":8,"outcome":"ok","order.id":42,"http.request.method":"GET","url.path":"/orders/42","request_id":"01a1ff76-336f-71b3-b126-a09cd3cf742e","trace_id":"01a1ff76336f71b3b126a09cd3cf742e","span_id":"f6dee555ee67a65a","span":"http.request"}
//! ```
//!
//! With more options, for a service behind a gateway:
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
//! # Ok::<(), spanwise_core::ParseError>(())
//! ```
//!
//! # When to use it
//!
//! Use it for any server that is a `tower` service: axum, tonic, hyper. One layer replaces
//! `TraceLayer`, `SetRequestIdLayer`, `PropagateRequestIdLayer` and `CatchPanicLayer` of
//! `tower-http`. None of these layers detects every end of a request. `TraceLayer` detects the end
//! of a body, but neither a client that disconnects nor a handler that is dropped.
//!
//! For calls to other services, use [`client`]. Spans for databases and queues, metrics, and the
//! content of bodies are out of scope.
//!
//! # The span
//!
//! The span is `http.request`, a root span at INFO with the target `spanwise_http::server`. It is
//! entered whenever the handler or the body of the response is polled.
//!
//! A filter may disable the span, such as an `EnvFilter` with `warn` or `shop=info`. Then the lines
//! inside the request have no ids. To keep the ids, add `spanwise_http=info` to the filter. The
//! facade (`spanwise`) and its `LevelLayer` keep spans at INFO enabled, unless the level of the
//! target is `off`.
//!
//! | field | value |
//! | --- | --- |
//! | `http.request.method` | a method of RFC 9110 or 5789, or `_OTHER` |
//! | `http.route` | the route, such as `/orders/{id}`. Needs the feature `axum`, and the layer inside the router |
//! | `url.path` | the path without the query, if there is no route |
//! | `request_id`, `trace_id` | see [`ServerLayer::request_id_headers`] |
//! | `span_id` | the id of this span |
//! | `tenant_id` | see [`ServerLayer::tenant_header`] |
//! | `user_id`, and each [`context_key`](ServerLayer::context_key) | empty until you record it with `Span::record` |
//! | `client.address` | see [`ClientAddress`] |
//! | `http.response.status_code` | the status if it is 5xx. Such a status triggers a flight recorder (`spanwise-recorder`) |
//! | `spanwise.cancelled` | `true` if the request was dropped before its end and is not a healthy stream (see below). This field triggers a flight recorder |
//!
//! # The access event
//!
//! There is one access event per request, in the span of the request, unless
//! [`quiet`](ServerLayer::quiet) drops the event. The event is logged when the response body ends,
//! fails or is dropped. If there is no response, it is logged when the service fails or panics, or
//! when its future is dropped.
//!
//! | `outcome` | message | level | condition |
//! | --- | --- | --- | --- |
//! | `ok` | `request served` | INFO; WARN for [`warn_on`](ServerLayer::warn_on) | a status below 400, sent to its end |
//! | `client_error` | `request served` | INFO; WARN for 408, 429 and [`warn_on`](ServerLayer::warn_on) | 4xx, sent to its end |
//! | `server_error` | `request failed` | ERROR; for 5xx, INFO with [`expect_status`](ServerLayer::expect_status) and WARN with [`warn_on`](ServerLayer::warn_on) | 5xx, sent to its end; or the service returned an error; or the application called [`fail`] and the status is not 4xx. `error` is the reason |
//! | `cancelled` | `request failed` | WARN | dropped before its end, because the client disconnected, or an outer timeout expired |
//! | `cancelled` | `request served` | INFO | the client disconnected from a healthy stream (`text/event-stream`, or of unknown length) |
//! | `panicked` | `request failed` | ERROR | the handler or the body panicked; `error` is the message of the panic, or its location if the panic hook of the facade has logged the message |
//! | `stream_aborted` | `request failed` | ERROR | the body failed after the head was sent, or ended before its declared length; `error` is the reason |
//!
//! | field | value |
//! | --- | --- |
//! | `http.response.status_code` | the status |
//! | `duration_ms` | the time to the end of the body |
//! | `ttfb_ms` | the time to the head of the response |
//! | `response_bytes` | the number of body bytes that the service produced |
//! | `outcome` | see above |
//! | `slow` | `true` if the request took longer than [`slow`](ServerLayer::slow). The level is then WARN or more severe |
//! | `error` | see above |
//! | `rpc.grpc.status_code` | the status of a gRPC call |
//! | `http.response.header.x-request-id` | the id that the service set on the response, if it is not the `request_id` |
//! | `url.path` | if the span has a route: for every outcome except `ok`, or for all outcomes with [`url_path`](ServerLayer::url_path) |
//! | `timing.*_ms`, `http.request.header.*`, others | see [`record_timing`], [`ServerLayer::header`], [`record`] |
//!
//! The status of a gRPC call is in its trailers. `google.rpc.Code` maps this status to an HTTP
//! status, which determines the outcome and the level.
//!
//! # Behaviour
//!
//! * **End of a body:** the body has reported its end, or has produced its trailers or its declared
//!   length. Responses to HEAD, to a successful CONNECT, and with 1xx, 204 or 304 have no body. The
//!   layer cannot detect whether the bytes arrive at the client.
//! * **Start of a request:** the call of the service. The wait for an inner service to be ready,
//!   for example for a concurrency limit, is not included. A request that is dropped during this
//!   wait has no access event.
//! * **Panics** are logged and resumed. A panic hook that logs, such as the hook of the facade,
//!   first logs a separate event. With `panic = "abort"` there is no access event.
//! * **A disabled span:** the access event is still logged if its level is enabled. The event then
//!   has the fields that the span would have at its start, except `span_id`. Without the span,
//!   [`record`], [`record_timing`] and [`fail`] do not find the request in spawned tasks.
//! * **Text of clients** is bounded: `url.path` and each header have at most 2,048 bytes. A longer
//!   text ends in `…`.
//! * **Request id:** the service receives the id in the header `x-request-id` and in the request
//!   extension [`RequestId`].
//! * **Callsites:** field names are static in `tracing`, so each new recorded name adds up to six
//!   callsites. The limit is 128 names and 774 callsites. A per-callsite sampler counts these
//!   callsites separately.
//! * **Subscriber:** [`record`], [`record_timing`] and [`fail`] find the request in spawned tasks
//!   only if the subscriber is based on `Registry`.
//!
//! # Features
//!
//! | feature | effect |
//! | --- | --- |
//! | `axum` | reads `http.route` from `MatchedPath`, the full `url.path` in nested routers from `OriginalUri`, and the peer from `ConnectInfo<SocketAddr>` |
//! | `reqwest-middleware` | adds `ClientLayer::reqwest` |
//!
//! # Troubleshooting
//!
//! | symptom | cause |
//! | --- | --- |
//! | `url.path` but no `http.route` | The layer is around the `Router`. Use `Router::layer`. A 404 of the router has no route. Or the feature `axum` is off. |
//! | no `client.address` | The layer does not know the peer of the connection. Use `into_make_service_with_connect_info::<SocketAddr>()` with axum, [`Peer`] elsewhere. |
//! | `cancelled` although the client stayed | An outer layer dropped the response or its body. Make this layer the outermost one; with axum, add it with the last `.layer`. |
//! | ids of a gateway are ignored | The gateway is not [trusted](ServerLayer::trust), or its id is invalid or repeated: see [`ServerLayer::request_id_headers`]. |
//! | lines of a spawned task have no `request_id` | Use `spanwise::task::spawn(work)` or `tokio::spawn(work.in_current_span())`. |
//! | `fmt().json()` shows `"spans":[]` with the event | The list has entered spans only. The request span is the parent of the access event, and is in `"span"`. |
//! | the first panic blocks a worker for 100 to 200 ms in a debug build | std reads the symbols of the program once, for the backtrace. |

mod baggage;
mod bounded_text;
mod client;
mod client_address;
mod error_text;
mod id;
mod method;
mod observed_values;
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
pub use client::{ClientFuture, ClientLayer, ClientService, Hosts, client};
pub use client_address::{ClientAddress, Peer};
pub use request_id::RequestId;
pub use server::{
    RecordedValue, ResponseBody, ServerFuture, ServerLayer, ServerService, Statuses, fail, record,
    record_timing, server,
};
// Used only by the tests and the fuzzer of the parsers.
#[doc(hidden)]
pub use test_support::reserialize_headers;
pub use trust::{Network, Trust};

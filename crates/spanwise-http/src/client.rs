//! The client layer: opens a span per call, and sends headers with ids, trace and baggage.

mod call;
mod hosts;
#[cfg(feature = "reqwest-middleware")]
mod reqwest;
mod service;

use std::sync::Arc;

pub use self::{
    hosts::Hosts,
    service::{ClientFuture, ClientService},
};

#[cfg(feature = "reqwest-middleware")]
pub use self::reqwest::ReqwestBuilder;

/// Creates a [`ClientLayer`] with its defaults.
pub fn client() -> ClientLayer {
    ClientLayer::default()
}

/// Opens a span for each call, and propagates the request id, the trace and baggage.
///
/// It is a `tower::Layer` for any service that accepts `http::Request`, such as the client of
/// `hyper-util`, a channel of `tonic`, or a `Router` in tests of `axum`. For `reqwest`, see
/// `ClientLayer::reqwest`, with the feature `reqwest-middleware`.
///
/// # The span
///
/// The span is `http.client.request` with the target `spanwise_http::client` and the level INFO, a
/// child of the current span. It ends when the head of the response arrives, not when the body
/// ends.
///
/// | field | value |
/// | --- | --- |
/// | `otel.kind` | `client` |
/// | `http.request.method` | a method of RFC 9110 or 5789, or `_OTHER` |
/// | `server.address`, `server.port` | the host of the URI, and its port or the default port of its scheme |
/// | `url.path` | the path without the query |
/// | `trace_id`, `span_id` | the ids that are sent |
/// | `http.response.status_code` | the status |
/// | `error` | the text of the error, without the queries of URLs. `dropped before there was a response` if the call was dropped |
/// | `otel.status_code` | `ERROR` if the call fails or is answered with 5xx |
///
/// There is no event, because only the caller knows whether a failure matters.
///
/// # Headers
///
/// The *served request* is the request whose handler makes the call, inside a
/// [`ServerLayer`](crate::ServerLayer).
///
/// | header | value | to |
/// | --- | --- | --- |
/// | `x-request-id` | `request_id` of the current [`Context`](spanwise_core::Context), or else of the served request | every host, or those of [`ids_to`](Self::ids_to) |
/// | `traceparent` | the trace of the served request, with the span id of the call | the same hosts as `x-request-id` |
/// | `tracestate` | as received with the served request | the same hosts as `x-request-id` |
/// | `baggage` | the keys of [`baggage`](Self::baggage) | only the hosts of [`baggage_to`](Self::baggage_to) |
///
/// A header that the caller has set is kept. Outside a served request, the trace id is the
/// `trace_id` of the context, or else the `request_id` of the context if that is a UUID. If the
/// context has neither, the call continues the trace that the parent process passed to this
/// process, or begins a new trace.
///
/// If the span is disabled, by its level or because there is no subscriber, the headers are still
/// sent. In that case `traceparent` has the span id of the served request. Outside a served
/// request, it has a new span id.
///
/// If traces are exported, `traceparent` and `tracestate` belong to the exported span of the call,
/// or else to the nearest enclosing exported span. They contain the decision of the trace sampler.
///
/// # Retries and redirects
///
/// Put layers that retry calls or follow redirects around this layer. Then each attempt has its own
/// span, and the host of the attempt determines whether ids and baggage are sent. An inner client
/// that follows redirects sends the headers of the first request to every host.
///
/// # Examples
///
/// ```
/// use spanwise_http::http::{Request, Response};
/// use tower::{ServiceBuilder, ServiceExt as _, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // In place of the network:
/// let network = service_fn(async |request: Request<()>| Ok::<_, std::io::Error>(Response::new(request)));
/// let client = ServiceBuilder::new()
///     .layer(
///         spanwise_http::client()
///             .baggage(["tenant_id"])
///             .baggage_to("warehouse, *.internal".parse()?),
///     )
///     .service(network);
///
/// let request = Request::get("http://warehouse/stock?sku=book").body(())?;
/// let sent = client.oneshot(request).await?.into_body();
/// assert_eq!(sent.headers()["traceparent"].len(), 55);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct ClientLayer {
    options: Arc<Options>,
}

/// The options, shared by all clones of a service.
#[derive(Debug, Clone, Default)]
struct Options {
    /// `None` allows every host.
    ids_to: Option<Hosts>,
    /// The keys that are sent as baggage.
    baggage_keys: Vec<String>,
    /// `None` allows no host.
    baggage_to: Option<Hosts>,
}

impl ClientLayer {
    /// Adds context keys that are sent as [W3C Baggage], only to the hosts of
    /// [`baggage_to`](Self::baggage_to). Defaults to none.
    ///
    /// The value comes from the current [`Context`](spanwise_core::Context), or else from the
    /// baggage of the served request. Outside a served request, the call uses the baggage that the
    /// parent process passed to this process. A received `request_id`, `tenant_id`, `user_id`,
    /// `trace_id` or `span_id` is used only if the [`ServerLayer`](crate::ServerLayer) adopted it:
    /// see [`ServerLayer::tenant_baggage`](crate::ServerLayer::tenant_baggage).
    ///
    /// Redacted values, keys that are not an HTTP `token`, and members beyond 64 keys or 8,192
    /// bytes are not sent.
    ///
    /// [W3C Baggage]: https://www.w3.org/TR/baggage/
    pub fn baggage<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        let keys = keys.into_iter().map(Into::into);
        Arc::make_mut(&mut self.options).baggage_keys.extend(keys);
        self
    }

    /// Sets the hosts to which baggage is sent. Defaults to none.
    ///
    /// The host is read from the URI. A request without a host in its URI, such as a request to a
    /// `tonic` channel, is sent without baggage.
    pub fn baggage_to(mut self, hosts: Hosts) -> Self {
        Arc::make_mut(&mut self.options).baggage_to = Some(hosts);
        self
    }

    /// Sets the hosts to which `x-request-id`, `traceparent` and `tracestate` are sent. Defaults to
    /// every host.
    ///
    /// Ids that this crate creates reveal only the time, because all other bits are random. A
    /// receiver may nevertheless continue your trace in its own tracing system.
    pub fn ids_to(mut self, hosts: Hosts) -> Self {
        Arc::make_mut(&mut self.options).ids_to = Some(hosts);
        self
    }
}

impl Options {
    fn ids_go_to(&self, host: Option<&str>) -> bool {
        self.ids_to
            .as_ref()
            .is_none_or(|hosts| host.is_some_and(|host| hosts.contains(host)))
    }

    fn baggage_goes_to(&self, host: Option<&str>) -> bool {
        let hosts = self.baggage_to.as_ref();
        hosts.is_some_and(|hosts| host.is_some_and(|host| hosts.contains(host)))
    }
}

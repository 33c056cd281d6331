//! Layers for clients: a span a call, and the headers by which the other side knows whose call it is.

mod call;
mod hosts;
#[cfg(feature = "reqwest-middleware")]
mod reqwest;
mod service;

use std::sync::Arc;

pub use self::{
    hosts::{Hosts, HostsError},
    service::{ClientFuture, ClientService},
};

#[cfg(feature = "reqwest-middleware")]
pub use self::reqwest::ReqwestBuilder;

/// A layer for an HTTP client: [`ClientLayer`] with its defaults.
pub fn client() -> ClientLayer {
    ClientLayer::default()
}

/// Opens a span for each call, and sends with it what the other side needs to tell whose call it is.
///
/// A `tower::Layer` over any service that takes `http::Request`s, such as the client of `hyper-util`, a channel of `tonic`, or
/// what `axum` tests call; for `reqwest` see `ClientLayer::reqwest`, with the feature `reqwest-middleware`.
///
/// # The span
///
/// `http.client.request`, target `spanwise_http::client`, level INFO, child of the current span. Its fields: `otel.kind`
/// (`client`), `http.request.method`, `server.address`, `server.port`, `url.path` (never the query), `trace_id`, `span_id`; when
/// the head of the response is there `http.response.status_code`; `error` if the call fails or is dropped; and `otel.status_code`
/// = `ERROR` if it fails or is answered 5xx. It ends with the head of the response: the body is not in it.
///
/// There is no event: who calls knows whether a failure is one.
///
/// # What is sent
///
/// | header | value | to |
/// | --- | --- | --- |
/// | `x-request-id` | `request_id` of the current [`Context`](spanwise_core::Context), if there is one; where spans are off, that of the request that is being served | every host, or those of [`ids_to`](Self::ids_to) |
/// | `traceparent` | the trace of the request that is being served, with the span id of the call | the same |
/// | `tracestate` | as it came with that request | the same |
/// | `baggage` | the keys of [`baggage`](Self::baggage) | the hosts of [`baggage_to`](Self::baggage_to), no other |
///
/// A header that the caller has set is kept, and not sent twice. Outside a request that is served, the trace is that of the
/// `trace_id` of the context, else its number is that of a `request_id` that is a UUID, else it is new.
///
/// Where the span is off, by its level or because there is no subscriber, the headers are sent all the same; the `traceparent`
/// then names the span of the request that is being served, for there is none of the call.
///
/// # Retries and redirects
///
/// Each call through the layer is a span, so what repeats calls, or follows redirects, belongs in front of it: then each
/// attempt has a span id of its own, and ids and baggage are decided anew for each host. What
/// follows redirects behind the layer carries the headers of the first request to wherever it is
/// sent.
///
/// # Examples
///
/// ```
/// use spanwise_http::http::{Request, Response};
/// use tower::{ServiceBuilder, ServiceExt as _, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // In place of the network.
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

/// Shared by all clones of a service.
#[derive(Debug, Clone, Default)]
struct Options {
    /// `None` is every host.
    ids_to: Option<Hosts>,
    baggage: Vec<String>,
    /// `None` is no host.
    baggage_to: Option<Hosts>,
}

impl ClientLayer {
    /// Declares context keys that are sent as [W3C Baggage], to the hosts of [`baggage_to`](Self::baggage_to) alone. Default: none.
    ///
    /// The value is that of the current [`Context`](spanwise_core::Context), else the one that came with the request that is being
    /// served. Under `request_id`, `tenant_id`, `user_id`, `trace_id` and `span_id` nothing goes on
    /// that the server has not taken over: see
    /// [`ServerLayer::tenant_baggage`](crate::ServerLayer::tenant_baggage). A value that a policy
    /// has hidden is not sent, nor is a key that no header can hold, which is one that is no
    /// `token` of HTTP. The most is 64 keys and 8,192 bytes; what is beyond them is not sent.
    ///
    /// [W3C Baggage]: https://www.w3.org/TR/baggage/
    pub fn baggage<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        let keys = keys.into_iter().map(Into::into);
        Arc::make_mut(&mut self.options).baggage.extend(keys);
        self
    }

    /// Sets to which hosts baggage goes. Default: to none.
    ///
    /// The host is that of the request's URI. A request without one, as a service in front of `tonic`'s channel sees it, gets no baggage.
    pub fn baggage_to(mut self, hosts: Hosts) -> Self {
        Arc::make_mut(&mut self.options).baggage_to = Some(hosts);
        self
    }

    /// Sets to which hosts `x-request-id`, `traceparent` and `tracestate` go. Default: to every host; they are random numbers and
    /// tell nobody anything, but some who receive them take them up in a trace of their own.
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

#[cfg(test)]
mod tests;

//! The server layer and its service.

use std::{
    fmt::Display,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderName, Request, Response, request::Parts};
use http_body::Body;
use spanwise_core::{Clock, internal::panic_safe};
use tower_layer::Layer;
use tower_service::Service;
use tracing::Level;

use super::{
    body::ResponseBody,
    field_names,
    future::ServerFuture,
    options::{Options, QuietPath, TenantSource},
    request,
    request_span::RequestSpan,
    statuses::Statuses,
};
use crate::{client_address::ClientAddress, error_text, id, trust::Trust};

/// Creates a [`ServerLayer`] with its defaults. See the [crate docs](crate).
///
/// Make it the outermost layer, because it does not receive requests that an outer layer answers.
/// If an outer layer drops a response body before its end, the outcome is `cancelled`, as if the
/// client had disconnected.
pub fn server() -> ServerLayer {
    ServerLayer::default()
}

/// A [`tower` layer](Layer) that gives each request a span, an id, and one access event. The event
/// is logged when the response body has ended, or when the request is cancelled. Created by
/// [`server`].
#[derive(Debug, Clone, Default)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct ServerLayer {
    options: Arc<Options>,
}

impl ServerLayer {
    /// Sets the senders whose headers are trusted. Defaults to [`Trust::Never`], which gives every
    /// request a new id.
    pub fn trust(self, trust: Trust) -> Self {
        self.set(|options| options.trust = trust)
    }

    /// Sets the headers from which the request id is adopted. The first header with a valid id is
    /// used. Defaults to `x-request-id`.
    ///
    /// The id of a trusted sender is adopted if it matches `^[A-Za-z0-9_.=#:/+@-]{1,200}$` and the
    /// request has exactly one header of this name. If no id is adopted, the request id is the
    /// trace id in the `traceparent` of a trusted sender, written as a UUID. If there is no such
    /// header either, the request id is a new UUID of version 7, which is also the trace id.
    ///
    /// The request passed to the service has the id as the header `x-request-id` and as the
    /// extension [`RequestId`](crate::RequestId). The response has the id as `x-request-id`. If the
    /// service sets another `x-request-id` on the response, that header is kept, and logged as
    /// `http.response.header.x-request-id`.
    ///
    /// # Panics
    /// If a name is not a valid header name.
    pub fn request_id_headers<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let names = names.into_iter().map(header_name).collect();
        self.set(|options| options.request_id_headers = names)
    }

    /// Sets the header from which the tenant is adopted, if the sender is trusted. Defaults to
    /// none.
    ///
    /// A valid tenant matches `^[A-Za-z0-9_-]{1,128}$`. The request must have exactly one header of
    /// this name. A later call of [`tenant`](Self::tenant) replaces the header.
    ///
    /// # Panics
    /// If the name is not a valid header name.
    pub fn tenant_header(self, name: &str) -> Self {
        let name = header_name(name);
        self.set(|options| options.tenant = TenantSource::Header(name))
    }

    /// Adopts the tenant from the member `tenant_id` of a trusted sender's baggage, if
    /// [`tenant_header`](Self::tenant_header) supplies no valid tenant. Has no effect with a
    /// function of [`tenant`](Self::tenant). Defaults to off, because a gateway may forward baggage
    /// that others wrote.
    ///
    /// Your other services send this member with
    /// [`ClientLayer::baggage`](crate::ClientLayer::baggage).
    pub fn tenant_baggage(self) -> Self {
        self.set(|options| options.adopts_tenant_of_baggage = true)
    }

    /// Sets a function that determines the tenant instead of a header, for example from the host or
    /// from an extension that an outer layer has set. Defaults to none.
    ///
    /// The result is used for every sender. It must have 1 to 128 bytes without control characters.
    /// After an invalid result or a panic of the function, the request has no tenant. To set the
    /// tenant later, record it in the span of the request:
    /// `Span::current().record("tenant_id", …)`.
    pub fn tenant(
        self,
        find_tenant: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.set(|options| options.tenant = TenantSource::Function(Arc::new(find_tenant)))
    }

    /// Sets which part of the client's address is logged. Defaults to [`ClientAddress::Network`].
    pub fn client_address(self, client_address: ClientAddress) -> Self {
        self.set(|options| options.client_address = client_address)
    }

    /// Sets the duration after which a request is slow, measured to the end of the body. Slow
    /// requests are logged at WARN or more severe, with the field `slow`. Defaults to none.
    pub fn slow(self, threshold: Duration) -> Self {
        self.set(|options| options.slow_threshold = Some(threshold))
    }

    /// Drops the access events of requests to `path` whose outcome is `ok` and that are not slow.
    /// `/internal/*` matches `/internal` and all paths below it. Defaults to none.
    ///
    /// Other events inside these requests are still logged. `path` is the full path, also in a
    /// nested router of axum (with the feature `axum`). `/health/` differs from `/health`. A
    /// request is never quiet if its path is ambiguous, for example because of a dot segment, an
    /// encoded slash, a backslash, or double encoding.
    ///
    /// # Panics
    /// If no request can match `path`. A valid path starts with `/`, is not ambiguous, and has no
    /// query, no fragment, and no character that is refused in requests, such as a space or `<`. It
    /// has no `*` except in a final `/*`.
    #[track_caller]
    pub fn quiet(self, path: &str) -> Self {
        let Some(quiet) = QuietPath::new(path) else {
            let path = path.escape_debug();
            panic!("`{path}` is not a path; write `/health`, or `/internal/*` for all paths below")
        };
        self.set(|options| options.quiet_paths.push(quiet))
    }

    /// Logs complete responses with these statuses at INFO, even 5xx, unless the request is slow.
    /// `statuses` is a code such as `404`, or a range such as `400..=499`. By default, 4xx is at
    /// INFO too, except 408 and 429, which are at WARN.
    ///
    /// For a gRPC response, the status is the HTTP status that `google.rpc.Code` assigns to its
    /// gRPC status. If several calls of this method and of [`warn_on`](Self::warn_on) contain a
    /// status, the last call counts.
    ///
    /// # Panics
    /// If the range is empty, or contains a number outside of 100 to 999.
    #[track_caller]
    pub fn expect_status(self, statuses: impl Into<Statuses>) -> Self {
        self.add_level_rule(statuses, Level::INFO)
    }

    /// Sets the level of responses with these statuses to WARN, with the rules of
    /// [`expect_status`](Self::expect_status). Defaults to 408 and 429. Each call adds statuses to
    /// these defaults.
    ///
    /// # Panics
    /// If the range is empty, or contains a number outside of 100 to 999.
    #[track_caller]
    pub fn warn_on(self, statuses: impl Into<Statuses>) -> Self {
        self.add_level_rule(statuses, Level::WARN)
    }

    #[track_caller]
    fn add_level_rule(self, statuses: impl Into<Statuses>, level: Level) -> Self {
        let statuses = statuses.into().checked();
        self.set(|options| options.level_rules.push((statuses, level)))
    }

    /// Adds `url.path` to the access events of all requests with a route. Defaults to only those
    /// whose outcome is not `ok`. A request without a route has `url.path` in its span.
    pub fn url_path(self) -> Self {
        self.set(|options| options.always_logs_url_path = true)
    }

    /// Adds a request header to the access event, as `http.request.header.` and its name. Repeated
    /// headers are joined with commas. Defaults to none, because headers may contain credentials.
    /// At most 2,048 bytes are logged. A value that is marked as
    /// [sensitive](http::HeaderValue::set_sensitive) is logged as `[REDACTED]`.
    ///
    /// If the application has already added 128 field names to access events, the header is ignored
    /// with a warning.
    ///
    /// # Panics
    /// If the name is not a valid header name.
    pub fn header(self, name: &str) -> Self {
        let name = header_name(name);
        match field_names::register_header(&name) {
            Some(index) => self.set(|options| {
                let mut added = options.headers.iter();
                if added.all(|(added, _)| *added != name) {
                    options.headers.push((name, index));
                }
            }),
            // No further field name is possible, and `field_names` has warned.
            None => self,
        }
    }

    /// Sends [timings](crate::record_timing) to the client in the header `Server-Timing`, which
    /// browsers show. Only timings that were recorded before the response began are sent. Defaults
    /// to off.
    pub fn server_timing(self) -> Self {
        self.set(|options| options.sends_server_timing = true)
    }

    /// Responds with 500 and no body if the handler panics. Defaults to off, so that the panic is
    /// resumed and the connection ends.
    pub fn answer_panics(self) -> Self {
        self.set(|options| options.answers_panics = true)
    }

    /// Declares a further context key in the span `http.request`, so that
    /// `Span::current().record("order_id", …)` works there. Defaults to the built-in keys of
    /// `ContextLayer`. If the facade's `Telemetry` creates the layer, it also declares the keys of
    /// `LOG_CONTEXT` and `Builder::context_key`.
    ///
    /// At most 21 further keys can be declared. [`context::set`](spanwise_core::context::set) needs
    /// no declaration here.
    pub fn context_key(self, key: impl Into<String>) -> Self {
        self.set(|options| {
            options.context_keys.push(key.into());
            options.span = RequestSpan::new(&options.context_keys);
        })
    }

    /// Sets the clock. Defaults to the clock of the system.
    pub fn clock(self, clock: Clock) -> Self {
        self.set(|options| options.clock = clock)
    }

    fn set(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(Arc::make_mut(&mut self.options));
        self
    }
}

#[track_caller]
fn header_name(name: &str) -> HeaderName {
    HeaderName::from_bytes(name.as_bytes())
        .unwrap_or_else(|_| panic!("`{}` is not a valid header name", name.escape_debug()))
}

impl<S> Layer<S> for ServerLayer {
    type Service = ServerService<S>;

    fn layer(&self, inner: S) -> ServerService<S> {
        ServerService {
            inner,
            options: Arc::clone(&self.options),
        }
    }
}

/// An inner service, wrapped by a [`ServerLayer`].
#[derive(Debug, Clone)]
pub struct ServerService<S> {
    inner: S,
    options: Arc<Options>,
}

impl<S, B, R> Service<Request<B>> for ServerService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Display,
    R: Body,
    R::Error: Display,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ServerFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut request, tenant_id) = match &self.options.tenant {
            TenantSource::Function(find_tenant) => {
                let (parts, body) = request.into_parts();
                let tenant_id = panic_safe::catch_panic(|| find_tenant(&parts)).flatten();
                let tenant_id = tenant_id.filter(|text| id::is_application_tenant_id(text));
                (Request::from_parts(parts, body), tenant_id)
            }
            TenantSource::Header(_) | TenantSource::None => (request, None),
        };
        let guard = request::begin_request(&self.options, &mut request, tenant_id.as_deref());
        let inner = &mut self.inner;
        let inner_call = guard.in_span(|| error_text::catch_panic(|| inner.call(request)));
        ServerFuture::new(inner_call, guard)
    }
}

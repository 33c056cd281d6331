//! The layer, and the service it makes.

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
    options::{Options, QuietPath, Tenant},
    request,
    request_span::RequestSpan,
    statuses::Statuses,
};
use crate::{client_address::ClientAddress, error_text, id, trust::Trust};

/// Gives each request a span, an id, and one event when it truly ends. See the [crate docs](crate).
///
/// The layer is to be the outermost one: what a layer around it answers by itself it does not see, and a body that such a layer throws away
/// looks like a client that left.
pub fn server() -> ServerLayer {
    ServerLayer::default()
}

/// A [`tower` layer](Layer) for servers, made by [`server`].
#[derive(Debug, Clone, Default)]
#[must_use = "a layer does nothing until it is around a service"]
pub struct ServerLayer {
    options: Arc<Options>,
}

impl ServerLayer {
    /// Whose headers are believed. Default: [`Trust::Never`], which gives every request a new id.
    pub fn trust(self, trust: Trust) -> Self {
        self.set(|options| options.trust = trust)
    }

    /// Sets the headers that may hold the id of a request. The first that holds one wins. Defaults
    /// to `x-request-id`.
    ///
    /// The id is taken over from a trusted sender, if it matches `^[A-Za-z0-9_.=#:/+@-]{1,200}$`
    /// and was sent once. Else it is the id of the trace that a trusted sender sent, written as a
    /// UUID. Else it is a new UUID of version 7, which is the id of the trace too.
    ///
    /// The service finds it in the request, as the header `x-request-id` and as the extension
    /// [`RequestId`](crate::RequestId). The response has it as `x-request-id`, unless the service
    /// has set one of its own. That one is kept then, and the event has it as
    /// `http.response.header.x-request-id`.
    ///
    /// # Panics
    /// If one is no name of a header.
    pub fn request_id_headers<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let names = names.into_iter().map(header_name).collect();
        self.set(|options| options.request_id_headers = names)
    }

    /// Sets the header that holds the tenant of a request, believed like its id. Defaults to none.
    ///
    /// The tenant is taken over if it matches `^[A-Za-z0-9_-]{1,128}$`.
    ///
    /// # Panics
    /// If it is no name of a header.
    pub fn tenant_header(self, name: &str) -> Self {
        let name = header_name(name);
        self.set(|options| options.tenant = Tenant::Header(name))
    }

    /// Takes the tenant from the member `tenant_id` of the baggage that a trusted sender sent, where no header names one: as a service of
    /// yours sends it, by [`ClientLayer::baggage`](crate::ClientLayer::baggage). Default: not, since a gateway hands on what others say.
    pub fn tenant_baggage(self) -> Self {
        self.set(|options| options.tenant_baggage = true)
    }

    /// Finds the tenant of a request, in place of a header: from the host, or from what a layer around this one knows.
    ///
    /// What it says is taken whoever the sender is, as each line of the request has it: a text of 1 to 128 bytes without control characters.
    /// Of any other, and of code that panics, there is no tenant. One that is known later, as from a login, can be recorded where it is
    /// known: `Span::current().record("tenant_id", …)` in the request's span.
    pub fn tenant(self, of: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        self.set(|options| options.tenant = Tenant::Function(Arc::new(of)))
    }

    /// How much of the client's address is logged. Default: [`ClientAddress::Network`].
    pub fn client_address(self, shown: ClientAddress) -> Self {
        self.set(|options| options.client_address = shown)
    }

    /// Requests that take longer, to the end of the body, are told at WARN at least, with the field `slow`. Default: none are.
    pub fn slow(self, longer_than: Duration) -> Self {
        self.set(|options| options.slow = Some(longer_than))
    }

    /// Leaves out requests to `path`, or to all below it as in `/internal/*`, that end `ok` and are not slow.
    ///
    /// Events inside of them are logged as any others. In a nested router of axum `path` is the
    /// whole one. `/health/` is another one than `/health`. A request is not quiet if another
    /// program may read its path as another one: with a dot segment, an encoded slash, a backslash,
    /// or anything encoded twice.
    ///
    /// # Panics
    /// If it would leave out nothing: without a `/` at its start, with a `*` anywhere but in a last
    /// `/*`, with a query, or with a part for which no request is quiet.
    #[track_caller]
    pub fn quiet(self, path: &str) -> Self {
        let Some(quiet) = QuietPath::new(path) else {
            let path = path.escape_debug();
            panic!("`{path}` is no path; write `/health`, or `/internal/*` for all below")
        };
        self.set(|options| options.quiet.push(quiet))
    }

    /// Sets the level of responses with these statuses to INFO: a code such as `404`, or a range
    /// such as `400..=499`. Defaults to 4xx other than 408 and 429.
    ///
    /// It is about responses that were sent to their end. The status of a gRPC call is that of HTTP
    /// which `google.rpc.Code` maps its own to. Of several calls of this and
    /// [`warn_on`](Self::warn_on) that name a status, the last counts.
    ///
    /// # Panics
    /// If no response can have such a status, or if the range is empty.
    #[track_caller]
    pub fn expect_status(self, statuses: impl Into<Statuses>) -> Self {
        self.level(statuses, Level::INFO)
    }

    /// Sets the level of responses with these statuses to WARN, as [`expect_status`](Self::expect_status)
    /// sets it to INFO. Defaults to 408 and 429.
    ///
    /// # Panics
    /// If no response can have such a status, or if the range is empty.
    #[track_caller]
    pub fn warn_on(self, statuses: impl Into<Statuses>) -> Self {
        self.level(statuses, Level::WARN)
    }

    #[track_caller]
    fn level(self, statuses: impl Into<Statuses>, level: Level) -> Self {
        let statuses = statuses.into().checked();
        self.set(|options| options.levels.push((statuses, level)))
    }

    /// Adds `url.path` to the event of each request. Defaults to those whose outcome is not `ok`.
    pub fn url_path(self) -> Self {
        self.set(|options| options.url_path = true)
    }

    /// Adds a header of requests to the event, as `http.request.header.` and its name. Defaults to
    /// none, since headers hold credentials. At most 2,048 bytes are logged.
    ///
    /// # Panics
    /// If it is no name of a header.
    pub fn header(self, name: &str) -> Self {
        let name = header_name(name);
        match field_names::header(&name) {
            Some(index) => self.set(|options| options.headers.push((name, index))),
            None => self,
        }
    }

    /// Sends what was [marked](crate::record_timing) before the response began to the client, as `Server-Timing`, which browsers show.
    pub fn server_timing(self) -> Self {
        self.set(|options| options.server_timing = true)
    }

    /// Answers a request with 500 and no body if its handler panics. Default: the panic goes on, and the connection ends.
    pub fn answer_panics(self) -> Self {
        self.set(|options| options.answer_panics = true)
    }

    /// Declares a further key of the context in the span `http.request`, so that
    /// `Span::current().record("order_id", …)` works there. Defaults to the keys that each
    /// `ContextLayer` knows. A layer that the facade's `Telemetry` makes declares the keys of
    /// `LOG_CONTEXT` and `Builder::context_key`, too.
    ///
    /// Without it, [`context::set`](spanwise_core::context::set) sets the key. At most 21 further
    /// keys are declared.
    pub fn context_key(self, key: impl Into<String>) -> Self {
        self.set(|options| {
            options.context_keys.push(key.into());
            options.span = RequestSpan::new(&options.context_keys);
        })
    }

    /// Takes the time from `clock`. Default: the system's.
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
        .unwrap_or_else(|_| panic!("`{}` is no name of a header", name.escape_debug()))
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

/// A service inside of a [`ServerLayer`].
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
            Tenant::Function(of) => {
                let (parts, body) = request.into_parts();
                let tenant_id = panic_safe::catch_panic(|| of(&parts)).flatten();
                let tenant_id = tenant_id.filter(|text| id::is_presentable(text));
                (Request::from_parts(parts, body), tenant_id)
            }
            Tenant::Header(_) | Tenant::None => (request, None),
        };
        let guard = request::begin_request(&self.options, &mut request, tenant_id.as_deref());
        let inner = &mut self.inner;
        let called = guard.in_span(|| error_text::catch_panic(|| inner.call(request)));
        ServerFuture::new(called, guard)
    }
}

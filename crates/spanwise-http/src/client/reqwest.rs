//! [`ClientLayer`] as a middleware of `reqwest`, in a client with checked redirects.

use std::{error::Error, fmt, sync::Arc};

use http::Extensions;
use reqwest::{
    Request, Response, Url,
    redirect::{Attempt, Policy},
};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use tracing::Instrument;

use super::{
    ClientLayer, Options,
    call::{Call, Destination},
};

impl ClientLayer {
    /// Creates a builder of a `reqwest` client with this layer. The builder **replaces the redirect
    /// policy of `client`**. Set your policy with [`ReqwestBuilder::redirect`].
    ///
    /// `reqwest` does not expose the policy of a `ClientBuilder`. So a `Policy::none()` on `client`
    /// has no effect, and the client follows ten redirects, also to addresses in your network. All
    /// other settings of `client` are kept.
    ///
    /// ```
    /// use reqwest::{Client, redirect::Policy};
    ///
    /// let client = spanwise_http::client()
    ///     .reqwest(Client::builder())
    ///     .redirect(Policy::none())
    ///     .build()?;
    /// # drop(client);
    /// # Ok::<(), reqwest::Error>(())
    /// ```
    ///
    /// ```
    /// let client = spanwise_http::client()
    ///     .baggage(["tenant_id"])
    ///     .baggage_to("*.internal".parse()?)
    ///     .reqwest(reqwest::Client::builder())
    ///     .build()?;
    /// # let _: reqwest_middleware::ClientWithMiddleware = client;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reqwest(self, client: reqwest::ClientBuilder) -> ReqwestBuilder {
        ReqwestBuilder {
            options: self.options,
            client,
            in_front: Vec::new(),
            redirects: Policy::default(),
        }
    }
}

/// Builds a `reqwest` client with a [`ClientLayer`]. See [`ClientLayer::reqwest`].
#[must_use = "there is no client until `build` is called"]
pub struct ReqwestBuilder {
    options: Arc<Options>,
    client: reqwest::ClientBuilder,
    /// The middlewares outside this layer, the outermost first.
    in_front: Vec<Arc<dyn Middleware>>,
    redirects: Policy,
}

impl ReqwestBuilder {
    /// Adds a middleware outside this layer, and inside the middlewares that were added before. If
    /// the middleware retries calls, each attempt has its own span.
    pub fn with(mut self, middleware: impl Middleware) -> Self {
        self.in_front.push(Arc::new(middleware));
        self
    }

    /// Sets the redirect policy. Defaults to the policy of `reqwest`, which follows ten redirects.
    ///
    /// `reqwest` follows redirects inside all middlewares, with the ids and baggage of the first
    /// request. So a call fails if a redirect would send ids to a host outside
    /// [`ids_to`](ClientLayer::ids_to), or baggage to a host outside
    /// [`baggage_to`](ClientLayer::baggage_to). The policy decides about all other redirects.
    pub fn redirect(mut self, policy: Policy) -> Self {
        self.redirects = policy;
        self
    }

    /// Builds the client.
    ///
    /// # Errors
    /// The error of `reqwest`, for example if TLS cannot be initialized.
    pub fn build(self) -> reqwest::Result<ClientWithMiddleware> {
        let (options, redirects) = (Arc::clone(&self.options), self.redirects);
        let redirects = Policy::custom(move |attempt| match check_redirect(&options, &attempt) {
            None => redirects.redirect(attempt),
            Some(error) => attempt.error(error),
        });
        let client = self.client.redirect(redirects).build()?;
        let propagation = Propagation {
            options: self.options,
        };
        let in_front = self.in_front.into_iter();
        let client = in_front.fold(ClientBuilder::new(client), ClientBuilder::with_arc);
        Ok(client.with(propagation).build())
    }
}

impl fmt::Debug for ReqwestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestBuilder")
            .field("client", &self.client)
            .field("in_front", &self.in_front.len())
            .finish_non_exhaustive()
    }
}

/// Returns an error if a redirect would send ids or baggage, which are headers of the first
/// request, to a host that must not receive them.
fn check_redirect(options: &Options, attempt: &Attempt<'_>) -> Option<ForbiddenRedirect> {
    let first_host = attempt.previous().first()?.host_str();
    let next_host = attempt.url().host_str();
    let leaves_allowed = |is_allowed: &dyn Fn(Option<&str>) -> bool| {
        is_allowed(first_host) && !is_allowed(next_host)
    };
    let leaves_baggage_hosts = || leaves_allowed(&|host| options.baggage_goes_to(host));
    let headers = if !options.baggage_keys.is_empty() && leaves_baggage_hosts() {
        ForbiddenHeaders::Baggage
    } else if leaves_allowed(&|host| options.ids_go_to(host)) {
        ForbiddenHeaders::Ids
    } else {
        return None;
    };
    let host = next_host.unwrap_or_default().to_owned();
    Some(ForbiddenRedirect { host, headers })
}

/// A [`ClientLayer`] as a middleware.
#[derive(Debug)]
struct Propagation {
    options: Arc<Options>,
}

#[async_trait::async_trait]
impl Middleware for Propagation {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let (method, url) = (request.method().clone(), request.url().clone());
        let mut call = Call::begin(
            &self.options,
            &method,
            destination(&url),
            request.headers_mut(),
        );
        let response_future = next.run(request, extensions);
        let result = response_future.instrument(call.span().clone()).await;
        match &result {
            Ok(response) => {
                call.record_response(response.status(), response.version(), response.headers());
            }
            Err(error) => call.record_error(&WithoutUrl(error)),
        }
        result
    }
}

fn destination(url: &Url) -> Destination<'_> {
    Destination {
        scheme: Some(url.scheme()),
        host: url.host_str(),
        port: url.port_or_known_default(),
        path: url.path(),
    }
}

/// Displays an error with its causes. Shows each error of `reqwest` in the chain as a
/// [`short_text`], because its own text contains the URL.
struct WithoutUrl<'a>(&'a reqwest_middleware::Error);

impl fmt::Display for WithoutUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut next: Option<&(dyn Error + 'static)> = match self.0 {
            reqwest_middleware::Error::Reqwest(error) => Some(error),
            reqwest_middleware::Error::Middleware(error) => Some(error.as_ref()),
        };
        let mut separator = "";
        while let Some(error) = next {
            f.write_str(separator)?;
            separator = ": ";
            match (error.downcast_ref(), error.downcast_ref()) {
                (Some(error), _) | (_, Some(reqwest_middleware::Error::Reqwest(error))) => {
                    f.write_str(short_text(error))?;
                }
                _ => write!(f, "{error}")?,
            }
            next = error.source();
        }
        Ok(())
    }
}

/// Returns a text for `error` that does not contain the URL.
fn short_text(error: &reqwest::Error) -> &'static str {
    match () {
        () if error.is_timeout() => "timed out",
        () if error.is_connect() => "no connection",
        () if error.is_redirect() => "redirect failed",
        () if error.is_body() || error.is_decode() => "body failed",
        () => "failed",
    }
}

/// The error of a redirect that would send headers to a host that must not receive them.
#[derive(Debug)]
struct ForbiddenRedirect {
    host: String,
    headers: ForbiddenHeaders,
}

#[derive(Debug)]
enum ForbiddenHeaders {
    Baggage,
    Ids,
}

impl fmt::Display for ForbiddenRedirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, setter, without) = match self.headers {
            ForbiddenHeaders::Baggage => ("the baggage", "baggage_to", "baggage"),
            ForbiddenHeaders::Ids => ("the ids", "ids_to", "ids"),
        };
        write!(
            f,
            "the redirect leads to `{}`, which must not receive {what} of this call: allow the \
             host with `{setter}`, or use a client without {without}",
            self.host,
        )
    }
}

impl Error for ForbiddenRedirect {}

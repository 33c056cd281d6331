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
    call::{Call, Target},
};

impl ClientLayer {
    /// Makes a client of `reqwest` whose calls go through this layer, and **replaces the redirect
    /// policy of `client`**: set yours by [`ReqwestBuilder::redirect`].
    ///
    /// `reqwest` does not show the policy of a `ClientBuilder`. So `Policy::none()` there has no
    /// effect, and the client follows ten redirects, also to addresses inside of your network. All
    /// other settings of `client` stay.
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

/// A client of `reqwest` in the making, whose calls go through a [`ClientLayer`]: see
/// [`ClientLayer::reqwest`].
#[must_use = "it makes no client until it is built"]
pub struct ReqwestBuilder {
    options: Arc<Options>,
    client: reqwest::ClientBuilder,
    in_front: Vec<Arc<dyn Middleware>>,
    redirects: Policy,
}

impl ReqwestBuilder {
    /// Adds a middleware in front of the layer, behind those that are there: one that repeats calls
    /// makes a span of each attempt so.
    pub fn with(mut self, middleware: impl Middleware) -> Self {
        self.in_front.push(Arc::new(middleware));
        self
    }

    /// Sets the redirect policy. Defaults to that of `reqwest`, which follows ten redirects.
    ///
    /// `reqwest` follows redirects behind its middleware, with the headers of the first request,
    /// and has no way to take one away. So a call fails whose redirect would carry what a call to
    /// that host would not: ids beyond [`ids_to`](ClientLayer::ids_to), baggage beyond
    /// [`baggage_to`](ClientLayer::baggage_to). The policy decides about the others.
    pub fn redirect(mut self, policy: Policy) -> Self {
        self.redirects = policy;
        self
    }

    /// Makes the client.
    ///
    /// # Errors
    /// If `reqwest` cannot make it, as where there is no TLS to be had.
    pub fn build(self) -> reqwest::Result<ClientWithMiddleware> {
        let (options, redirects) = (Arc::clone(&self.options), self.redirects);
        let redirects = Policy::custom(move |attempt| match forbidden(&options, &attempt) {
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

/// Why a redirect must not be followed with the headers that were sent to the first host.
fn forbidden(options: &Options, attempt: &Attempt<'_>) -> Option<RedirectsTo> {
    let sent_to = attempt.previous().first()?.host_str();
    let next = attempt.url().host_str();
    let leaves = |goes_to: &dyn Fn(Option<&str>) -> bool| goes_to(sent_to) && !goes_to(next);
    let carried = if !options.baggage.is_empty() && leaves(&|host| options.baggage_goes_to(host)) {
        Carries::Baggage
    } else if leaves(&|host| options.ids_go_to(host)) {
        Carries::Ids
    } else {
        return None;
    };
    let host = next.unwrap_or_default().to_owned();
    Some(RedirectsTo { host, carried })
}

/// [`ClientLayer`] as a middleware.
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
        let mut call = Call::begin(&self.options, &method, target(&url), request.headers_mut());
        let sent = next.run(request, extensions);
        let result = sent.instrument(call.span().clone()).await;
        match &result {
            Ok(response) => call.answered(response.status()),
            Err(error) => call.failed(&WithoutUrl(error)),
        }
        result
    }
}

fn target(url: &Url) -> Target<'_> {
    Target {
        host: url.host_str(),
        port: url.port_or_known_default(),
        path: url.path(),
    }
}

/// The text of an error, and of those that caused it. That of `reqwest` has the URL in it, at
/// whatever place of the chain.
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
                    f.write_str(what_failed(error))?;
                }
                _ => write!(f, "{error}")?,
            }
            next = error.source();
        }
        Ok(())
    }
}

fn what_failed(error: &reqwest::Error) -> &'static str {
    match () {
        () if error.is_timeout() => "timed out",
        () if error.is_connect() => "no connection",
        () if error.is_redirect() => "redirected in vain",
        () if error.is_body() || error.is_decode() => "body failed",
        () => "failed",
    }
}

/// Why a redirect was not followed.
#[derive(Debug)]
struct RedirectsTo {
    host: String,
    carried: Carries,
}

/// What the host must not get.
#[derive(Debug)]
enum Carries {
    Baggage,
    Ids,
}

impl fmt::Display for RedirectsTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, setter, without) = match self.carried {
            Carries::Baggage => ("the baggage", "baggage_to", "baggage"),
            Carries::Ids => ("the ids", "ids_to", "ids"),
        };
        write!(
            f,
            "the redirect leads to `{}`, which must not get {what} of this call: allow the host with `{setter}`, or call with a \
             client without {without}",
            self.host,
        )
    }
}

impl Error for RedirectsTo {}

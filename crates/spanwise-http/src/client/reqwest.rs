use std::{error::Error, fmt, sync::Arc};

use http::Extensions;
use reqwest::{
    Request, Response, Url,
    redirect::{Attempt, Policy},
};
use reqwest_middleware::{Middleware, Next};
use tracing::Instrument;

use super::{
    ClientLayer, Options,
    call::{Call, Target},
};

impl ClientLayer {
    /// The layer as a middleware of `reqwest-middleware`, and the redirect policy that the client under it has to have.
    ///
    /// `reqwest` follows redirects behind its middleware, with the headers of the first request, and has no way to take one away. So
    /// the policy fails a call whose redirect would carry what a call to that host would not: ids
    /// beyond
    /// [`ids_to`](Self::ids_to), baggage beyond [`baggage_to`](Self::baggage_to). Other redirects
    /// are followed, up to ten, as `reqwest` does by default.
    ///
    /// Middleware that repeats calls goes in front of this one: `.with(retries).with(propagation)`.
    ///
    /// ```
    /// let (propagation, redirects) = spanwise_http::client()
    ///     .baggage(["tenant_id"])
    ///     .baggage_to("*.internal".parse()?)
    ///     .reqwest();
    /// let client = reqwest::Client::builder().redirect(redirects).build()?;
    /// let client = reqwest_middleware::ClientBuilder::new(client).with(propagation).build();
    /// # let _ = client;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "without the redirect policy ids and baggage follow redirects to any host"]
    pub fn reqwest(self) -> (ReqwestMiddleware, Policy) {
        let options = self.options;
        let policy = {
            let options = options.clone();
            let follow = Policy::default();
            Policy::custom(move |attempt| match forbidden(&options, &attempt) {
                None => follow.redirect(attempt),
                Some(error) => attempt.error(error),
            })
        };
        (ReqwestMiddleware { options }, policy)
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

/// [`ClientLayer`] for `reqwest-middleware`: see [`ClientLayer::reqwest`].
#[derive(Debug, Clone)]
pub struct ReqwestMiddleware {
    options: Arc<Options>,
}

#[async_trait::async_trait]
impl Middleware for ReqwestMiddleware {
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

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
    /// the policy, where baggage is declared, fails a call that is redirected from a host that gets baggage to one that does not;
    /// everything else, and everything where none is declared, is `reqwest`'s default of up to ten redirects.
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
    #[must_use = "without the redirect policy baggage follows redirects to any host"]
    pub fn reqwest(self) -> (ReqwestMiddleware, Policy) {
        let options = self.options;
        let policy = if options.baggage.is_empty() {
            Policy::default()
        } else {
            let options = options.clone();
            let follow = Policy::default();
            Policy::custom(move |attempt| match forbidden(&options, &attempt) {
                None => follow.redirect(attempt),
                Some(host) => attempt.error(RedirectsTo { host }),
            })
        };
        (ReqwestMiddleware { options }, policy)
    }
}

/// The host that a redirect leads to, if baggage may have been sent that must not get there.
fn forbidden(options: &Options, attempt: &Attempt<'_>) -> Option<String> {
    let sent_to = attempt.previous().first()?;
    let next = attempt.url().host_str();
    let leaves = options.baggage_goes_to(sent_to.host_str()) && !options.baggage_goes_to(next);
    leaves.then(|| next.unwrap_or_default().to_owned())
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

/// The text of an error: that of `reqwest` itself has the URL in it, with its query.
struct WithoutUrl<'a>(&'a reqwest_middleware::Error);

impl fmt::Display for WithoutUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reqwest_middleware::Error::Reqwest(error) = self.0 else {
            return write!(f, "{}", self.0);
        };
        let what = [
            (error.is_timeout(), "timed out"),
            (error.is_connect(), "no connection"),
            (error.is_redirect(), "redirected in vain"),
            (error.is_body() || error.is_decode(), "body failed"),
        ];
        let what = what.iter().find(|(is, _)| *is);
        f.write_str(what.map_or("failed", |(_, what)| what))?;
        let mut source = error.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

/// Why a redirect was not followed.
#[derive(Debug)]
struct RedirectsTo {
    host: String,
}

impl fmt::Display for RedirectsTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the redirect leads to `{}`, which must not get the baggage of this call: allow the host with `baggage_to`, or call with a client without baggage",
            self.host,
        )
    }
}

impl Error for RedirectsTo {}

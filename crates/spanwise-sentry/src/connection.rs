//! The connection to the server: proxy, certificates, and warnings about likely mistakes.

use std::{net::IpAddr, time::Duration};

use sentry_core::{
    ClientOptions,
    types::{self, Scheme},
};
use ureq::{
    Proxy,
    tls::{Certificate, PemItem},
};

use crate::{Dsn, SentryError};

/// The connection options of the sender thread.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) dsn: types::Dsn,
    pub(crate) user_agent: String,
    pub(crate) timeout: Duration,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) root_certificates: Vec<Certificate<'static>>,
}

/// Parses certificates in PEM. Returns none for an empty text.
pub(crate) fn read_certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>, SentryError> {
    if pem.is_empty() {
        return Ok(Vec::new());
    }
    let items: Result<Vec<PemItem<'static>>, _> = ureq::tls::parse_pem(pem).collect();
    let items = items.map_err(|_| SentryError::Certificates)?.into_iter();
    let certificates: Vec<_> = items
        .filter_map(|item| match item {
            PemItem::Certificate(certificate) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(SentryError::Certificates);
    }
    Ok(certificates)
}

/// Returns the proxy that `options` set for the scheme of the DSN.
pub(crate) fn proxy_for(dsn: &Dsn, options: &ClientOptions) -> Result<Option<Proxy>, SentryError> {
    let proxy = match dsn.0.scheme() {
        Scheme::Http => &options.http_proxy,
        Scheme::Https => &options.https_proxy,
    };
    let proxy = proxy.as_ref().map(|proxy| Proxy::new(proxy));
    proxy.transpose().map_err(|_| SentryError::Proxy)
}

/// Returns warnings about likely mistakes: a remote server without TLS, and `HTTP_PROXY` used for
/// https.
pub(crate) fn warnings(dsn: &Dsn, proxy: Option<&Proxy>) -> Vec<String> {
    let host = dsn.0.host();
    let mut warnings = Vec::new();
    let is_https = match dsn.0.scheme() {
        Scheme::Http => false,
        Scheme::Https => true,
    };
    if !is_https && !is_local(host) {
        warnings.push(format!(
            "events and the key of the DSN go to {host} without encryption: the DSN begins with \
             http; use https"
        ));
    }
    if is_https
        && proxy.is_none()
        && let Some(proxy) = http_proxy_from_env()
        && !is_exempt(dsn, &proxy)
    {
        let (name, port) = (proxy.host(), proxy.port());
        warnings.push(format!(
            "events go to {host} through the proxy {name}:{port} of HTTP_PROXY, although over \
             https: set HTTPS_PROXY if that is intended, or NO_PROXY={host}"
        ));
    }
    warnings
}

/// Returns whether `host` is `localhost`, a subdomain of it, or a loopback address.
fn is_local(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    host == "localhost" || host.ends_with(".localhost") || host.parse().is_ok_and(is_loopback)
}

/// Returns the proxy that the HTTP client reads from `HTTP_PROXY`. `None` if another variable sets
/// the proxy.
fn http_proxy_from_env() -> Option<Proxy> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the HTTP client reads these variables, and they are not settings of spanwise"
    )]
    let value = |name: &&str| std::env::var(name).ok();
    let other_variables = ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"];
    let mut others = other_variables.iter().filter_map(value);
    // The HTTP client ignores a value that is not the address of a proxy.
    let has_other_proxy = others.any(|value| Proxy::new(&value).is_ok());
    Proxy::try_from_env().filter(|_| !has_other_proxy)
}

/// Returns whether `NO_PROXY` exempts the server from the proxy.
fn is_exempt(dsn: &Dsn, proxy: &Proxy) -> bool {
    let url = dsn.0.envelope_api_url();
    url.as_str()
        .parse()
        .is_ok_and(|url| proxy.is_no_proxy(&url))
}

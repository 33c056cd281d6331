//! Checks of the options of a signal. They collect all invalid options for one error.

use spanwise_core::ParseError;
use ureq::http::{HeaderName, HeaderValue};

use crate::{
    ExportOptions, InvalidOption, SignalKind, endpoint::Endpoint, setting_texts::shown_key,
    tls::Tls,
};

/// Collects the options that are not valid.
pub(crate) struct Checks {
    /// The signal of the option that is being checked. `None` for the endpoint of all signals.
    pub(crate) signal: Option<SignalKind>,
    pub(crate) invalid: Vec<InvalidOption>,
}

impl Checks {
    /// Returns the value of a valid option. Adds an invalid one to the list, and returns `None`.
    pub(crate) fn valid<T>(
        &mut self,
        option: &'static str,
        result: Result<T, ParseError>,
    ) -> Option<T> {
        result.map_err(|error| self.push(option, error)).ok()
    }

    pub(crate) fn push(&mut self, option: &'static str, error: ParseError) {
        self.invalid.push(InvalidOption {
            signal: self.signal,
            option,
            error,
        });
    }
}

/// Checks the headers of the options, and returns the parsed ones.
pub(crate) fn headers(
    options: &ExportOptions,
    checks: &mut Checks,
) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    for (name, value) in &options.headers {
        let Ok(header) = name.parse::<HeaderName>() else {
            let error = format!(
                "{} is not the name of a header: write letters, digits and `-`",
                shown_key(name)
            );
            checks.push("header", ParseError::new(error));
            continue;
        };
        if header.as_str().starts_with("content-") || header.as_str() == "host" {
            let hint = "is a header that the exporter sets";
            checks.push("header", ParseError::word(name, hint, "remove it"));
        }
        match HeaderValue::from_str(value) {
            Ok(mut value) => {
                value.set_sensitive(true);
                headers.push((header, value));
            }
            Err(_) => checks.push(
                "header",
                ParseError::new(format!(
                    "the value of the header `{name}` (hidden) has a character that no header has: \
                     write ASCII without line breaks"
                )),
            ),
        }
    }
    headers
}

/// Checks the certificates of the options, and returns the valid ones.
pub(crate) fn tls(
    options: &ExportOptions,
    endpoint: Option<&Endpoint>,
    checks: &mut Checks,
) -> Tls {
    let mut tls = Tls::default();
    if let Some(pem) = &options.root_certificates {
        let with_roots = tls.clone().with_roots(pem);
        tls = checks.valid("root_certificates", with_roots).unwrap_or(tls);
    }
    match (&options.client_certificate, &options.client_key) {
        (Some(certificate), Some(key)) => {
            let with_client = tls.clone().with_client(certificate, key);
            tls = checks
                .valid("client_certificate", with_client)
                .unwrap_or(tls);
        }
        (Some(_), None) => checks.push(
            "client_key",
            ParseError::new("the client certificate has no key: set the key, too"),
        ),
        (None, Some(_)) => checks.push(
            "client_certificate",
            ParseError::new("the client key has no certificate: set the certificate, too"),
        ),
        (None, None) => {}
    }
    if !tls.is_default()
        && let Some(endpoint) = endpoint.filter(|endpoint| !endpoint.is_tls())
    {
        let error = ParseError::word(
            endpoint.to_string(),
            "is an endpoint without TLS, which needs no certificates",
            "use https, or remove the certificates",
        );
        let setting = match options.root_certificates {
            Some(_) => "root_certificates",
            None => "client_certificate",
        };
        checks.push(setting, error);
    }
    tls
}

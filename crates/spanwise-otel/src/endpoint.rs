//! The address of a collector.

use std::fmt;

use spanwise_core::ParseError;
use ureq::http::Uri;

use crate::{Protocol, SignalKind};

/// The URL to which the requests of a signal go.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    uri: Uri,
    is_tls: bool,
}

/// The signals for which an endpoint is set: all of them, or one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetFor {
    /// All signals. Over HTTP, the path of the signal, such as `/v1/traces`, is appended.
    AllSignals,
    /// One signal. Over HTTP, no path is appended.
    OneSignal,
}

/// The usual ports of OTLP over gRPC and over HTTP.
const GRPC_PORT: u16 = 4317;
const HTTP_PORT: u16 = 4318;

impl Endpoint {
    /// Parses an endpoint. The scheme of a gRPC endpoint defaults to `http` if `insecure` is true,
    /// and to `https` otherwise.
    pub(crate) fn parse(
        text: &str,
        signal: SignalKind,
        set_for: SetFor,
        protocol: Protocol,
        insecure: bool,
    ) -> Result<Self, ParseError> {
        let text = text.trim();
        let authority = text.split_once("://").map_or(text, |(_, rest)| rest);
        let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
        // Search the whole text, not only `authority`: a password may contain a slash, a question
        // mark or a hash.
        if text.contains('@') {
            return Err(ParseError::new(format!(
                "the endpoint of {} bytes has an `@`, which follows a user or a password: send \
                 them in a header",
                text.len()
            )));
        }
        if let Some((url, _)) = text.split_once(['?', '#']) {
            return Err(ParseError::word(
                url,
                "has a query or fragment behind it",
                "an endpoint ends with its path; send a key in a header",
            ));
        }
        let scheme = match text.split_once("://") {
            Some((scheme, _)) => scheme.to_ascii_lowercase(),
            None if protocol == Protocol::Grpc && insecure => "http".to_owned(),
            None if protocol == Protocol::Grpc => "https".to_owned(),
            None => return Err(invalid_endpoint(text, "has no scheme")),
        };
        if !matches!(&*scheme, "http" | "https") {
            return Err(invalid_endpoint(text, "has an unknown scheme"));
        }
        let path = match text.split_once("://") {
            Some((_, rest)) => &rest[authority.len()..],
            None => &text[authority.len()..],
        };
        let url = match (protocol, set_for) {
            (Protocol::Grpc, _) => format!("{scheme}://{authority}"),
            (Protocol::HttpProtobuf, SetFor::OneSignal) => format!("{scheme}://{authority}{path}"),
            (Protocol::HttpProtobuf, SetFor::AllSignals) => {
                let path = path.trim_end_matches('/');
                format!("{scheme}://{authority}{path}{}", signal.http_path())
            }
        };
        let uri: Uri = url
            .parse()
            .map_err(|_| invalid_endpoint(text, "is not a URL"))?;
        let host = uri.host().unwrap_or_default();
        if host.is_empty() || (authority != host && uri.port_u16().is_none()) {
            return Err(invalid_endpoint(text, "has no valid host and port"));
        }
        Ok(Self {
            is_tls: scheme == "https",
            uri,
        })
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.is_tls
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Returns a warning if the port is the usual port of the other protocol.
    pub(crate) fn warning(&self, protocol: Protocol) -> Option<String> {
        let (usual_protocol, hint) = match (self.uri.port_u16()?, protocol) {
            (GRPC_PORT, Protocol::HttpProtobuf) => ("gRPC", "use port 4318, or the protocol grpc"),
            (HTTP_PORT, Protocol::Grpc) => ("HTTP", "use port 4317, or the protocol http/protobuf"),
            _ => return None,
        };
        let authority = self.uri.authority()?;
        Some(format!(
            "the port of the endpoint {authority} is usually that of {usual_protocol}, and the \
             protocol is {protocol}: {hint}"
        ))
    }
}

fn invalid_endpoint(text: &str, reason: &str) -> ParseError {
    ParseError::word(
        text,
        reason,
        "write the address of a collector, such as `http://localhost:4318`",
    )
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(
        text: &str,
        set_for: SetFor,
        protocol: Protocol,
        insecure: bool,
    ) -> Result<String, String> {
        Endpoint::parse(text, SignalKind::Traces, set_for, protocol, insecure)
            .map(|endpoint| endpoint.to_string())
            .map_err(|error| error.to_string())
    }

    #[track_caller]
    fn assert_url(set_for: SetFor, protocol: Protocol, text: &str, expected: &str) {
        assert_eq!(url(text, set_for, protocol, false).as_deref(), Ok(expected));
    }

    #[test]
    fn paths_follow_the_specification() {
        use Protocol::{Grpc, HttpProtobuf};
        use SetFor::{AllSignals, OneSignal};
        let http = HttpProtobuf;
        assert_url(AllSignals, http, "http://c:4318", "http://c:4318/v1/traces");
        assert_url(
            AllSignals,
            http,
            "http://c:4318/",
            "http://c:4318/v1/traces",
        );
        assert_url(
            AllSignals,
            http,
            "https://c/a/b//",
            "https://c/a/b/v1/traces",
        );
        assert_url(AllSignals, http, " HTTP://c ", "http://c/v1/traces");
        assert_url(
            AllSignals,
            http,
            "http://[::1]:4318",
            "http://[::1]:4318/v1/traces",
        );
        assert_url(OneSignal, http, "http://c:4318", "http://c:4318/");
        assert_url(OneSignal, http, "http://c:4318/a/", "http://c:4318/a/");
        assert_url(AllSignals, Grpc, "http://c:4317/ignored", "http://c:4317/");
        assert_url(AllSignals, Grpc, "c:4317", "https://c:4317/");
        let insecure = url("c:4317", OneSignal, Grpc, true);
        assert_eq!(insecure.as_deref(), Ok("http://c:4317/"));
    }

    #[test]
    fn wrong_addresses_are_refused() {
        let error = |text| {
            let protocol = Protocol::HttpProtobuf;
            let url = url(text, SetFor::AllSignals, protocol, false);
            url.expect_err(text)
        };
        for (text, reason) in [
            ("collector:4318", "has no scheme"),
            ("ftp://c", "has an unknown scheme"),
            ("unix:///run/c", "has an unknown scheme"),
            ("http://", "is not a URL"),
            ("http:///v1", "is not a URL"),
            ("http://c:99999", "has no valid host and port"),
            ("http://c:port", "has no valid host and port"),
            ("http://a b", "is not a URL"),
            ("http://c?key=secret", "has a query"),
            ("http://c/#a", "has a query or fragment"),
        ] {
            let error = error(text);
            assert!(error.contains(reason), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        for text in [
            "http://user:secret@c:4318",
            "http://secret@c",
            "http://user:sec/secret@c:4318",
            "http://user:1234/secret@c",
            "http://user:sec?secret@c",
            "http://user:sec#secret@c",
            "http://c/v1?key=secret@c",
            "http://c/secret@c",
            "user:secret@c:4318",
            "ftp://user:secret@c",
        ] {
            let error = error(text);
            let expected = format!("the endpoint of {} bytes has an `@`", text.len());
            assert!(error.starts_with(&expected), "{error}");
            assert!(!error.contains("sec"), "{error}");
        }
    }

    #[test]
    fn ports_of_the_other_protocol_are_reported() {
        let warning = |text, protocol| {
            let (signal, set_for) = (SignalKind::Logs, SetFor::AllSignals);
            let endpoint = Endpoint::parse(text, signal, set_for, protocol, false);
            endpoint.unwrap().warning(protocol)
        };
        assert!(warning("http://c:4317", Protocol::HttpProtobuf).is_some());
        assert!(warning("http://c:4318", Protocol::Grpc).is_some());
        assert_eq!(warning("http://c:4318", Protocol::HttpProtobuf), None);
        assert_eq!(warning("http://c:4317", Protocol::Grpc), None);
        assert_eq!(warning("http://c", Protocol::Grpc), None);
    }
}

//! Values of requests and responses for a
//! [`RequestObserver`](spanwise_core::internal::request_observer::RequestObserver).

use http::{HeaderMap, HeaderName, Version, header::CONTENT_LENGTH};

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Returns the OpenTelemetry name of the HTTP version.
pub(crate) fn protocol_version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_09 => Some("0.9"),
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        Version::HTTP_3 => Some("3"),
        _ => None,
    }
}

/// Returns the declared length of a body, in bytes.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Returns `scheme` if it is `http` or `https`. Returns `None` for any other scheme, because
/// clients could invent any number of schemes.
pub(crate) fn known_scheme(scheme: &str) -> Option<&'static str> {
    ["http", "https"]
        .into_iter()
        .find(|known| scheme.eq_ignore_ascii_case(known))
}

/// Returns the last scheme in `X-Forwarded-Proto`, which the nearest proxy has written. Call this
/// only if that proxy is trusted.
pub(crate) fn forwarded_scheme(headers: &HeaderMap) -> Option<&'static str> {
    let mut lines = headers.get_all(X_FORWARDED_PROTO).iter();
    let last_line = lines.next_back()?.to_str().ok()?;
    let last_entry = last_line.rsplit(',').next().unwrap_or_default();
    known_scheme(last_entry.trim_matches([' ', '\t']))
}

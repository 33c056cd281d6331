//! The request id, as an extension of requests.

use std::fmt;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use crate::id;

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request, which a [`ServerLayer`](crate::ServerLayer) adds to the extensions of the
/// request.
///
/// Log lines have the same id. The response also has it, unless the service sets another
/// `x-request-id`. The `x-request-id` of the request that the service receives is always this id.
///
/// ```
/// use spanwise_http::RequestId;
///
/// fn handler<B>(request: &http::Request<B>) -> Option<&str> {
///     request.extensions().get().map(RequestId::as_str)
/// }
/// # assert_eq!(handler(&http::Request::new(())), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// Returns the id in `header` if it is valid.
    pub(crate) fn from_header(header: &HeaderValue) -> Option<Self> {
        id::request_id(header).map(|_| Self(header.clone()))
    }

    pub(crate) fn from_uuid(uuid: uuid::Uuid) -> Self {
        let mut digits = [0; 36];
        uuid.hyphenated().encode_lower(&mut digits);
        // The clones in the request, its extensions and the response share this memory. A `Vec`
        // would need a second allocation for the reference count.
        let shared = Bytes::from_owner(digits);
        Self(HeaderValue::from_maybe_shared(shared).unwrap_or_else(|_| {
            // A header value may contain hexadecimal digits and hyphens.
            unreachable!("the digits of a UUID are a valid header value")
        }))
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(self.0.as_bytes()).unwrap_or_default() // it is ASCII
    }

    /// Returns the id as the value of a header.
    #[must_use]
    pub fn header_value(&self) -> &HeaderValue {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

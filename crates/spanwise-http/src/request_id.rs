//! The id of the request that is being served.

use std::fmt;

use bytes::Bytes;
use http::HeaderValue;

use crate::id;

/// The id of a request, in the extensions of the request that a [`ServerLayer`](crate::ServerLayer)
/// hands to the service.
///
/// It is what the lines say and what the response has. The header `x-request-id` of the request has
/// it too, in place of one that was not believed.
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
    /// Takes over the id in `header`, if it is a valid one.
    pub(crate) fn from_header(header: &HeaderValue) -> Option<Self> {
        id::request_id(header).map(|_| Self(header.clone()))
    }

    pub(crate) fn from_uuid(uuid: uuid::Uuid) -> Self {
        let mut digits = [0; 36];
        uuid.hyphenated().encode_lower(&mut digits);
        // Unlike those of a `Vec`, these share their memory from the start: there are copies in the
        // request, its extensions and the response.
        let shared = Bytes::from_owner(digits);
        Self(HeaderValue::from_maybe_shared(shared).unwrap_or_else(|_| {
            // Hexadecimal digits and dashes are what a header may hold.
            unreachable!("hexadecimal digits are no header value")
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

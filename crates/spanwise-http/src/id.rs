//! Validation of received ids, and generation of new ones.

use http::HeaderValue;
use spanwise_core::internal::time_ordered_bits;
use uuid::Uuid;

/// The maximum length of a received request id, in bytes. Longer ids are ignored.
const MAX_REQUEST_ID_LEN: usize = 200;

/// The maximum length of a tenant id, in bytes.
const MAX_TENANT_ID_LEN: usize = 128;

/// Returns the request id in `header` if it matches `^[A-Za-z0-9_.=#:/+@-]{1,200}$`.
pub(crate) fn request_id(header: &HeaderValue) -> Option<&str> {
    let text = str::from_utf8(header.as_bytes()).ok()?;
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.=#:/+@-".contains(&byte);
    let is_valid = (1..=MAX_REQUEST_ID_LEN).contains(&text.len()) && text.bytes().all(is_allowed);
    is_valid.then_some(text)
}

/// Returns the tenant id in `header` if it is valid: see [`tenant_id_text`].
pub(crate) fn tenant_id(header: &HeaderValue) -> Option<&str> {
    tenant_id_text(str::from_utf8(header.as_bytes()).ok()?)
}

/// Returns `text` if it matches `^[A-Za-z0-9_-]{1,128}$`.
pub(crate) fn tenant_id_text(text: &str) -> Option<&str> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_valid = (1..=MAX_TENANT_ID_LEN).contains(&text.len()) && text.bytes().all(is_allowed);
    is_valid.then_some(text)
}

/// Returns whether `text` is valid as a tenant id that the application determines: 1 to 128 bytes
/// without control characters.
pub(crate) fn is_application_tenant_id(text: &str) -> bool {
    (1..=MAX_TENANT_ID_LEN).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Generates a UUID of version 7.
pub(crate) fn new_uuid() -> Uuid {
    Uuid::from_u128(time_ordered_bits())
}

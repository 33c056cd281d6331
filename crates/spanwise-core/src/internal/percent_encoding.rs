//! Decoding of percent-encoded text, as in URLs, in `baggage` and in settings of OpenTelemetry.

/// Decodes percent-encoded text. A `%` without two hexadecimal digits is kept. Invalid UTF-8
/// becomes U+FFFD.
///
/// ```
/// use spanwise_core::internal::percent_decode;
///
/// assert_eq!(percent_decode("caf%C3%A9 100%"), "café 100%");
/// assert_eq!(percent_decode("%+1%FF"), "%+1\u{FFFD}");
/// ```
#[must_use]
pub fn percent_decode(text: &str) -> String {
    let bytes = decode_bytes(text, Some);
    String::from_utf8(bytes.unwrap_or_default())
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Decodes percent-encoded text. Returns `None` if a `%` is not followed by two hexadecimal digits,
/// or if the result is not UTF-8.
///
/// ```
/// use spanwise_core::internal::percent_decode_strictly;
///
/// assert_eq!(percent_decode_strictly("caf%C3%A9 100%25").as_deref(), Some("café 100%"));
/// assert_eq!(percent_decode_strictly("100%"), None);
/// assert_eq!(percent_decode_strictly("%FF"), None);
/// ```
#[must_use]
pub fn percent_decode_strictly(text: &str) -> Option<String> {
    let bytes = decode_bytes(text, |byte| (byte != b'%').then_some(byte));
    String::from_utf8(bytes?).ok()
}

/// Decodes the bytes of `text`. `decode_unescaped` decodes each byte that is not part of an escape,
/// or returns `None` if the byte is invalid.
fn decode_bytes(text: &str, decode_unescaped: impl Fn(u8) -> Option<u8>) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut remaining = text.as_bytes();
    while let Some((first, others)) = remaining.split_first() {
        let escaped = (*first == b'%')
            .then(|| others.split_first_chunk::<2>())
            .flatten()
            .and_then(|(digits, after)| Some((decode_byte(*digits)?, after)));
        let (byte, after) = match escaped {
            Some(escaped) => escaped,
            None => (decode_unescaped(*first)?, others),
        };
        bytes.push(byte);
        remaining = after;
    }
    Some(bytes)
}

fn decode_byte([high, low]: [u8; 2]) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

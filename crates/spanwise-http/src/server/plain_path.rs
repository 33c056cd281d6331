//! Plain paths: paths that all programs interpret in the same way.
//!
//! A proxy, a router and a file system may interpret `/internal/../admin` and
//! `/internal/%2e%2e/admin` differently. Such a path does not reveal which resource is requested.

use std::borrow::Cow;

/// Returns whether `path` has only one interpretation. A dot segment, an encoded or look-alike
/// slash or dot, a backslash, a control character, or a double escape makes it ambiguous.
pub(crate) fn is_plain(path: &str) -> bool {
    let Some(decoded) = decode(path) else {
        return false;
    };
    let is_ambiguous =
        |c: char| c.is_control() || matches!(c, '\\' | '．' | '․' | '／' | '＼' | '⁄' | '∕');
    // Some servers remove parameters of a segment, as in `..;/`.
    let is_dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    !decoded.chars().any(is_ambiguous) && !decoded.split('/').any(is_dots)
}

/// Decodes percent-encoding. Returns `None` if an escape is malformed, or encodes a character with
/// a meaning in paths.
fn decode(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let byte = u8::try_from(digit()? << 4 | digit()?).ok()?;
        if matches!(byte, b'.' | b'/' | b'\\' | b'%' | b';') {
            return None;
        }
        decoded.push(byte);
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

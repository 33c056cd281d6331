//! Plain paths: paths that all programs interpret in the same way.
//!
//! A proxy, a router and a file system may interpret `/internal/../admin` and
//! `/internal/%2e%2e/admin` differently. Such a path does not reveal which resource is requested.

use std::borrow::Cow;

use spanwise_core::internal::percent_decode_strictly;

/// Returns whether `path` has only one interpretation.
///
/// A path is ambiguous if it contains a dot segment, a backslash, a control character, a character
/// that looks like a dot, a slash or a backslash, a malformed percent-escape, or an escape of `.`,
/// `/`, `\`, `%` or `;`.
pub(crate) fn is_plain(path: &str) -> bool {
    let decoded = match path.contains('%') {
        true if has_ambiguous_escape(path) => return false,
        true => percent_decode_strictly(path).map(Cow::Owned),
        false => Some(Cow::Borrowed(path)),
    };
    let Some(decoded) = decoded else { return false };
    let is_ambiguous =
        |c: char| c.is_control() || matches!(c, '\\' | '．' | '․' | '／' | '＼' | '⁄' | '∕');
    // Some servers remove the parameters of a segment, and read `..;a/` as `../`.
    let is_dot_segment = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    !decoded.chars().any(is_ambiguous) && !decoded.split('/').any(is_dot_segment)
}

/// Returns whether `.`, `/`, `\`, `%` or `;` is percent-encoded.
fn has_ambiguous_escape(path: &str) -> bool {
    let mut windows = path.as_bytes().windows(3);
    windows.any(|window| {
        let mut escapes = AMBIGUOUS_ESCAPES.iter();
        escapes.any(|escape| window.eq_ignore_ascii_case(*escape))
    })
}

/// The escapes of `.`, `/`, `\`, `%` and `;`, in lower case.
const AMBIGUOUS_ESCAPES: [&[u8; 3]; 5] = [b"%2e", b"%2f", b"%5c", b"%25", b"%3b"];

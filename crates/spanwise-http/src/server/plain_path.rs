//! Plain paths: paths that all programs interpret in the same way.
//!
//! A proxy, a router and a file system may interpret `/internal/../admin` and
//! `/internal/%2e%2e/admin` differently. Such a path does not reveal which resource is requested.

use std::borrow::Cow;

use spanwise_core::internal::percent_decode_strictly;

/// Returns whether `path` has only one interpretation. A dot segment, an encoded or look-alike
/// slash or dot, a backslash, a control character, or a double escape makes it ambiguous.
pub(crate) fn is_plain(path: &str) -> bool {
    let decoded = match path.contains('%') {
        true if hides_a_mark(path) => return false,
        true => percent_decode_strictly(path).map(Cow::Owned),
        false => Some(Cow::Borrowed(path)),
    };
    let Some(decoded) = decoded else { return false };
    let is_ambiguous =
        |c: char| c.is_control() || matches!(c, '\\' | '．' | '․' | '／' | '＼' | '⁄' | '∕');
    // Some servers remove parameters of a segment, as in `..;/`.
    let is_dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    !decoded.chars().any(is_ambiguous) && !decoded.split('/').any(is_dots)
}

/// Returns whether a dot, a slash, a backslash, a percent sign or a semicolon is encoded.
fn hides_a_mark(path: &str) -> bool {
    let mut codes = path.as_bytes().windows(3);
    codes.any(|code| MARKS.iter().any(|mark| code.eq_ignore_ascii_case(*mark)))
}

const MARKS: [&[u8; 3]; 5] = [b"%2e", b"%2f", b"%5c", b"%25", b"%3b"];

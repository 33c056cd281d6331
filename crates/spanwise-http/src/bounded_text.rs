//! Truncation of text that a client chose.
//!
//! Each line of a request has its path, and each span inside copies it. Without a limit, a long
//! path would cost much and the client nothing.

use std::borrow::Cow;

use spanwise_core::internal::panic_safe;

/// The most bytes of a path, and of a logged header.
pub(crate) const MAX_LEN: usize = 2048;

const ELLIPSIS: &str = "…";

/// Returns `text` with at most [`MAX_LEN`] bytes. A truncated text ends in `…`.
///
/// The word at the limit is dropped as a whole, since a policy does not recognize a part of a
/// token as a secret.
pub(crate) fn bounded(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_LEN {
        return Cow::Borrowed(text);
    }
    let kept = panic_safe::truncate_at(text, MAX_LEN - ELLIPSIS.len());
    let words = kept.rfind(ends_word).map_or("", |at| &kept[..=at]);
    Cow::Owned([words, ELLIPSIS].concat())
}

/// Returns whether `c` ends a token. All of these characters have one byte.
fn ends_word(c: char) -> bool {
    matches!(c, '/' | ' ' | '\t' | ',' | ';' | '&' | '?' | '(' | ')')
}

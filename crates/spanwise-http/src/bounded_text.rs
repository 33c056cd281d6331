//! Truncation of text from clients.
//!
//! Each line of a request contains its path, and each nested span copies the path. Without a limit,
//! clients could cause large costs with long paths.

use std::borrow::Cow;

use spanwise_core::internal::panic_safe;

/// The maximum number of bytes of a path or a logged header.
pub(crate) const MAX_LEN: usize = 2048;

const ELLIPSIS: &str = "…";

/// Returns `text` with at most [`MAX_LEN`] bytes. A truncated text ends in `…`.
///
/// The word at the limit is dropped as a whole, because a redaction policy does not recognize a
/// part of a secret token.
pub(crate) fn bounded(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_LEN {
        return Cow::Borrowed(text);
    }
    let kept = panic_safe::truncate_at(text, MAX_LEN - ELLIPSIS.len());
    let words = kept.rfind(ends_word).map_or("", |at| &kept[..=at]);
    Cow::Owned([words, ELLIPSIS].concat())
}

/// Returns whether `c` ends a word. All of these characters have one byte, as [`bounded`] assumes.
fn ends_word(c: char) -> bool {
    matches!(c, '/' | ' ' | '\t' | ',' | ';' | '&' | '?' | '(' | ')')
}

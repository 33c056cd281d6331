//! Truncation of text from clients.
//!
//! Each line of a request contains the path of the request, and each nested span copies the path.
//! Without a limit, clients could cause large costs with long paths.

use std::borrow::Cow;

use spanwise_core::internal::panic_safe;

/// The maximum length of a path or a logged header, in bytes.
pub(crate) const MAX_LEN: usize = 2048;

const ELLIPSIS: &str = "…";

/// Truncates `text` to at most [`MAX_LEN`] bytes. A truncated text ends in `…`.
///
/// A word that crosses the limit is dropped as a whole, because a redaction policy would not
/// recognize the first part of a secret token.
pub(crate) fn bounded(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_LEN {
        return Cow::Borrowed(text);
    }
    let kept = panic_safe::truncate_at(text, MAX_LEN - ELLIPSIS.len());
    let whole_words = kept.rfind(ends_word).map_or("", |at| &kept[..=at]);
    Cow::Owned([whole_words, ELLIPSIS].concat())
}

/// Returns whether `c` ends a word. [`bounded`] relies on each of these characters having one byte.
fn ends_word(c: char) -> bool {
    matches!(c, '/' | ' ' | '\t' | ',' | ';' | '&' | '?' | '(' | ')')
}

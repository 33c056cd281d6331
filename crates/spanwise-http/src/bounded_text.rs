//! Text that a client chose, as far as it is logged.
//!
//! Each line of a request has its path, and each span inside copies it. A client pays nothing for a
//! long one.

use std::borrow::Cow;

use spanwise_core::internal::panic_safe;

/// The longest path, and the longest logged header, in bytes.
pub(crate) const MAX_LEN: usize = 2048;

const CUT: &str = "…";

/// Returns `text` with at most [`MAX_LEN`] bytes, the last of which say that it was cut.
///
/// The word that the limit falls into is dropped as a whole: a policy does not know half a token
/// for a secret.
pub(crate) fn bounded(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_LEN {
        return Cow::Borrowed(text);
    }
    let kept = panic_safe::truncate_at(text, MAX_LEN - CUT.len());
    let words = kept.rfind(ends_word).map_or("", |at| &kept[..=at]);
    Cow::Owned([words, CUT].concat())
}

/// Whether no token goes on after `c`. All of these take a single byte.
fn ends_word(c: char) -> bool {
    matches!(c, '/' | ' ' | '\t' | ',' | ';' | '&' | '?' | '(' | ')')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let shown = bounded(text);
        assert!(shown.len() <= MAX_LEN, "{} bytes", shown.len());
        assert_eq!(shown, expected);
    }

    #[test]
    fn text_is_truncated_at_a_word() {
        let word = "w".repeat(MAX_LEN);
        check("/orders/42", "/orders/42");
        check(&word, &word);
        check(&format!("/orders/{word}"), "/orders/…");
        check(&format!("curl/8 {word}"), "curl/8 …");
        check(&format!("{word}w"), "…");
        check(&"ä/".repeat(MAX_LEN), &format!("{}…", "ä/".repeat(681)));
    }
}

//! Removes queries from URLs in texts.

use std::borrow::Cow;

/// Returns `text` without the query and the fragment of each URL, because these often contain
/// tokens, names and addresses.
pub(crate) fn without_queries(text: &str) -> Cow<'_, str> {
    if !text.contains(starts_path) {
        return Cow::Borrowed(text);
    }
    let mut cleaned = String::with_capacity(text.len());
    let mut unread = text;
    while let Some(path_start) = unread.find(starts_path) {
        let (before, url) = unread.split_at(path_start);
        let url = &url[..url.find(ends_url).unwrap_or(url.len())];
        // Punctuation at the end belongs to the text around the URL.
        let url = url.trim_end_matches([')', ']', '}', '`', '\'', ',', ':', '.']);
        // A `?` or `#` at the end also belongs to that text.
        let query_start = url.find(['?', '#']).filter(|at| at + 1 < url.len());
        let kept_len = query_start.unwrap_or(url.len());
        cleaned.push_str(before);
        cleaned.push_str(&url[..kept_len]);
        unread = &unread[path_start + url.len()..];
    }
    cleaned.push_str(unread);
    Cow::Owned(cleaned)
}

/// Returns whether `c` may start the path or the query of a URL. Scheme and host need no search,
/// because they are always kept.
fn starts_path(c: char) -> bool {
    matches!(c, '/' | '?')
}

/// Returns whether `c` cannot be in a URL. URLs contain such characters percent-encoded.
fn ends_url(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '"' | '<' | '>')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_only_a_query_is_removed() {
        for (text, shown) in [
            ("?id=ada", ""),
            ("?id=ada /path?a=b", " /path"),
            ("?", "?"),
            ("/#secret", "/"),
            ("refused", "refused"),
        ] {
            assert_eq!(without_queries(text), shown, "{text}");
        }
    }
}

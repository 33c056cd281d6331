//! Hides possible secrets in errors, warnings and explanations.
//!
//! A message quotes the invalid value, so that the reader finds the mistake. But the value may be a
//! secret key that was set under the wrong name, or a path with a password. Therefore messages show
//! words, numbers and names, and hide text that may be a key or a password.

use std::path::Path;

/// Returns `value` in quotes, or its length if it may be a secret.
pub(crate) fn shown(value: &str) -> String {
    if userinfo(value).is_some() || value.split_inclusive(is_separator).any(may_be_secret) {
        hidden(value.len())
    } else {
        format!("{value:?}")
    }
}

/// Like [`shown`], without quotes.
pub(crate) fn shown_unquoted(value: &str) -> String {
    let shown = shown(value);
    match shown.strip_prefix('"') {
        Some(_) => value.to_owned(),
        None => shown,
    }
}

/// Returns the user and the password in an address such as `http://user:password@host` or
/// `user:password@host`.
fn userinfo(value: &str) -> Option<&str> {
    let (before, _) = value.rsplit_once('@')?;
    match before.split_once("://") {
        Some((_, userinfo)) => Some(userinfo),
        None => Some(before).filter(|before| before.contains(':')),
    }
}

/// Like [`shown_unquoted`], for a URL. Also hides a URL that may contain a user or a query.
pub(crate) fn url(value: &str) -> String {
    if has_user_or_query(value) {
        hidden(value.len())
    } else {
        shown_unquoted(value)
    }
}

/// Returns whether a URL may contain a user, a password or a query.
pub(crate) fn has_user_or_query(url: &str) -> bool {
    url.contains(['@', '?'])
}

/// Returns the text that replaces a hidden text of this length, in bytes.
pub(crate) fn hidden(len: usize) -> String {
    format!("(hidden, {len} bytes)")
}

/// Returns `message` without the possible secrets of `value`. Each is replaced, even if `message`
/// quotes only a part of it.
pub(crate) fn message(message: &str, value: &str) -> String {
    let secrets: Vec<Vec<char>> = value
        .split(is_separator)
        .filter(|item| may_be_secret(item))
        .chain(userinfo(value))
        .map(|secret| folded(secret).collect())
        .collect();
    let characters: Vec<char> = message.chars().collect();
    let folded_characters: Vec<char> = folded(message).collect();
    let mut out = String::new();
    let mut index = 0;
    while index < characters.len() {
        let lengths = secrets
            .iter()
            .map(|secret| common_len(secret, &folded_characters[index..]));
        let len = lengths.max().unwrap_or_default();
        if len < MIN_HIDDEN_LEN {
            out.push(characters[index]);
            index += 1;
        } else {
            let hidden_characters = &characters[index..index + len];
            out.push_str(&hidden(
                hidden_characters.iter().map(|c| c.len_utf8()).sum(),
            ));
            index += len;
        }
    }
    out
}

/// The minimum length of a hidden part of a secret, in characters. Shorter parts reveal too little.
const MIN_HIDDEN_LEN: usize = 5;

/// Converts ASCII letters to lower case, one character for each, so that indices stay the same.
fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|c| c.to_ascii_lowercase())
}

/// Returns the length of the longest prefix of `text` that occurs in `secret`.
fn common_len(secret: &[char], text: &[char]) -> usize {
    let lengths = (0..secret.len()).map(|start| {
        let pairs = secret[start..].iter().zip(text);
        let equal_pairs = pairs.take_while(|(in_hidden, in_text)| in_hidden == in_text);
        equal_pairs.count()
    });
    lengths.max().unwrap_or_default()
}

/// Returns whether a message may show a path. A secret key may look like a path, so only an
/// existing directory at the beginning of the path is certainly not a secret. The path behind this
/// directory, or the whole path if no such directory exists, must not look like a key.
pub(crate) fn may_show_path(path: &str) -> bool {
    let path = Path::new(path);
    // The root and the current directory exist for every text, so they prove nothing.
    let exists = |directory: &&Path| directory.parent().is_some() && directory.is_dir();
    let directory = path.ancestors().skip(1).find(exists);
    let rest = directory.and_then(|directory| path.strip_prefix(directory).ok());
    !may_be_secret(&rest.unwrap_or(path).to_string_lossy())
}

/// Returns whether a character separates the items of a list. Each item is checked on its own.
fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | ';' | '"' | '\'')
}

/// Returns whether an item has a word that may be a key or a password. Such a word has at least 8
/// characters with letters and digits mixed, or over 20 letters, or over 8 digits.
fn may_be_secret(item: &str) -> bool {
    words(item).any(is_suspicious)
}

fn words(item: &str) -> impl Iterator<Item = &str> {
    item.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
}

fn is_suspicious(word: &str) -> bool {
    let count = word.chars().count();
    let digits = word.chars().filter(|c| c.is_numeric()).count();
    match digits {
        0 => count > 20,
        _ if digits == count => count > 8,
        _ => count >= 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A unit test, because from outside the rule is visible only in messages about invalid values.
    #[test]
    fn words_are_shown_and_keys_are_not() {
        for value in [
            "jsn",
            "info,shop=debgu,aws_sdk_dynamodb::client=trace",
            "daily,100MiB",
            "10.0.0.0/8,fd00:a:b::/48",
            "/var/log/shop-api/shop-1.4.2.log",
            "20261128",
        ] {
            assert_eq!(shown(value), format!("{value:?}"));
        }
        for value in [
            "9f86d081884c7d659a2feaa0c55ad015",
            "/9f86d081884c7d659a2feaa0c55ad015",
            "info,shop=9f86d081884c7d65",
            "Wq7Ld93xPa/b+c==",
            "correcthorsebatterystaple",
            "4111111111111111",
            "http://user:hunter@c:4318",
            "http://user:hun,te/r@c",
            "user:hunter@c:4317",
            "http://hunter@c",
        ] {
            assert_eq!(shown(value), hidden(value.len()));
        }
    }

    #[test]
    fn messages_hide_possible_secrets() {
        let value = "info,9F86d081884c7d65=debgu";
        assert_eq!(
            message("`9F86d081884c7d65=debgu`: `debgu` is not `info`", value),
            "`(hidden, 22 bytes)`: `(hidden, 5 bytes)` is not `info`"
        );
        assert_eq!(
            message("no `9f86d081884c7d65`", value),
            "no `(hidden, 16 bytes)`"
        );
        assert_eq!(
            message("`http://user:hunter@c` is odd", "http://user:hunter@c"),
            "`http://(hidden, 11 bytes)@c` is odd"
        );
        assert_eq!(
            message("no `größe4711`", "größe4711"),
            "no `(hidden, 11 bytes)`"
        );
        let plain = "`shop=debgu`: `debgu` is not a level";
        assert_eq!(message(plain, "info,shop=debgu"), plain);
    }
}

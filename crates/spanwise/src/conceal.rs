//! Values of variables in messages on stderr: shown as far as nobody can have put a secret there.
//!
//! A key is set under the wrong name, or a password is in a path. A message quotes a value so that
//! its reader finds the mistake. So words, numbers and names are shown, and what may be a key or a
//! password is not.

use std::path::Path;

/// Returns `value` in quotes, or how long it is if it may be a secret.
pub(crate) fn shown(value: &str) -> String {
    if value.split_inclusive(ends_run).any(may_be_secret) {
        hidden(value.len())
    } else {
        format!("{value:?}")
    }
}

/// [`shown`], without quotes around it.
pub(crate) fn bare(value: &str) -> String {
    let shown = shown(value);
    match shown.strip_prefix('"') {
        Some(_) => value.to_owned(),
        None => shown,
    }
}

pub(crate) fn hidden(len: usize) -> String {
    format!("(hidden, {len} bytes)")
}

/// Returns `message` without what it quotes of a part of `value` that may be secret.
pub(crate) fn message(message: &str, value: &str) -> String {
    let secrets: Vec<Vec<char>> = value
        .split(ends_run)
        .filter(|run| may_be_secret(run))
        .map(|run| folded(run).collect())
        .collect();
    let characters: Vec<char> = message.chars().collect();
    let compared: Vec<char> = folded(message).collect();
    let mut out = String::new();
    let mut at = 0;
    while at < characters.len() {
        let longest = secrets.iter().map(|secret| common(secret, &compared[at..]));
        let len = longest.max().unwrap_or_default();
        if len < MIN_PIECE_LEN {
            out.push(characters[at]);
            at += 1;
        } else {
            out.push_str(&hidden(len));
            at += len;
        }
    }
    out
}

/// Fewer characters of a secret tell nothing.
const MIN_PIECE_LEN: usize = 5;

/// Character by character, so that places are the same.
fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|c| c.to_ascii_lowercase())
}

/// The length of the longest start of `text` that is somewhere in `secret`.
fn common(secret: &[char], text: &[char]) -> usize {
    let starts = (0..secret.len()).map(|start| {
        let pairs = secret[start..].iter().zip(text);
        pairs.take_while(|(one, other)| one == other).count()
    });
    starts.max().unwrap_or_default()
}

/// Returns whether a path may be shown: it begins with a directory that is there, so it is no key
/// that begins as a path does, and the rest of it is no key either.
pub(crate) fn is_path(path: &str) -> bool {
    let path = Path::new(path);
    // The root, and the current directory, are there in front of every key.
    let is_there = |directory: &&Path| directory.parent().is_some() && directory.is_dir();
    let there = path.ancestors().skip(1).find(is_there);
    let rest = there.and_then(|there| path.strip_prefix(there).ok());
    !may_be_secret(&rest.unwrap_or(path).to_string_lossy())
}

/// Lists are read one by one.
fn ends_run(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | ';' | '"' | '\'')
}

/// Whether letters and digits are mixed as in a key, or go on for longer than a word.
fn may_be_secret(run: &str) -> bool {
    words(run).any(is_long)
}

fn words(run: &str) -> impl Iterator<Item = &str> {
    run.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
}

fn is_long(word: &str) -> bool {
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

    /// What is shown of a value is decided in one place, and seen from outside only together with a
    /// mistake.
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
        ] {
            assert_eq!(shown(value), hidden(value.len()));
        }
    }

    #[test]
    fn messages_lose_what_may_be_secret() {
        let value = "info,9F86d081884c7d65=debgu";
        assert_eq!(
            message("`9F86d081884c7d65=debgu`: `debgu` is not `info`", value),
            "`(hidden, 22 bytes)`: `(hidden, 5 bytes)` is not `info`"
        );
        assert_eq!(
            message("no `9f86d081884c7d65`", value),
            "no `(hidden, 16 bytes)`"
        );
        let plain = "`shop=debgu`: `debgu` is not a level";
        assert_eq!(message(plain, "info,shop=debgu"), plain);
    }
}

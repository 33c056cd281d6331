//! Passwords in URLs and in data source names.
//!
//! A password may have any character, also those that end it for a strict reader: people paste
//! them unencoded. What follows `scheme://user:` is a port if it is one, and a password else. The
//! password then goes on to the last `@` with a host after it, before white space.

use spanwise_core::REDACTED;

use crate::{
    bytes::{Set, after_escape, find, find_text, is_space, rfind, run, run_back},
    credential,
    values::Stop,
};

/// The password in `scheme://user:password@host`, or the token in `https://token@host`.
pub(crate) fn userinfo(text: &[u8], at: usize, after: usize) -> Option<(usize, usize)> {
    let scheme = after_escape(text, Set::KEY.run_back(text, at, 31));
    if scheme >= at || after >= text.len() {
        return None;
    }
    let scheme = text[scheme..at].to_ascii_lowercase();
    let is_web = [&b"http"[..], b"https", b"ws", b"wss"]
        .iter()
        .any(|web| scheme.ends_with(web));
    let user = run(text, after, |byte| {
        !is_space(byte) && !b":/?#@[\"'<>\\".contains(&byte)
    });
    if text.get(user) == Some(&b'@') {
        return before_at(text, after, is_web);
    }
    if text.get(user) != Some(&b':') {
        return None;
    }
    let start = user + 1;
    if is_port(text, start, is_web) {
        return None;
    }
    let region = end_of_url(text, start);
    let end = at_sign(&text[..region], start, is_web)
        .or_else(|| at_sign_after_space(text, start, region, is_web))?;
    let shown = end == start
        || text[end..].starts_with(b"@sha256:")
        || credential::is_placeholder(&text[start..end]);
    (!shown).then_some((start, end))
}

/// `token@host`, or a user who is called by an address: `smtp://ada@example.org:password@host`.
fn before_at(text: &[u8], after: usize, is_web: bool) -> Option<(usize, usize)> {
    let end = run(text, after, |byte| {
        !is_space(byte) && !b"/?#\"'<>\\".contains(&byte)
    });
    let authority = &text[after..end];
    let at_sign = rfind(authority, b'@')?;
    let user = &authority[..at_sign];
    if let Some(colon) = find(user, b':', 0) {
        return (colon + 1 < at_sign).then_some((after + colon + 1, after + at_sign));
    }
    let is_token = user.len() >= 20 && user.iter().all(|byte| Set::BASE64URL.has(*byte));
    (is_web && is_token).then_some((after, after + at_sign))
}

/// Returns whether what follows `host:` is a port. One digit before a slash is none of a database.
fn is_port(text: &[u8], start: usize, is_web: bool) -> bool {
    let end = Set::DIGIT.run(&text[..text.len().min(start + 6)], start);
    match (end - start, text.get(end)) {
        (0, None | Some(b'/' | b'?' | b'#')) => is_web,
        (1, Some(b'/' | b'?' | b'#')) => is_web,
        (1..=5, Some(b'.')) => text.get(end + 1).is_none_or(|byte| is_space(*byte)),
        (1..=5, next) => {
            next.is_none_or(|byte| is_space(*byte) || b"/?#,;\"'`)]}>\\|<".contains(byte))
        }
        _ => false,
    }
}

/// Where the URL ends that goes on at `start`: at white space, at what closes the quotes or
/// brackets around it, and before the next URL.
fn end_of_url(text: &[u8], start: usize) -> usize {
    let end = end_of_run(text, start);
    match find_text(&text[..end], b"://", start) {
        Some(next) => Set::KEY.run_back(text, next, 31).max(start),
        None => end,
    }
}

/// Where a run of characters without white space ends that something may close.
pub(crate) fn end_of_run(text: &[u8], start: usize) -> usize {
    let mut at = start;
    if text
        .get(start..)
        .is_some_and(|rest| rest.starts_with(REDACTED.as_bytes()))
    {
        at += REDACTED.len();
    }
    while at < text.len() {
        at = match text[at] {
            byte if is_space(byte) => break,
            b'"' | b'\'' | b'`' | b')' | b']' | b'}' | b'>' | b'\\' => match Stop::at(text, at) {
                Stop::Ends => break,
                Stop::GoesOn(next) => next,
            },
            _ => run(text, at, |byte| {
                !is_space(byte) && !b"\"'`)]}>\\".contains(&byte)
            }),
        };
    }
    at
}

/// The `@` that ends a password which begins at `start`.
fn at_sign(text: &[u8], start: usize, is_web: bool) -> Option<usize> {
    let first = find(text, b'@', start)?;
    let is_path = |byte: &u8| matches!(byte, b'/' | b'?' | b'#');
    let authority = if is_web {
        text[first..].iter().position(is_path)
    } else {
        text[first..].iter().position(|byte| *byte == b'?')
    };
    let text = &text[..authority.map_or(text.len(), |end| first + end)];
    let mut end = text.len();
    let mut last = None;
    while let Some(at) = rfind(&text[start..end], b'@') {
        last = last.or(Some(start + at));
        if is_host(text, start + at + 1) {
            return Some(start + at);
        }
        end = start + at;
    }
    last
}

/// The `@` of a password with a space in it, near enough and on the same line.
fn at_sign_after_space(text: &[u8], start: usize, region: usize, is_web: bool) -> Option<usize> {
    const NEAR: usize = 64;
    let is_word = text[start..region].iter().all(u8::is_ascii_lowercase);
    if text.get(region) != Some(&b' ') || is_web && is_word {
        return None;
    }
    let near = &text[..text.len().min(start + NEAR)];
    let end = run(near, region, |byte| !b"\r\n@\"'`".contains(&byte));
    let is_url = find_text(&near[..end], b"://", region).is_some();
    (near.get(end) == Some(&b'@') && !is_url && is_host(text, end + 1)).then_some(end)
}

fn is_host(text: &[u8], start: usize) -> bool {
    if matches!(text.get(start), Some(b'/' | b'[' | b'%')) {
        return true;
    }
    let end = Set::KEY.run(text, start);
    end > start && text.get(end) != Some(&b'@')
}

/// The password in `user:password@tcp(host:3306)/db`; the `@` is at `at`.
pub(crate) fn go_dsn(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let start = run_back(text, at, 96, |byte| !is_space(byte));
    let named = |colon: &usize| *colon > start && Set::KEY.has(text[*colon - 1]);
    let colon = (start..at)
        .filter(|colon| text[*colon] == b':')
        .find(named)?;
    let shown = colon + 1 == at || credential::is_placeholder(&text[colon + 1..at]);
    (!shown).then_some((colon + 1, at))
}

/// The password in `user/password@host`, which begins at `start`.
pub(crate) fn oracle(text: &[u8], start: usize) -> Option<(usize, usize)> {
    let user = run(text, start, |byte| {
        Set::KEY.has(byte) || b"$#[]\"".contains(&byte)
    });
    if user == start || text.get(user) != Some(&b'/') {
        return None;
    }
    let region = end_of_url(text, user);
    let end = rfind(&text[user..region], b'@').map(|at| user + at)?;
    let shown = user + 1 >= end || credential::is_placeholder(&text[user + 1..end]);
    (!shown).then_some((user + 1, end))
}

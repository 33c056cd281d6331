//! Passwords in URLs and data source names.
//!
//! Users paste passwords unencoded, so a password may contain any character. The part after
//! `scheme://user:` is a port if it is a valid port, or else a password. A password extends to the
//! last `@` that precedes a host, up to white space.

use spanwise_core::REDACTED;

use crate::{
    byte_class::ByteClass,
    byte_search::{
        after_escape, ends_with_word, find, find_text, is_space, matches_at, rfind, run_end,
        run_start,
    },
    credential, scan_cost,
    value_boundary::Boundary,
};

/// Returns the password in `scheme://user:password@host`, or the token in `https://token@host`.
pub(crate) fn userinfo(text: &[u8], at: usize, after: usize) -> Option<(usize, usize)> {
    let scheme = after_escape(text, ByteClass::KEY.run_start(text, at, 31));
    if scheme >= at || after >= text.len() {
        return None;
    }
    // Compares bytes directly, because a slice of marks would be searched for each byte.
    let user = run_end(text, after, |byte| {
        let is_mark = matches!(
            byte,
            b':' | b'/' | b'?' | b'#' | b'@' | b'[' | b'"' | b'\'' | b'<' | b'>' | b'\\'
        );
        !is_mark && !is_space(byte)
    });
    let is_web = match text.get(user) {
        Some(b'@' | b':') => ends_with_web_scheme(&text[scheme..at]),
        _ => return None,
    };
    if text[user] == b'@' {
        return before_at(text, after, is_web);
    }
    let start = user + 1;
    let is_domain = text[after..user].contains(&b'.') || &text[after..user] == b"localhost";
    if is_port(text, start, is_web, is_domain) {
        return None;
    }
    let end = end_of_password(text, start, is_web)?;
    let shown = end == start
        || text[end..].starts_with(b"@sha256:")
        || credential::is_placeholder(&text[start..end]);
    (!shown).then_some((start, end))
}

/// Returns whether a text ends with the scheme of a web URL.
pub(crate) fn ends_with_web_scheme(text: &[u8]) -> bool {
    let mut schemes = ["http", "https", "ws", "wss"].iter();
    schemes.any(|scheme| ends_with_word(text, scheme.as_bytes()))
}

/// Returns the token in `token@host`, or the password after a user that is an e-mail address:
/// `smtp://ada@example.org:password@host`.
fn before_at(text: &[u8], after: usize, is_web: bool) -> Option<(usize, usize)> {
    let end = run_end(text, after, |byte| {
        !is_space(byte) && !b"/?#\"'<>\\".contains(&byte)
    });
    let authority = &text[after..end];
    let at_sign = rfind(authority, b'@')?;
    let user = &authority[..at_sign];
    if let Some(colon) = find(user, b':', 0) {
        return (colon + 1 < at_sign).then_some((after + colon + 1, after + at_sign));
    }
    let is_token = user.len() >= 20 && ByteClass::BASE64URL.has_all(user);
    let is_mixed =
        || user.iter().any(u8::is_ascii_digit) && user.iter().any(u8::is_ascii_alphabetic);
    (is_token && (is_web || is_mixed())).then_some((after, after + at_sign))
}

/// Returns whether a port follows `host:`. A database port has more than one digit.
fn is_port(text: &[u8], start: usize, is_web: bool, is_domain: bool) -> bool {
    let end = ByteClass::DIGIT.run_end(&text[..text.len().min(start + 6)], start);
    match (end - start, text.get(end)) {
        (0, None | Some(b'/' | b'?' | b'#')) => is_web && is_domain,
        (1, Some(b'/' | b'?' | b'#')) => is_web,
        (1..=5, Some(b'.')) => text.get(end + 1).is_none_or(|byte| is_space(*byte)),
        (1..=5, next) => {
            next.is_none_or(|byte| is_space(*byte) || b"/?#,;\"'`)]}>\\|<".contains(byte))
        }
        _ => false,
    }
}

/// Returns the start of the next URL after `start`, or the end of the text.
fn next_url(text: &[u8], start: usize) -> usize {
    let mut at = start;
    // A scheme has more than one letter, and only a few marks may follow it.
    for is_last in [false, false, true] {
        let Some(next) = find_text(text, b"://", at) else {
            return text.len();
        };
        let scheme = ByteClass::KEY.run_start(text, next, 31).max(start);
        let is_begun = |byte: &u8| byte.is_ascii_alphanumeric() || b"[:/%${*_".contains(byte);
        let is_url = next > scheme + 1 && text.get(next + 3).is_none_or(is_begun);
        if is_url || is_last {
            return scheme;
        }
        at = next + 3;
    }
    text.len()
}

/// Returns the end of a run without white space, which a quote or bracket may close.
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
            b'"' | b'\'' => match Boundary::after_quote(text, at) {
                Boundary::End => break,
                Boundary::Continue(next) => next,
            },
            b'`' | b')' | b']' | b'}' | b'>' | b'\\' => match Boundary::after_mark(text, at) {
                Boundary::End => break,
                Boundary::Continue(next) => next,
            },
            _ => run_end(text, at, |byte| {
                !is_space(byte) && !b"\"'`)]}>\\".contains(&byte)
            }),
        };
    }
    at
}

/// Returns the `@` that ends the password starting at `start`.
///
/// That is the last `@` before a host. A quote that closes the text around the URL ends the search,
/// unless a host with its port or path follows. A password may contain such quotes, and spaces.
fn end_of_password(text: &[u8], start: usize, is_web: bool) -> Option<usize> {
    const MAX_DISTANCE: usize = 64;
    let next = next_url(text, start);
    let region = end_of_run(&text[..next], start);
    let [full, name, any] = at_signs(&text[..region], start, is_web);
    let is_quoted = matches!(text.get(region), Some(b'"' | b'\'' | b'\\'));
    if full.is_some() || is_quoted && name.is_some() {
        return full.or(name);
    }
    let word_end = run_end(&text[..next], start, |byte| !is_space(byte));
    let [full, ..] = at_signs(&text[..word_end], start, is_web);
    if full.or(name).or(any).is_some() {
        return full.or(name).or(any);
    }
    let near = &text[..next.min(start + MAX_DISTANCE)];
    let line = run_end(near, word_end, |byte| {
        !matches!(byte, b'\r' | b'\n' | b'\t')
    });
    let is_word = text[start..word_end].iter().all(u8::is_ascii_lowercase);
    if text.get(word_end) != Some(&b' ') || is_web && is_word {
        return None;
    }
    let at = find(&text[..line], b'@', word_end)?;
    let is_quoted = text[start..at].iter().any(|byte| b"\"'`".contains(byte));
    match host(text, at + 1, is_web) {
        Host::Full => Some(at),
        Host::Name if !is_quoted => Some(at),
        _ => None,
    }
}

/// Returns the last `@` before a host with a port or path, the last before a name, and the last of
/// all.
fn at_signs(text: &[u8], start: usize, is_web: bool) -> [Option<usize>; 3] {
    let (mut full, mut name, mut any) = (None, None, None);
    let mut at = start;
    while let Some(found) = find(text, b'@', at) {
        at = found + 1;
        any = Some(found);
        match host(text, at, is_web) {
            Host::Full if is_web && full.is_some_and(|full| is_path(text, full, found)) => {}
            Host::Full => full = Some(found),
            Host::Name => name = Some(found),
            Host::None => {}
        }
    }
    [full, name, any]
}

/// The text after an `@`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Host {
    /// A name with a port or a path.
    Full,
    /// A name.
    Name,
    /// No host.
    None,
}

fn host(text: &[u8], start: usize, is_web: bool) -> Host {
    match text.get(start) {
        // A socket, whose slashes may be encoded.
        Some(b'/') if !is_web => return Host::Full,
        Some(b'%') if !is_web && matches_at(text, start, b"%2F") => return Host::Full,
        Some(b'[') => {
            let end = ByteClass::IPV6.run_end(text, start + 1);
            let is_address = end > start + 1 && text.get(end) == Some(&b']');
            return if is_address { Host::Full } else { Host::None };
        }
        _ => {}
    }
    let end = ByteClass::KEY.run_end(text, start);
    match text.get(end) {
        _ if end == start || is_web && !is_host(&text[start..end]) => Host::None,
        Some(b':') if text.get(end + 1).is_some_and(u8::is_ascii_digit) => Host::Full,
        Some(b'/') => Host::Full,
        Some(b':') if text.get(end + 1).is_some_and(|byte| !is_space(*byte)) => Host::None,
        Some(b'@') => Host::None,
        _ => Host::Name,
    }
}

/// Returns whether a name may be a web host: an address, or labels in one case or capitalized, with
/// a last label of letters only. A single letter is not a host.
fn is_host(name: &[u8]) -> bool {
    let is_label = |label: &[u8]| {
        let has = |part: &[u8], is: fn(&u8) -> bool| part.iter().any(is);
        let rest = label.get(1..).unwrap_or_default();
        let is_mixed = has(label, u8::is_ascii_lowercase) && has(rest, u8::is_ascii_uppercase);
        // Only container names contain an underscore.
        let is_marked = label.len() < name.len() && label.contains(&b'_');
        let is_dashed = label.starts_with(b"-") || label.ends_with(b"-");
        !label.is_empty() && !is_dashed && !is_mixed && !is_marked
    };
    let mut labels = name.split(|byte| *byte == b'.');
    let last = labels.clone().next_back().unwrap_or_default();
    let is_name = name.len() > 1 && last.iter().any(u8::is_ascii_alphabetic);
    let is_address = name
        .iter()
        .all(|byte| byte.is_ascii_digit() || *byte == b'.')
        && labels.clone().count() == 4;
    (is_name || is_address) && labels.all(is_label)
}

/// Returns whether a web host and its path are between two `@`, as a path may contain an `@`. A
/// name without a dot is more likely part of the password if a domain follows the second `@`.
fn is_path(text: &[u8], first: usize, second: usize) -> bool {
    let between = &text[first + 1..second];
    scan_cost::add(between.len());
    let is_url = |byte: &u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(byte);
    let Some(end) = between.iter().position(|byte| b"/?#".contains(byte)) else {
        return false;
    };
    let host = &between[..end];
    let is_domain = |name: &[u8]| name.iter().any(|byte| b".:".contains(byte));
    let next = &text[second + 1..ByteClass::KEY.run_end(text, second + 1)];
    let is_name = host != b"localhost" && !is_domain(host) && !host.starts_with(b"[");
    let is_scope = between.ends_with(b"/");
    between.iter().all(is_url) && (is_scope || !is_name || !is_domain(next))
}

/// Returns the password in `user:password@tcp(host:3306)/db`, whose `@` is at `at`.
pub(crate) fn go_dsn(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let start = run_start(text, at, 96, |byte| !is_space(byte));
    let named = |colon: &usize| *colon > start && ByteClass::KEY.has(text[*colon - 1]);
    let colon = (start..at)
        .filter(|colon| text[*colon] == b':')
        .find(named)?;
    let shown = colon + 1 == at || credential::is_placeholder(&text[colon + 1..at]);
    (!shown).then_some((colon + 1, at))
}

/// Returns the password in `user/password@host`, which begins at `start`.
pub(crate) fn oracle(text: &[u8], start: usize) -> Option<(usize, usize)> {
    let user = run_end(text, start, |byte| {
        ByteClass::KEY.has(byte) || b"$#[]\"".contains(&byte)
    });
    if user == start || text.get(user) != Some(&b'/') {
        return None;
    }
    const MAX_LEN: usize = 512;
    let near = &text[..text.len().min(user + MAX_LEN)];
    let word_end = run_end(near, user, |byte| !is_space(byte));
    let end = find_text(&near[..word_end], b"@//", user).or_else(|| {
        let region = end_of_run(near, user);
        rfind(&text[user..region], b'@').map(|at| user + at)
    })?;
    let shown = user + 1 >= end || credential::is_placeholder(&text[user + 1..end]);
    (!shown).then_some((user + 1, end))
}

/// Returns the password in `user/password@//host`, whose `@` is at `at`.
pub(crate) fn easy_connect(text: &[u8], at: usize) -> Option<(usize, usize)> {
    if !text[at..].starts_with(b"@//") {
        return None;
    }
    let start = run_start(text, at, 96, |byte| !is_space(byte));
    let begun = text[start..at]
        .iter()
        .rposition(|byte| b"\"'`([=:".contains(byte));
    let user = begun.map_or(start, |mark| start + mark + 1);
    let slash = ByteClass::KEY.run_end(&text[..at], user);
    let is_match = slash > user && text.get(slash) == Some(&b'/') && slash + 1 < at;
    (is_match && !credential::is_placeholder(&text[slash + 1..at])).then_some((slash + 1, at))
}

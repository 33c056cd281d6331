//! Passwords in URLs and data source names.
//!
//! Users paste passwords without encoding them, so a password may contain any character. The part
//! after `scheme://user:` is a port if it is a valid port, or else a password. [`end_of_password`]
//! decides which `@` ends a password. Positions and lengths are in bytes.

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

/// Returns the range of the password in `scheme://user:password@host`, or of the token in
/// `https://token@host`. The `://` begins at `at`, and ends at `authority_start`.
pub(crate) fn userinfo(text: &[u8], at: usize, authority_start: usize) -> Option<(usize, usize)> {
    let scheme_start = after_escape(text, ByteClass::KEY.run_start(text, at, 31));
    if scheme_start >= at || authority_start >= text.len() {
        return None;
    }
    // A pattern of bytes, because a slice of marks would be searched for each byte of the text.
    let user_end = run_end(text, authority_start, |byte| {
        let is_mark = matches!(
            byte,
            b':' | b'/' | b'?' | b'#' | b'@' | b'[' | b'"' | b'\'' | b'<' | b'>' | b'\\'
        );
        !is_mark && !is_space(byte)
    });
    let is_web = match text.get(user_end) {
        Some(b'@' | b':') => ends_with_web_scheme(&text[scheme_start..at]),
        _ => return None,
    };
    if text[user_end] == b'@' {
        return before_at(text, authority_start, is_web);
    }
    let start = user_end + 1;
    let is_domain = text[authority_start..user_end].contains(&b'.')
        || &text[authority_start..user_end] == b"localhost";
    if is_port(text, start, is_web, is_domain) {
        return None;
    }
    let end = end_of_password(text, start, is_web)?;
    let is_shown = end == start
        || text[end..].starts_with(b"@sha256:")
        || credential::is_placeholder(&text[start..end]);
    (!is_shown).then_some((start, end))
}

/// Returns whether a text ends with the scheme of a web URL.
pub(crate) fn ends_with_web_scheme(text: &[u8]) -> bool {
    let mut schemes = ["http", "https", "ws", "wss"].iter();
    schemes.any(|scheme| ends_with_word(text, scheme.as_bytes()))
}

/// Returns the range of the token in `token@host`, which begins at `start`. If the user is an
/// e-mail address, returns the range of the password: `smtp://ada@example.org:password@host`.
fn before_at(text: &[u8], start: usize, is_web: bool) -> Option<(usize, usize)> {
    let authority_end = run_end(text, start, |byte| {
        !is_space(byte) && !b"/?#\"'<>\\".contains(&byte)
    });
    let authority = &text[start..authority_end];
    let sign_at = rfind(authority, b'@')?;
    let user = &authority[..sign_at];
    if let Some(colon_at) = find(user, b':', 0) {
        return (colon_at + 1 < sign_at).then_some((start + colon_at + 1, start + sign_at));
    }
    let is_token = user.len() >= 20 && ByteClass::BASE64URL.has_all(user);
    let is_mixed =
        || user.iter().any(u8::is_ascii_digit) && user.iter().any(u8::is_ascii_alphabetic);
    (is_token && (is_web || is_mixed())).then_some((start, start + sign_at))
}

/// Returns whether the text at `start`, after `host:`, is a port and not a password. Before a path,
/// only the port of a web URL may have a single digit. The port of a web URL with a domain may be
/// empty.
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

/// Returns the start of the next URL after `start`, or the end of the text. Only the first three
/// `://` are checked, and the third always counts as a URL.
fn next_url(text: &[u8], start: usize) -> usize {
    let mut at = start;
    // A scheme has more than one letter, and only a few marks may follow it.
    for is_last in [false, false, true] {
        let Some(slashes_at) = find_text(text, b"://", at) else {
            return text.len();
        };
        let scheme_start = ByteClass::KEY.run_start(text, slashes_at, 31).max(start);
        let may_follow = |byte: &u8| byte.is_ascii_alphanumeric() || b"[:/%${*_".contains(byte);
        let is_url =
            slashes_at > scheme_start + 1 && text.get(slashes_at + 3).is_none_or(may_follow);
        if is_url || is_last {
            return scheme_start;
        }
        at = slashes_at + 3;
    }
    text.len()
}

/// Returns the end of the run without white space that begins at `start`. A quote or bracket that
/// closes the text around the run also ends it.
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
            b'"' | b'\'' => match Boundary::at_quote(text, at) {
                Boundary::End => break,
                Boundary::Continue(next) => next,
            },
            b'`' | b')' | b']' | b'}' | b'>' | b'\\' => match Boundary::at_mark(text, at) {
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

/// Returns the position of the `@` that ends the password starting at `start`.
///
/// This is the last `@` before a host, up to white space. If no `@` precedes a host, it is the last
/// `@`. A quote that closes the text around the URL ends the search. If an `@` and a host with its
/// port or path follow the quote, the quote is part of the password, and the search continues.
///
/// If there is no `@` up to white space, the password may contain spaces. It then ends at the next
/// `@` of the line, if this `@` is near and precedes a host.
fn end_of_password(text: &[u8], start: usize, is_web: bool) -> Option<usize> {
    const MAX_DISTANCE: usize = 64;
    let next_url_start = next_url(text, start);
    let region_end = end_of_run(&text[..next_url_start], start);
    let [full_at, name_at, any_at] = at_signs(&text[..region_end], start, is_web);
    let is_before_quote = matches!(text.get(region_end), Some(b'"' | b'\'' | b'\\'));
    if full_at.is_some() || is_before_quote && name_at.is_some() {
        return full_at.or(name_at);
    }
    let word_end = run_end(&text[..next_url_start], start, |byte| !is_space(byte));
    let [full_at, ..] = at_signs(&text[..word_end], start, is_web);
    if full_at.or(name_at).or(any_at).is_some() {
        return full_at.or(name_at).or(any_at);
    }
    let near = &text[..next_url_start.min(start + MAX_DISTANCE)];
    let line_end = run_end(near, word_end, |byte| {
        !matches!(byte, b'\r' | b'\n' | b'\t')
    });
    let is_word = text[start..word_end].iter().all(u8::is_ascii_lowercase);
    if text.get(word_end) != Some(&b' ') || is_web && is_word {
        return None;
    }
    let sign_at = find(&text[..line_end], b'@', word_end)?;
    let has_quote = text[start..sign_at]
        .iter()
        .any(|byte| b"\"'`".contains(byte));
    match host(text, sign_at + 1, is_web) {
        Host::Full => Some(sign_at),
        Host::Name if !has_quote => Some(sign_at),
        _ => None,
    }
}

/// Returns the position of the last `@` before a [`Host::Full`], that of the last `@` before a
/// [`Host::Name`], and that of the last `@` of all.
fn at_signs(text: &[u8], start: usize, is_web: bool) -> [Option<usize>; 3] {
    let (mut full_at, mut name_at, mut any_at) = (None, None, None);
    let mut at = start;
    while let Some(sign_at) = find(text, b'@', at) {
        at = sign_at + 1;
        any_at = Some(sign_at);
        match host(text, at, is_web) {
            Host::Full
                if is_web
                    && full_at.is_some_and(|full_at| is_path_between(text, full_at, sign_at)) => {}
            Host::Full => full_at = Some(sign_at),
            Host::Name => name_at = Some(sign_at),
            Host::None => {}
        }
    }
    [full_at, name_at, any_at]
}

/// The kind of the text after an `@`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Host {
    /// A host name with a port or a path, an IPv6 address, or the path of a socket.
    Full,
    /// A host name alone.
    Name,
    /// No host.
    None,
}

/// Classifies the text at `start`, after an `@`.
fn host(text: &[u8], start: usize, is_web: bool) -> Host {
    match text.get(start) {
        // The path of a socket, whose slashes may be encoded.
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

/// Returns whether a name may be a web host: an IPv4 address, or labels with dots between them.
/// Each label is in one case or capitalized, and the last label has a letter. A single letter is
/// not a host.
fn is_host(name: &[u8]) -> bool {
    let is_label = |label: &[u8]| {
        let has = |part: &[u8], is_kind: fn(&u8) -> bool| part.iter().any(is_kind);
        let rest = label.get(1..).unwrap_or_default();
        let is_mixed = has(label, u8::is_ascii_lowercase) && has(rest, u8::is_ascii_uppercase);
        // Only the names of containers contain an underscore, and they have a single label.
        let has_underscore = label.len() < name.len() && label.contains(&b'_');
        let is_dashed = label.starts_with(b"-") || label.ends_with(b"-");
        !label.is_empty() && !is_dashed && !is_mixed && !has_underscore
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

/// Returns whether a web host with a path is between two `@`. The second `@` is then part of the
/// path. A host without a dot is more likely part of the password if a domain follows the second
/// `@`.
fn is_path_between(text: &[u8], first: usize, second: usize) -> bool {
    let between = &text[first + 1..second];
    scan_cost::add(between.len());
    let is_url = |byte: &u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(byte);
    let Some(host_end) = between.iter().position(|byte| b"/?#".contains(byte)) else {
        return false;
    };
    let host = &between[..host_end];
    let is_domain = |name: &[u8]| name.iter().any(|byte| b".:".contains(byte));
    let next = &text[second + 1..ByteClass::KEY.run_end(text, second + 1)];
    let is_name = host != b"localhost" && !is_domain(host) && !host.starts_with(b"[");
    // `/@scope/package`
    let is_scope = between.ends_with(b"/");
    between.iter().all(is_url) && (is_scope || !is_name || !is_domain(next))
}

/// Returns the range of the password in `user:password@tcp(host:3306)/db`, whose `@` is at `at`.
pub(crate) fn go_dsn(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let start = run_start(text, at, 96, |byte| !is_space(byte));
    let follows_user =
        |colon_at: &usize| *colon_at > start && ByteClass::KEY.has(text[*colon_at - 1]);
    let colon_at = (start..at)
        .filter(|colon_at| text[*colon_at] == b':')
        .find(follows_user)?;
    let is_shown = colon_at + 1 == at || credential::is_placeholder(&text[colon_at + 1..at]);
    (!is_shown).then_some((colon_at + 1, at))
}

/// Returns the range of the password in `user/password@host`, which begins at `start`.
pub(crate) fn oracle(text: &[u8], start: usize) -> Option<(usize, usize)> {
    let user_end = run_end(text, start, |byte| {
        ByteClass::KEY.has(byte) || b"$#[]\"".contains(&byte)
    });
    if user_end == start || text.get(user_end) != Some(&b'/') {
        return None;
    }
    const MAX_LEN: usize = 512;
    let near = &text[..text.len().min(user_end + MAX_LEN)];
    let word_end = run_end(near, user_end, |byte| !is_space(byte));
    let end = find_text(&near[..word_end], b"@//", user_end).or_else(|| {
        let region_end = end_of_run(near, user_end);
        rfind(&text[user_end..region_end], b'@').map(|at| user_end + at)
    })?;
    let is_shown = user_end + 1 >= end || credential::is_placeholder(&text[user_end + 1..end]);
    (!is_shown).then_some((user_end + 1, end))
}

/// Returns the range of the password in `user/password@//host`, whose `@` is at `at`.
pub(crate) fn easy_connect(text: &[u8], at: usize) -> Option<(usize, usize)> {
    if !text[at..].starts_with(b"@//") {
        return None;
    }
    let start = run_start(text, at, 96, |byte| !is_space(byte));
    let mark_at = text[start..at]
        .iter()
        .rposition(|byte| b"\"'`([=:".contains(byte));
    let user_start = mark_at.map_or(start, |at| start + at + 1);
    let slash_at = ByteClass::KEY.run_end(&text[..at], user_start);
    let is_match = slash_at > user_start && text.get(slash_at) == Some(&b'/') && slash_at + 1 < at;
    (is_match && !credential::is_placeholder(&text[slash_at + 1..at])).then_some((slash_at + 1, at))
}

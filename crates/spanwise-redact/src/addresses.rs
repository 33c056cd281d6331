//! Addresses of people and of machines.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::bytes::{Set, ends_escape, is_boundary, out_of_escape};

/// An address around the `@` at `at`.
pub(crate) fn email(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let start = out_of_escape(text, Set::LOCAL_PART.run_back(text, at, 64)).min(at);
    let local = &text[start..at];
    // `git@github.com:owner/repo` is nobody's, and `https://user@host` is a user of a host.
    if local.is_empty() || local == b"git" || text[..start].ends_with(b"://") {
        return None;
    }
    let domain = at + 1;
    let longest = &text[domain..text.len().min(domain + 254)];
    let mut end = domain
        + longest
            .iter()
            .take_while(|byte| Set::ALNUM_DASH.has(**byte) || **byte == b'.')
            .count();
    // A full stop ends a sentence, not a domain.
    while end > domain && !Set::ALNUM.has(text[end - 1]) {
        end -= 1;
    }
    let mut labels = text[domain..end].rsplit(|byte| *byte == b'.');
    let top = labels.next()?;
    let above = labels.next()?;
    let is_top = (2..=24).contains(&top.len())
        && top.iter().all(u8::is_ascii_alphabetic)
        && !FILES
            .iter()
            .any(|file| top.eq_ignore_ascii_case(file.as_bytes()));
    let mut all = text[domain..end].split(|byte| *byte == b'.');
    let well_formed = !above.is_empty() && all.all(|label| !label.is_empty());
    // `react@18.2.0-beta.rc` is a version.
    let is_version = {
        let mut labels = text[domain..end].split(|byte| *byte == b'.');
        let is_number =
            |label: Option<&[u8]>| label.is_some_and(|label| label.iter().all(u8::is_ascii_digit));
        is_number(labels.next()) && is_number(labels.next())
    };
    (is_top && well_formed && !is_version && is_boundary(text, end)).then_some((start, end))
}

/// Ends of file names: `logo@2x.png`.
const FILES: [&str; 10] = [
    "png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "json", "html",
];

/// An address of four numbers: `start` is at a digit with none before it. Loopback, unspecified and broadcast addresses are nobody's.
pub(crate) fn ipv4(text: &[u8], start: usize) -> Option<usize> {
    let before = |back: usize| start.checked_sub(back).and_then(|at| text.get(at));
    let is_version = before(1) == Some(&b'/')
        && before(2).is_some_and(u8::is_ascii_alphanumeric)
        && !is_in_path(text, start - 1);
    if !is_boundary(text, start) || matches!(before(1), Some(b'.' | b'-')) || is_version {
        return None;
    }
    let mut end = start;
    for part in 0..4 {
        if part > 0 {
            if text.get(end) != Some(&b'.') {
                return None;
            }
            end += 1;
        }
        let digits = text[end..]
            .iter()
            .take(4)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let number = &text[end..end + digits];
        if !matches!(number, [_] | [b'1'..=b'9', _] | [b'1'..=b'2', _, _]) {
            return None;
        }
        end += digits;
    }
    let next = text.get(end);
    let goes_on = matches!(next, Some(b'.' | b'-'))
        && text.get(end + 1).is_some_and(u8::is_ascii_alphanumeric);
    if goes_on || !is_boundary(text, end) {
        return None;
    }
    let address: Ipv4Addr = std::str::from_utf8(&text[start..end]).ok()?.parse().ok()?;
    let is_nobodys = address.is_loopback()
        || address.octets()[0] == 0
        || address.is_broadcast()
        || is_network(text, end, &address.octets(), 24);
    (!is_nobodys).then_some(end)
}

/// True if what follows the address that ends at `at` makes it the name of a network that many share: `203.0.113.0/24`. One of more bits than
/// `longest`, or with an address in it, is as good as the address.
fn is_network(text: &[u8], at: usize, address: &[u8], longest: usize) -> bool {
    let Some(rest) = text.get(at..).and_then(|rest| rest.strip_prefix(b"/")) else {
        return false;
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let bits = match &rest[..digits] {
        [one] => usize::from(one - b'0'),
        [ten, one] => usize::from(ten - b'0') * 10 + usize::from(one - b'0'),
        _ => return false,
    };
    let goes_on = rest
        .get(digits)
        .is_some_and(|byte| Set::WORD.has(*byte) || *byte == b'/');
    let host_is_zero = address.iter().enumerate().all(|(at, byte)| {
        let kept = bits.saturating_sub(at * 8).min(8);
        u32::from(*byte) & (0xFF_u32 >> kept) == 0
    });
    !goes_on && (1..=longest).contains(&bits) && host_is_zero
}

/// True if the word before the slash at `at` has one before it, too: `/geoip/203.0.113.7` is no version, as `nginx/1.25.3.1` is.
fn is_in_path(text: &[u8], at: usize) -> bool {
    let start = Set::KEY.run_back(text, at, 64);
    start > 0 && text[start - 1] == b'/'
}

/// An address of groups of hex digits among the characters from `start` to `end`, the longest run of such characters.
pub(crate) fn ipv6(text: &[u8], start: usize, end: usize) -> Option<(usize, usize)> {
    // The digits of `\u003c` are among them.
    let (mut from, mut to) = (out_of_escape(text, start).min(end), end);
    if to < text.len() && Set::WORD.has(text[to]) {
        return None;
    }
    // `addr:fe80::1` has a key before it, which ends in a hex digit or not.
    if from > 0 && Set::WORD.has(text[from - 1]) && !ends_escape(text, from) {
        from += text[from..to].iter().position(|byte| *byte == b':')? + 1;
    } else if text[from..to].first() == Some(&b':') && text.get(from + 1) != Some(&b':') {
        from += 1;
    }
    while to > from
        && (text[to - 1] == b'.'
            || (text[to - 1] == b':' && text.get(to.wrapping_sub(2)) != Some(&b':')))
    {
        to -= 1;
    }
    let candidate = text
        .get(from..to)
        .filter(|found| (3..=45).contains(&found.len()))?;
    // `dead::beef` is a path of modules, and eight groups of two a fingerprint.
    let digits = candidate.iter().any(u8::is_ascii_digit);
    let long = candidate
        .split(|byte| *byte == b':')
        .any(|group| group.len() > 2);
    if !digits || !long {
        return None;
    }
    let address: Ipv6Addr = std::str::from_utf8(candidate).ok()?.parse().ok()?;
    let is_nobodys = address.is_loopback()
        || address.is_unspecified()
        || is_network(text, to, &address.octets(), 48);
    (!is_nobodys).then_some((from, to))
}

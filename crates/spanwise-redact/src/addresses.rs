//! E-mail and IP addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::{
    byte_class::ByteClass,
    byte_search::{
        ends_escape, ends_with_word, is_boundary, matches_at, out_of_escape, rfind, run_end,
        run_start,
    },
    scan_cost, version_label,
};

/// Returns the range of the e-mail address around the `@` at `at`. `None` if there is none.
///
/// Letters and digits may be of any script. RFC 5322 allows more punctuation before the `@`:
/// `!#$'*^~` are accepted between letters. `/ = ? & { | }` and the backtick are not, because they
/// separate words in a log.
pub(crate) fn email(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let start = start_of_local_part(text, at);
    let local = &text[start..at];
    // `git@github.com:owner/repo` is a repository, and `https://user@host` names a user of a host.
    if local.is_empty() || local == b"git" || text[..start].ends_with(b"://") {
        return None;
    }
    let domain_start = at + 1;
    let near = &text[domain_start..text.len().min(domain_start + 254)];
    let end = domain_start + run_end(near, 0, is_domain_byte);
    // A domain may have letters of any script. In a language without spaces, such letters may also
    // be the text after the domain. So if no domain ends with them, try a domain in ASCII.
    let ascii_end =
        || domain_start + run_end(near, 0, |byte| is_domain_byte(byte) && byte.is_ascii());
    let end = end_of_domain(text, domain_start, end)
        .or_else(|| end_of_domain(text, domain_start, ascii_end()))?;
    Some((start, end))
}

/// Returns where the domain at the start of `text[start..end]` ends. `None` if it cannot be the
/// domain of an e-mail address.
fn end_of_domain(text: &[u8], start: usize, end: usize) -> Option<usize> {
    let mut end = end;
    // A full stop ends a sentence, not a domain.
    while end > start && matches!(text[end - 1], b'.' | b'-') {
        end -= 1;
    }
    let name = before_non_ascii_mark(&text[start..end]);
    end = start + name.len();
    // The top-level domain.
    let mut top = &name[rfind(name, b'.')? + 1..];
    // In a language without spaces, letters of another script may directly follow the domain.
    if !top.is_ascii() {
        let ascii_len = top.iter().take_while(|byte| byte.is_ascii()).count();
        if ascii_len >= 2 {
            end -= top.len() - ascii_len;
            top = &top[..ascii_len];
        }
    }
    // Most domains are ASCII, which is cheaper to test.
    let (length, is_alphabetic) = if top.is_ascii() {
        (top.len(), ByteClass::ALPHA.has_all(top))
    } else {
        let top = std::str::from_utf8(top).unwrap_or_default();
        (top.chars().count(), top.chars().all(char::is_alphabetic))
    };
    let is_top = (2..=24).contains(&length) && is_alphabetic && !is_file_ending(top);
    let is_punycode = top.len() > 4 && matches_at(top, 0, b"xn--");
    let is_well_formed = name.first() != Some(&b'.') && !name.windows(2).any(|two| two == b"..");
    // `react@18.2.0-beta.rc` is a version.
    let mut labels = name.split(|byte| *byte == b'.');
    let is_version = name.first().is_some_and(u8::is_ascii_digit)
        && labels
            .by_ref()
            .take(2)
            .all(|label| ByteClass::DIGIT.has_all(label));
    let is_end = end == text.len() || !text[end].is_ascii() || is_boundary(text, end);
    ((is_top || is_punycode) && is_well_formed && !is_version && is_end).then_some(end)
}

/// Returns the start of the part before the `@` at `at`.
fn start_of_local_part(text: &[u8], at: usize) -> usize {
    let min_start = at.saturating_sub(64);
    let is_part = |byte: u8| ByteClass::LOCAL_PART.has(byte) || !byte.is_ascii();
    let mut start = at;
    loop {
        start = run_start(text, start, start - min_start, is_part);
        let joins = start > min_start + 1
            && start < at
            && b"!#$'*^~".contains(&text[start - 1])
            && is_part(text[start - 2]);
        if !joins {
            break;
        }
        start -= 1;
    }
    let start = out_of_escape(text, start).min(at);
    if text[start..at].is_ascii() {
        return start;
    }
    // Letters and digits of other scripts belong to the address, quotation marks and dashes do not.
    let mut address_start = at;
    while address_start > start {
        let (c, length) = char_before(text, address_start);
        if !c.is_ascii() && !c.is_alphanumeric() {
            break;
        }
        address_start -= length;
    }
    address_start.max(start)
}

/// Returns the part of a domain before the first non-ASCII character that is neither a letter nor a
/// digit, such as a quotation mark.
fn before_non_ascii_mark(domain: &[u8]) -> &[u8] {
    if domain.is_ascii() {
        return domain;
    }
    let valid = match std::str::from_utf8(domain) {
        Ok(domain) => domain,
        Err(error) => std::str::from_utf8(&domain[..error.valid_up_to()]).unwrap_or_default(),
    };
    let end = valid.find(|c: char| !c.is_ascii() && !c.is_alphanumeric());
    let name = &valid[..end.unwrap_or(valid.len())];
    name.trim_end_matches(['.', '-']).as_bytes()
}

fn is_domain_byte(byte: u8) -> bool {
    ByteClass::ALNUM_DASH.has(byte) || byte == b'.' || !byte.is_ascii()
}

/// Returns the character that ends at `at`, and its length in bytes.
fn char_before(text: &[u8], at: usize) -> (char, usize) {
    for length in 1..=at.min(4) {
        if let Ok(text) = std::str::from_utf8(&text[at - length..at])
            && let Some(c) = text.chars().next()
        {
            return (c, length);
        }
    }
    (char::REPLACEMENT_CHARACTER, 1)
}

fn is_file_ending(top: &[u8]) -> bool {
    let files = FILE_ENDINGS.get(top.len()).copied().unwrap_or_default();
    files
        .iter()
        .any(|file| top.eq_ignore_ascii_case(file.as_bytes()))
}

/// Endings of names with an `@` that are not e-mail addresses: file names (`logo@2x.png`) and
/// systemd units (`getty@tty1.service`). The index is the length of the ending in bytes.
const FILE_ENDINGS: [&[&str]; 8] = [
    &[],
    &[],
    &["js"],
    &["png", "jpg", "gif", "svg", "css"],
    &["jpeg", "webp", "json", "html"],
    &["timer", "slice", "scope"],
    &["socket", "target"],
    &["service"],
];

/// Returns the end of the public IPv4 address at `start`, a digit with no digit before it. `None`
/// if there is no address, or if the numbers are shown: a [special-use](is_special_use_v4) address,
/// a network of many hosts, a version or an object identifier.
pub(crate) fn ipv4(text: &[u8], start: usize) -> Option<usize> {
    let before = |back: usize| start.checked_sub(back).and_then(|at| text.get(at));
    let is_version = before(1) == Some(&b'/')
        && before(2).is_some_and(u8::is_ascii_alphanumeric)
        && !is_in_path(text, start - 1);
    if !is_boundary(text, start) || matches!(before(1), Some(b'.' | b'-')) || is_version {
        return None;
    }
    let mut end = start;
    let mut octets = [0; 4];
    for (part, octet) in octets.iter_mut().enumerate() {
        if part > 0 {
            if text.get(end) != Some(&b'.') {
                return None;
            }
            end += 1;
        }
        let digits = run_end(&text[..text.len().min(end + 4)], end, |byte| {
            byte.is_ascii_digit()
        }) - end;
        let number = match text[end..end + digits] {
            [one] => u16::from(one - b'0'),
            [ten @ b'1'..=b'9', one] => number_of([b'0', ten, one]),
            [hundred @ b'1'..=b'2', ten, one] => number_of([hundred, ten, one]),
            _ => return None,
        };
        *octet = u8::try_from(number).ok()?;
        end += digits;
    }
    let next = text.get(end);
    let goes_on = matches!(next, Some(b'.' | b'-' | b'+'))
        && text.get(end + 1).is_some_and(u8::is_ascii_alphanumeric);
    if goes_on || !is_boundary(text, end) {
        return None;
    }
    let address = Ipv4Addr::from(octets);
    let is_shown = is_special_use_v4(address)
        || is_large_network(text, end, &address.octets(), 24)
        || is_object_id(text, start, address)
        || version_label::is_before(text, start, end);
    (!is_shown).then_some(end)
}

/// Returns the number with these digits.
fn number_of(digits: [u8; 3]) -> u16 {
    digits
        .into_iter()
        .fold(0, |number, digit| number * 10 + u16::from(digit - b'0'))
}

/// Returns whether the address is private, link-local, loopback or similar. Such an address is
/// shown, because it does not identify a person.
pub(crate) fn is_special_use_v4(address: Ipv4Addr) -> bool {
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.octets()[0] == 0
}

/// Like [`is_special_use_v4`], for an IPv6 address or the IPv4 address in it.
pub(crate) fn is_special_use_v6(address: Ipv6Addr) -> bool {
    address.is_loopback()
        || address.is_unspecified()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || address.is_multicast()
        || address.to_ipv4_mapped().is_some_and(is_special_use_v4)
}

/// Returns whether the four numbers at `start` are an object identifier (`OID 1.3.6.1`) instead of
/// an address. The first number of an object identifier is 0, 1 or 2.
fn is_object_id(text: &[u8], start: usize, address: Ipv4Addr) -> bool {
    let is_gap = |byte| b" \t:='\"([".contains(&byte);
    let word_end = run_start(text, start, 32, is_gap);
    address.octets()[0] <= 2 && ends_with_word(&text[..word_end], b"oid")
}

/// Returns whether a prefix length follows the address that ends at `address_end`, and they are a
/// network of many hosts: `203.0.113.0/24`. If the prefix is longer than `max_bits`, or the address
/// has non-zero bits after the prefix, the address is that of a host.
fn is_large_network(text: &[u8], address_end: usize, address: &[u8], max_bits: usize) -> bool {
    let Some(after_slash) = text
        .get(address_end..)
        .and_then(|after| after.strip_prefix(b"/"))
    else {
        return false;
    };
    let digits_end = run_end(after_slash, 0, |byte| byte.is_ascii_digit());
    let bits = match &after_slash[..digits_end] {
        [one] => usize::from(one - b'0'),
        [ten, one] => usize::from(ten - b'0') * 10 + usize::from(one - b'0'),
        _ => return false,
    };
    let goes_on = after_slash
        .get(digits_end)
        .is_some_and(|byte| ByteClass::WORD.has(*byte) || *byte == b'/');
    let host_bits_are_zero = address.iter().enumerate().all(|(index, byte)| {
        let prefix_bits = bits.saturating_sub(index * 8).min(8);
        u32::from(*byte) & (0xFF_u32 >> prefix_bits) == 0
    });
    !goes_on && (1..=max_bits).contains(&bits) && host_bits_are_zero
}

/// Returns whether the word before the slash at `at` also follows a slash. Then the numbers after
/// the slash are an address (`/geoip/203.0.113.7`), and otherwise a version (`nginx/1.25.3.1`).
fn is_in_path(text: &[u8], at: usize) -> bool {
    let start = ByteClass::KEY.run_start(text, at, 64);
    start > 0 && text[start - 1] == b'/'
}

/// Returns the range of the public IPv6 address in `text[start..end]`, a run of hex digits, colons
/// and dots. `None` if there is no address, or if it is shown: a [special-use](is_special_use_v6)
/// address or a network of many hosts.
pub(crate) fn ipv6(text: &[u8], start: usize, end: usize) -> Option<(usize, usize)> {
    // Exclude the hex digits of an escape such as `\u003c`.
    let (mut from, mut to) = (out_of_escape(text, start).min(end), end);
    if to < text.len() && ByteClass::WORD.has(text[to]) {
        return None;
    }
    // Skip a key before the address, as in `addr:fe80::1`. It may end in a hex digit.
    if from > 0 && ByteClass::WORD.has(text[from - 1]) && !ends_escape(text, from) {
        from += text[from..to].iter().position(|byte| *byte == b':')? + 1;
    } else if text[from..to].first() == Some(&b':') && text.get(from + 1) != Some(&b':') {
        from += 1;
    }
    scan_cost::add(end - start);
    while to > from
        && (text[to - 1] == b'.'
            || (text[to - 1] == b':' && text.get(to.wrapping_sub(2)) != Some(&b':')))
    {
        to -= 1;
    }
    let candidate = text
        .get(from..to)
        .filter(|found| (3..=45).contains(&found.len()))?;
    // `dead::beef` is a module path, and eight groups of two digits are a fingerprint.
    let has_digit = candidate.iter().any(u8::is_ascii_digit);
    let has_long_group = candidate
        .split(|byte| *byte == b':')
        .any(|group| group.len() > 2);
    if !has_digit || !has_long_group {
        return None;
    }
    let address: Ipv6Addr = std::str::from_utf8(candidate).ok()?.parse().ok()?;
    let is_shown = is_special_use_v6(address) || is_large_network(text, to, &address.octets(), 48);
    (!is_shown).then_some((from, to))
}

/// Returns whether the value of a key such as `address` is a network address, not a postal one:
/// `10.0.0.7:80`, `db.internal:5432`, `[::1]:80`, `https://…`, `/run/x.sock`, `0x7ffe`.
pub(crate) fn is_network_address(value: &str) -> bool {
    scan_cost::add(value.len());
    let value = value.trim();
    let value = value
        .strip_prefix("Some(")
        .and_then(|value| value.strip_suffix(')'))
        .unwrap_or(value);
    let value = value.trim_matches('"');
    if value.is_empty() {
        return true;
    }
    if value.contains("://") || value.starts_with(['/', '@']) || value.starts_with("0x") {
        return !value.contains(char::is_whitespace);
    }
    let host = match value
        .strip_prefix('[')
        .and_then(|value| value.split_once(']'))
    {
        Some((inside, port))
            if port.is_empty() || port.strip_prefix(':').is_some_and(is_number) =>
        {
            return inside
                .split('%')
                .next()
                .is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok());
        }
        Some(_) => return false,
        None => value,
    };
    if host.parse::<std::net::IpAddr>().is_ok() {
        return true;
    }
    let (host, has_port) = match host.rsplit_once(':') {
        Some((host, port)) if is_number(port) => (host, true),
        _ => (host, false),
    };
    // Without the port: a network (`10.0.0.0/8`), nothing (`:80`, any address) or a host name.
    let (host, _) = host
        .rsplit_once('/')
        .filter(|(_, bits)| is_number(bits))
        .unwrap_or((host, ""));
    if host.parse::<std::net::IpAddr>().is_ok() || host.is_empty() && has_port {
        return true;
    }
    let is_label = |label: &str| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_*".contains(&byte);
        !label.is_empty() && label.bytes().all(is_part)
    };
    let is_name = !host.is_empty() && host.split('.').all(is_label);
    let top = host.rsplit('.').next().unwrap_or(host);
    let has_top =
        host.contains('.') && top.len() > 1 && top.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_name && (has_top || has_port || matches!(host, "localhost" | "unknown"))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

//! Fingerprints, which group events into issues.
//!
//! By default, Sentry creates two issues for two messages that differ only in a number. So the
//! fingerprint consists of the message and the texts of errors, with placeholders for the parts
//! that vary between events: numbers, hexadecimal digits, UUIDs and other ids, addresses with their
//! ports, and paths.

use std::borrow::Cow;

use sentry_core::protocol::Exception;
use spanwise_core::internal::panic_safe;

use crate::fields::{Cause, Fields, text_of};

/// The rule that groups events without an explicit fingerprint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Grouping {
    /// By a fingerprint of their texts.
    #[default]
    ByText,
    /// By Sentry's own rules.
    BySentry,
}

/// At most this many bytes of each text are part of the fingerprint.
const MAX_TEXT_LEN: usize = 1024;

/// At most this many errors of an event, including causes, are part of the fingerprint.
const MAX_CAUSES: usize = 8;

/// The field that sets the fingerprint of an event.
const FINGERPRINT_FIELD: &str = "fingerprint";

pub(crate) type Fingerprint = Cow<'static, [Cow<'static, str>]>;

impl Grouping {
    pub(crate) fn is_by_text(self) -> bool {
        match self {
            Self::ByText => true,
            Self::BySentry => false,
        }
    }
}

/// Removes the field that sets the fingerprint, and returns the fingerprint. `None` if the field is
/// missing or empty.
pub(crate) fn take_explicit(fields: &mut Fields) -> Option<Fingerprint> {
    let text = text_of(&fields.take(FINGERPRINT_FIELD)?).into_owned();
    (!text.is_empty()).then(|| vec![Cow::Owned(text)].into())
}

/// Returns the fingerprint of the access event of a failed request that has no error. It consists
/// of the target, the transaction and the outcome, because all these events have the same message.
pub(crate) fn request_fingerprint(
    target: &str,
    transaction: Option<&str>,
    outcome: Option<&str>,
) -> Fingerprint {
    let parts = [Some(target), transaction, outcome].into_iter().flatten();
    parts.map(|part| Cow::Owned(part.to_owned())).collect()
}

/// Returns the fingerprint of an event with a message or errors, or `None` if it has neither.
pub(crate) fn fingerprint(
    target: &str,
    message: Option<&str>,
    errors: &[Vec<Cause>],
) -> Option<Fingerprint> {
    let causes = errors.iter().flatten().take(MAX_CAUSES);
    let causes = causes.map(|cause| format!("{}: {}", cause.ty, normalize(&cause.text)));
    let texts: Vec<String> = message.map(normalize).into_iter().chain(causes).collect();
    if texts.is_empty() {
        return None;
    }
    let parts = std::iter::once(target.to_owned()).chain(texts);
    Some(parts.map(Cow::Owned).collect())
}

/// Returns the fingerprint of a panic: the message, and the innermost function of the application,
/// or else the file that panicked. The line is omitted, because it changes with each release.
pub(crate) fn panic_fingerprint(exception: &Exception, file: Option<&str>) -> Fingerprint {
    let frames = exception.stacktrace.iter().flat_map(|stack| &stack.frames);
    let mut in_app = frames.rev().filter(|frame| frame.in_app == Some(true));
    let function = in_app.next().and_then(|frame| frame.function.as_deref());
    let origin = function.or(file).unwrap_or_default();
    let message = normalize(exception.value.as_deref().unwrap_or_default());
    let parts = ["panic".to_owned(), origin.to_owned(), message];
    parts.into_iter().map(Cow::Owned).collect()
}

/// Returns `text` with placeholders for the parts that vary between events.
fn normalize(text: &str) -> String {
    let text = panic_safe::truncate_at(text, MAX_TEXT_LEN);
    let mut out = String::with_capacity(text.len());
    let mut offset = 0;
    while let Some(c) = text[offset..].chars().next() {
        let rest = &text[offset..];
        let before = text[..offset].chars().next_back();
        if let Some((host_end, url_end)) = url_ends(rest, before) {
            let host_start = rest[..host_end].find("://").map_or(0, |scheme| scheme + 3);
            out.push_str(&rest[..host_start]);
            out.push_str(&normalize(&rest[host_start..host_end]));
            if url_end > host_end {
                out.push_str(PATH);
            }
            offset += url_end;
        } else if let Some((len, placeholder)) = variable_len(rest, before) {
            push_placeholder(&mut out, placeholder);
            offset += len;
        } else {
            out.push(c);
            offset += c.len_utf8();
        }
    }
    out
}

/// Appends a placeholder. A list of equal placeholders becomes one placeholder.
fn push_placeholder(out: &mut String, placeholder: &str) {
    let without = out.trim_end_matches([' ', ',', ';']);
    if without.len() < out.len() && without.ends_with(placeholder) {
        out.truncate(without.len());
    } else {
        out.push_str(placeholder);
    }
}

const NUMBER: &str = "<number>";
const ID: &str = "<id>";
const PATH: &str = "<path>";

/// Returns the length in bytes of the variable part at the start of `text`, and its placeholder.
/// `before` is the character before `text`. `None` if no variable part starts here.
fn variable_len(text: &str, before: Option<char>) -> Option<(usize, &'static str)> {
    // In a word, only a long number at the end counts as variable: `user10042`, but not `sha256`.
    if before.is_some_and(char::is_alphanumeric) {
        let digits = digits_len(text);
        let ends_word = !text[digits..].starts_with(char::is_alphanumeric);
        let follows_letter = before.is_some_and(char::is_alphabetic);
        return (digits >= 4 && ends_word && follows_letter).then_some((digits, NUMBER));
    }
    if let Some(len) = path_len(text, before) {
        return Some((len, PATH));
    }
    if let Some(len) = id_len(text) {
        return Some((len, ID));
    }
    number_len(text, before).map(|len| (len, NUMBER))
}

/// Returns two byte offsets for the URL at the start of `text`: the end of its host, and the end of
/// its path and query. `None` if no URL starts here.
fn url_ends(text: &str, before: Option<char>) -> Option<(usize, usize)> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = !scheme.is_empty()
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '+');
    if !is_scheme || before.is_some_and(char::is_alphanumeric) {
        return None;
    }
    let is_end =
        |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ')' | '>' | ',' | ';');
    // Punctuation at the end belongs to the sentence, not to the URL.
    let rest = leading(rest, |c| !is_end(c)).trim_end_matches(['.', ':', '!']);
    let host_start = scheme.len() + "://".len();
    let host = leading(rest, |c| !matches!(c, '/' | '?' | '#'));
    Some((host_start + host.len(), host_start + rest.len()))
}

/// Returns the length in bytes of the path at the start of `text`, including a query, or a line and
/// a column. A text is a path if it is absolute, is below `.`, `..` or `~`, ends with a file name,
/// or has two slashes.
fn path_len(text: &str, before: Option<char>) -> Option<usize> {
    let is_path_char = |c: char| c.is_alphanumeric() || "/\\._-~%+@{}".contains(c);
    let is_drive =
        text.get(1..3) == Some(":\\") && text.starts_with(|c: char| c.is_ascii_alphabetic());
    let drive_len = if is_drive { 2 } else { 0 };
    let len = drive_len + leading(&text[drive_len..], is_path_char).len();
    let path = text[..len].trim_end_matches(['.', '-', '{', '}']);
    let (_, name) = path.rsplit_once(['/', '\\'])?;
    let may_begin = before.is_none_or(|c| !matches!(c, '/' | '\\' | '.' | '<' | '>' | '_' | '-'));
    let begins_as_path = ["/", "./", "../", "~/", "\\\\"]
        .iter()
        .any(|start| path.starts_with(start));
    let is_file = name.rsplit_once('.').is_some_and(|(stem, extension)| {
        let is_extension = (1..=5).contains(&extension.len())
            && extension.chars().all(|c| c.is_ascii_alphanumeric())
            && extension.contains(|c: char| c.is_ascii_alphabetic());
        is_extension && !stem.is_empty()
    });
    // The path of a URL follows the host, and `url_ends` has already handled it.
    let is_in_url = before == Some('/') || path.starts_with("//");
    let has_names = path.contains(char::is_alphanumeric);
    let is_deep = path.matches('/').count() >= 2;
    let is_path = has_names && (is_drive || begins_as_path && !is_in_url || is_file || is_deep);
    if !may_begin || !is_path {
        return None;
    }
    // A query, or a line and a column, may follow.
    let rest = &text[path.len()..];
    let query = rest.strip_prefix('?').map_or(0, |query| {
        let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ')');
        1 + leading(query, |c| !is_end(c)).len()
    });
    let mut len = path.len() + query;
    while let Some(digits) = text[len..].strip_prefix(':') {
        match digits_len(digits) {
            0 => break,
            digit_count => len += 1 + digit_count,
        }
    }
    Some(len)
}

fn digits_len(text: &str) -> usize {
    leading(text, |c| c.is_ascii_digit()).len()
}

/// Returns the longest prefix of `text` in which `belongs` returns true for each character.
fn leading(text: &str, belongs: impl Fn(char) -> bool) -> &str {
    &text[..text.len() - text.trim_start_matches(belongs).len()]
}

/// Returns the length in bytes of the id at the start of `text`: a UUID, hexadecimal digits, an
/// IPv6 or MAC address, or a word that mixes letters and digits.
fn id_len(text: &str) -> Option<usize> {
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        let len = leading(digits, |c| c.is_ascii_hexdigit()).len();
        return (len > 0).then_some(2 + len);
    }
    let hex_groups = |separator: char| {
        let group = leading(text, |c| c.is_ascii_hexdigit() || c == separator);
        group.trim_end_matches(separator)
    };
    let ends_word =
        |len: usize| !text[len..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
    let dashed = hex_groups('-');
    let lengths = dashed.split('-').map(str::len);
    if lengths.eq([8, 4, 4, 4, 12]) && ends_word(dashed.len()) {
        return Some(dashed.len());
    }
    let address = hex_groups(':');
    let colons = address.matches(':').count();
    let has_digit = address.contains(|c: char| c.is_ascii_digit());
    // A time is not an address: it has two colons. Nor is a Rust path without digits: `dead::beef`.
    let is_address = has_digit && (colons >= 5 || address.contains("::")) || colons == 5;
    if is_address && ends_word(address.len()) {
        return Some(address.len());
    }
    let word = leading(text, char::is_alphanumeric);
    is_id(word).then_some(word.len())
}

/// Returns whether a word is an id: it has digits and letters, and is hexadecimal, or long, or its
/// digits and letters alternate.
fn is_id(word: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_digit();
    if !word.is_ascii() || !word.contains(is_digit) || word.chars().all(is_digit) {
        return false;
    }
    let min_hex_len = if word.starts_with(is_digit) { 4 } else { 7 };
    let is_hex = word.len() >= min_hex_len && word.chars().all(|c| c.is_ascii_hexdigit());
    let digits = word.chars().filter(|c| is_digit(*c)).count();
    let alternations = word
        .as_bytes()
        .windows(2)
        .filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit())
        .count();
    is_hex || word.len() >= 12 && digits >= 2 || word.len() >= 5 && alternations >= 3
}

/// Returns the length in bytes of the number at the start of `text`, with its sign and unit.
/// Includes further numbers that are joined to it, as in a date, a time, a version or an address.
fn number_len(text: &str, before: Option<char>) -> Option<usize> {
    let signed = text.strip_prefix(['-', '+', '−']);
    let may_have_sign =
        before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '>' | ')' | '_'));
    let digits = signed.filter(|_| may_have_sign).unwrap_or(text);
    let mut len = text.len() - digits.len();
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    loop {
        len += digits_len(&text[len..]);
        let rest = &text[len..];
        let exponent = ["e-", "e+", "E-", "E+"]
            .iter()
            .find(|exponent| rest.starts_with(**exponent));
        let joiner_len = match exponent {
            Some(exponent) => exponent.len(),
            None => {
                usize::from(rest.starts_with(['.', ',', ':', '-', '+', '/', '_', 'T', 'e', 'E']))
            }
        };
        if joiner_len == 0 || !rest[joiner_len..].starts_with(|c: char| c.is_ascii_digit()) {
            break;
        }
        len += joiner_len;
    }
    let rest = &text[len..];
    let unit = leading(rest, |c| c.is_alphabetic() || c == '%');
    const UNITS: [&str; 24] = [
        "ns", "us", "µs", "μs", "ms", "s", "m", "min", "h", "d", "B", "kB", "KB", "MB", "GB", "TB",
        "KiB", "MiB", "GiB", "TiB", "%", "Z", "x", "px",
    ];
    if UNITS.contains(&unit) {
        len += unit.len();
    }
    Some(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_can_be_normalized() {
        let pieces = [
            "1", "a", "/", "-", ":", ".", "µs", "ä", "0x", "<", "\\", "[", " ", "~", "%",
        ];
        let mut random = 7_usize;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..8 {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                text.push_str(pieces[(random >> 33) % pieces.len()]);
            }
            let normal = normalize(&text);
            assert!(normal.len() <= text.len() * 8, "{text}");
        }
    }
}

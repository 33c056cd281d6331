//! A parser of the W3C `tracestate` header that accepts only what [its specification] allows.
//!
//! [its specification]: https://www.w3.org/TR/trace-context-2/#tracestate-header

/// A `tracestate` may have at most this many members.
const MAX_MEMBERS: usize = 32;

/// A key and a value may each have at most this many bytes.
const MAX_PART_LEN: usize = 256;

/// Parses the header lines of a `tracestate` and joins them. Returns `None` if a member is
/// malformed, or if there are more than 32 members. Returns an empty text if there are no members.
///
/// If a key is repeated, only the first member is kept, because it is the newest.
#[must_use]
pub fn parse_tracestate<'l>(lines: impl IntoIterator<Item = &'l str>) -> Option<String> {
    let mut joined = String::new();
    let mut keys = Vec::new();
    let mut members = 0;
    for line in lines {
        for member in line.split(',') {
            let member = member.trim_matches([' ', '\t']);
            if member.is_empty() {
                continue; // an empty member is allowed, and has no meaning
            }
            let key = member_key(member)?;
            members += 1;
            if members > MAX_MEMBERS {
                return None;
            }
            if keys.contains(&key) {
                continue;
            }
            keys.push(key);
            if !joined.is_empty() {
                joined.push(',');
            }
            joined.push_str(member);
        }
    }
    Some(joined)
}

/// Returns the key of a valid member.
fn member_key(member: &str) -> Option<&str> {
    let (key, value) = member.split_once('=')?;
    let is_value_byte = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'=');
    let is_valid = (1..=MAX_PART_LEN).contains(&value.len())
        && value.bytes().all(is_value_byte)
        && !value.ends_with(' ')
        && is_key(key);
    is_valid.then_some(key)
}

/// Returns whether `key` is valid in Level 2: `( lcalpha / DIGIT ) 0*255 keychar`.
fn is_key(key: &str) -> bool {
    let is_first = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_keychar = |byte: u8| is_first(&byte) || b"_-*/@".contains(&byte);
    key.len() <= MAX_PART_LEN
        && key.as_bytes().first().is_some_and(is_first)
        && key.bytes().all(is_keychar)
}

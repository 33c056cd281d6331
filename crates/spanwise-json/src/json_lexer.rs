//! A lexer for the JSON that this crate has encoded: `,"key":value,"key":value`. The first byte may
//! be the brace of the object: `{"key":value,"key":value`.

use std::borrow::Cow;

use crate::{escape, format_table::FormatTable, line_buffer::small_block, work};

/// One member: `,"key":` or `{"key":`, and its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member<'a> {
    pub(crate) bytes: &'a [u8],
    value_start: usize,
}

impl<'a> Member<'a> {
    /// Returns the key with the comma before it and the colon after it, as a
    /// [`Plan`](crate::plan::Plan) stores it.
    pub(crate) fn opening(&self) -> &'a [u8] {
        &self.bytes[..self.value_start]
    }

    pub(crate) fn value(&self) -> &'a [u8] {
        &self.bytes[self.value_start..]
    }

    /// Returns the key as a JSON string.
    pub(crate) fn quoted_key(&self) -> &'a [u8] {
        &self.bytes[1..self.value_start - 1]
    }
}

impl<'a> Member<'a> {
    /// Returns the first of `members`, which is `len` bytes long.
    #[inline]
    pub(crate) fn with_len(members: &'a [u8], len: usize) -> Option<Self> {
        Some(Self {
            bytes: members.get(..len)?,
            value_start: string_end(members, 1) + 1,
        })
    }
}

/// Splits encoded members. The encoder does not record the positions of members, because only
/// uncommon lines are split.
pub(crate) fn members(mut bytes: &[u8]) -> impl Iterator<Item = Member<'_>> {
    std::iter::from_fn(move || {
        if !matches!(bytes.first(), Some(b',' | b'{')) {
            return None;
        }
        let value_start = string_end(bytes, 1) + 1;
        let (member, rest) = bytes.split_at(value_end(bytes, value_start));
        bytes = rest;
        Some(Member {
            bytes: member,
            value_start,
        })
    })
}

/// The keys of some members, as sorted JSON strings. A set with the key of an error's message also
/// has the keys of the error's other parts. So no line has parts of two errors.
#[derive(Debug)]
pub(crate) struct KeySet<'a>(Vec<Cow<'a, [u8]>>);

impl<'a> KeySet<'a> {
    pub(crate) fn new(bytes: &'a [u8], table: &FormatTable) -> Self {
        let keys = members(bytes).map(|member| Cow::Borrowed(member.quoted_key()));
        let mut keys: Vec<_> = keys.collect();
        keys.sort_unstable();
        let mut set = Self(keys);
        let mut parts = table.error_keys().map(escape::quoted);
        if parts.next().is_some_and(|message| set.contains(&message)) {
            set.0.extend(parts.map(Cow::Owned));
            set.0.sort_unstable();
        }
        set
    }

    pub(crate) fn contains(&self, quoted: &[u8]) -> bool {
        let found = self.0.binary_search_by(|key| (**key).cmp(quoted));
        found.is_ok()
    }
}

/// Returns the end of the value that starts at `start`: the offset of the comma or bracket behind
/// the value, or the length of `json`.
pub(crate) fn value_end(json: &[u8], start: usize) -> usize {
    // Most values are texts or numbers.
    match json.get(start) {
        Some(b'"') => return string_end(json, start),
        Some(b'{' | b'[') => {}
        _ => return bare_value_end(json, start),
    }
    let mut depth = 0_usize;
    for (at, byte) in structure(json, start) {
        match byte {
            b'{' | b'[' => depth += 1,
            _ if depth == 0 => return at,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
    }
    json.len()
}

/// Returns the end of a number, `true`, `false` or `null`.
fn bare_value_end(json: &[u8], start: usize) -> usize {
    let (mut at, mut rest) = (start, json.get(start..).unwrap_or_default());
    loop {
        work::step(1);
        let block = rest.first_chunk().copied();
        let block = block.unwrap_or_else(|| small_block(rest));
        let found = escape::find_any(&block, *b",}]");
        if found != 0 {
            return at + found.trailing_zeros() as usize;
        }
        if rest.len() <= escape::BLOCK {
            return at + rest.len();
        }
        at += escape::BLOCK;
        rest = &rest[escape::BLOCK..];
    }
}

/// The maximum depth of nested values. It bounds the recursion of this crate, and that of readers:
/// serde_json, for example, refuses a line with 128 levels.
pub(crate) const MAX_DEPTH: usize = 64;

/// Returns the maximum number of objects and arrays that are nested in one another.
pub(crate) fn nesting_depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for (_, byte) in structure(json, 0) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Returns the items of an array.
pub(crate) fn items(array: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 1;
    std::iter::from_fn(move || {
        if matches!(array.get(at), None | Some(b']')) {
            return None;
        }
        let end = value_end(array, at);
        let item = &array[at..end];
        at = end + 1;
        Some(item)
    })
}

/// Returns the braces, brackets and commas outside of strings from `start` on, with their offsets.
fn structure(json: &[u8], start: usize) -> impl Iterator<Item = (usize, u8)> {
    let mut at = start;
    std::iter::from_fn(move || {
        while let Some(byte) = json.get(at).copied() {
            work::step(1);
            if byte == b'"' {
                at = string_end(json, at);
                continue;
            }
            at += 1;
            if matches!(byte, b'{' | b'[' | b'}' | b']' | b',') {
                return Some((at - 1, byte));
            }
        }
        None
    })
}

/// Returns the offset after the closing quote of the string whose opening quote is at `start`.
pub(crate) fn string_end(json: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < json.len() {
        work::step(1);
        match json[at..].first_chunk().map(escape::plain_len) {
            Some(escape::BLOCK) => {
                at += escape::BLOCK;
                continue;
            }
            Some(plain) => at += plain,
            None => {}
        }
        match json[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_split_at_their_commas() {
        let bytes = br#","a":1,"b,\"":",\\","c":{"x":[1,2],"y":","},"d":true"#;
        let found: Vec<(String, String)> = members(bytes)
            .map(|member| {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                (
                    text(member.quoted_key()),
                    text(&member.bytes[member.opening().len()..]),
                )
            })
            .collect();
        let expected = [
            ("\"a\"", "1"),
            ("\"b,\\\"\"", "\",\\\\\""),
            ("\"c\"", "{\"x\":[1,2],\"y\":\",\"}"),
            ("\"d\"", "true"),
        ];
        assert_eq!(
            found,
            expected.map(|(key, value)| (key.to_owned(), value.to_owned()))
        );
    }
}

//! Nested JSON as a field's value, on stable Rust.

use std::{collections::HashSet, fmt};

use serde_core::Serialize;
use spanwise_core::nested_json;

use crate::members::value_end;

/// Shows `value` as nested JSON in spanwise's sinks, and as compact JSON text in anyone else's.
///
/// Use it with `%` or `?`:
///
/// ```
/// # use spanwise_json::json;
/// let items = vec![("book", 2), ("pen", 1)];
/// tracing::info!(items = %json(&items), "order created");
/// // {…,"message":"order created","items":[["book",2],["pen",1]],…}
/// # assert_eq!(json(&items).to_string(), r#"[["book",2],["pen",1]]"#);
/// ```
///
/// A value that fails to serialise becomes a string that says so. An object that repeats a key keeps the last of them. Inside
/// other text (`"items: {json}"`) it is text.
pub fn json<T: Serialize + ?Sized>(value: &T) -> Json<'_, T> {
    Json(value)
}

/// A value that shows itself as JSON. Made by [`json()`].
#[derive(Clone, Copy)]
pub struct Json<'a, T: ?Sized>(&'a T);

impl<T: Serialize + ?Sized> fmt::Display for Json<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match to_text(self.0) {
            Ok(text) => {
                f.write_str(nested_json::begin())?;
                f.write_str(&text)?;
                f.write_str(nested_json::end())
            }
            Err(error) => write!(f, "<not serialisable as JSON: {error}>"),
        }
    }
}

impl<T: Serialize + ?Sized> fmt::Debug for Json<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Compact JSON in which no object repeats a key.
///
/// serde_json writes it so, but for what others write into it as it is: a `RawValue` may hold line breaks, and it, `#[serde(flatten)]`
/// and hand-written maps may repeat a key.
pub(crate) fn to_text<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    let text = compact(serde_json::to_string(value)?);
    if !repeats_a_key(&text) {
        return Ok(text);
    }
    let mut kept = Vec::with_capacity(text.len());
    if keep_last_keys(text.as_bytes(), DEEPEST, &mut kept).is_none() {
        return Err(serde_core::ser::Error::custom(
            "it repeats a key and is nested too deep",
        ));
    }
    // Pieces of a text, cut at quotes, commas and brackets.
    String::from_utf8(kept).map_err(serde_core::ser::Error::custom)
}

/// Without the white space between values.
fn compact(text: String) -> String {
    let bytes = text.as_bytes();
    let mut kept = Vec::new();
    let (mut at, mut from) = (0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at = string_end(bytes, at);
                continue;
            }
            b' ' | b'\t' | b'\n' | b'\r' => {
                kept.extend(&bytes[from..at]);
                from = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    if from == 0 {
        return text;
    }
    kept.extend(&bytes[from..]);
    // Only ASCII was taken out.
    String::from_utf8(kept).unwrap_or(text)
}

/// Objects inside one another beyond this many are not taken apart.
const DEEPEST: usize = 128;

/// Appends `json` to `kept`, of each object's members with one key only the last; nothing if it is too deep.
fn keep_last_keys(json: &[u8], deepest: usize, kept: &mut Vec<u8>) -> Option<()> {
    let (open, inner) = match json {
        [open @ (b'{' | b'['), inner @ .., b'}' | b']'] => (*open, inner),
        other => {
            kept.extend(other);
            return Some(());
        }
    };
    let deepest = deepest.checked_sub(1)?;
    let mut items = Vec::new();
    let mut rest = inner;
    while !rest.is_empty() {
        let (item, after) = rest.split_at(value_end(rest, 0));
        items.push(item);
        rest = after.get(1..).unwrap_or_default();
    }
    let key_end = |item: &[u8]| if open == b'{' { string_end(item, 0) } else { 0 };
    let keys: Vec<Vec<u8>> = items
        .iter()
        .map(|item| decoded(&item[..key_end(item)]))
        .collect();
    kept.push(open);
    let start = kept.len();
    for (index, item) in items.iter().enumerate() {
        if open == b'{' && keys[index + 1..].contains(&keys[index]) {
            continue;
        }
        if kept.len() > start {
            kept.push(b',');
        }
        let (key, value) = item.split_at(key_end(item) + usize::from(open == b'{'));
        kept.extend(key);
        keep_last_keys(value, deepest, kept)?;
    }
    kept.push(if open == b'{' { b'}' } else { b']' });
    Some(())
}

/// A key as it reads: one can be spelled with escapes or without.
fn decoded(key: &[u8]) -> Vec<u8> {
    match key
        .contains(&b'\\')
        .then(|| serde_json::from_slice::<String>(key))
    {
        Some(Ok(text)) => [b"\"", text.as_bytes(), b"\""].concat(),
        _ => key.to_vec(),
    }
}

fn repeats_a_key(text: &str) -> bool {
    let bytes = text.as_bytes();
    // The keys of each object that is open; `None` for an array.
    let mut open: Vec<Option<HashSet<Vec<u8>>>> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'{' => open.push(Some(HashSet::new())),
            b'[' => open.push(None),
            b'}' | b']' => drop(open.pop()),
            b'"' => {
                let end = string_end(bytes, at);
                let is_key = bytes.get(end) == Some(&b':');
                if let (true, Some(Some(keys))) = (is_key, open.last_mut())
                    && !keys.insert(decoded(&bytes[at..end]))
                {
                    return true;
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    false
}

/// True if `json` is one whole value, as it should be between the marks.
pub(crate) fn is_whole(json: &[u8]) -> bool {
    serde_json::from_slice::<serde_core::de::IgnoredAny>(json).is_ok()
}

/// The place after the closing quote of the string that opens at `start`.
pub(crate) fn string_end(json: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < json.len() {
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
    fn a_repeated_key_is_found_at_any_depth_and_a_repeated_value_is_none() {
        for json in [r#"{"a":1,"a":2}"#, r#"[{"x":{"k\"":1,"b":[{}],"k\"":2}}]"#] {
            assert!(repeats_a_key(json), "{json}");
        }
        for json in [
            r#"{"a":{"a":1},"b":{"a":"a"}}"#,
            r#"["a","a",{"a":["a"]},{"a":1}]"#,
            "1",
            "\"\\\"\"",
        ] {
            assert!(!repeats_a_key(json), "{json}");
        }
    }
}

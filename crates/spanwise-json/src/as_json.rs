//! Nested JSON as the value of a field.

use std::{borrow::Cow, collections::HashMap, fmt, io, ops::Range};

use serde_core::Serialize;
use spanwise_core::internal::nested_json;

use crate::{
    json_lexer::{MAX_DEPTH, nesting_depth, string_end},
    work,
};

/// Shows `value` as nested JSON in the sinks of spanwise, and as compact JSON text in other layers.
///
/// Use it with `%` or `?`:
///
/// ```
/// # use spanwise_json::as_json;
/// let items = vec![("book", 2), ("pen", 1)];
/// tracing::info!(items = %as_json(&items), "order created");
/// // {…,"message":"order created","items":[["book",2],["pen",1]],…}
/// # assert_eq!(as_json(&items).to_string(), r#"[["book",2],["pen",1]]"#);
/// ```
///
/// A value that fails to serialize becomes a string with the error. If an object repeats a key, its
/// last member with this key is kept. Half of a surrogate pair becomes U+FFFD, and a number that no
/// `f64` can have, such as `1e999`, becomes a string. JSON within other text (`"items: {json}"`) is
/// shown as text. So is JSON with more than 64 levels of nesting, because readers refuse deeper
/// lines. JSON longer than 1 MiB becomes a string: its first 1 MiB, and `<cut: the JSON is longer
/// than 1 MiB>`. A [`JsonLayer`](crate::JsonLayer) also cuts it at
/// [`max_field`](crate::JsonLayer::max_field), and shows JSON that was cut as a string.
pub fn as_json<T: Serialize + ?Sized>(value: &T) -> AsJson<'_, T> {
    AsJson(value)
}

/// The end of a text with JSON that was cut.
pub(crate) const TRUNCATION_MARK: &str = "<cut: the JSON is longer than 1 MiB>";

/// A value that displays itself as JSON. Created by [`as_json()`].
#[derive(Clone, Copy)]
pub struct AsJson<'a, T: ?Sized>(&'a T);

impl<T: Serialize + ?Sized> fmt::Display for AsJson<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match to_text(self.0) {
            Ok(JsonText::Complete(text)) => {
                f.write_str(nested_json::begin())?;
                f.write_str(&text)?;
                f.write_str(nested_json::end())
            }
            Ok(JsonText::Deep(text)) => f.write_str(&text),
            Ok(JsonText::Truncated(text)) => write!(f, "{text}{TRUNCATION_MARK}"),
            Err(error) => write!(f, "<not serializable as JSON: {error}>"),
        }
    }
}

impl<T: Serialize + ?Sized> fmt::Debug for AsJson<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// JSON as text, at most [`MAX_JSON_LEN`] bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum JsonText {
    Complete(String),
    /// JSON that is nested deeper than [`MAX_DEPTH`].
    Deep(String),
    /// The start of longer JSON.
    Truncated(String),
}

/// [`as_json()`] writes at most this many bytes: 1 MiB.
const MAX_JSON_LEN: usize = 1024 * 1024;

/// Serializes `value` to compact JSON. In this JSON, no object repeats a key, no text has half of a
/// surrogate pair, and each number fits in an `f64`.
///
/// serde_json alone does not ensure this. A `RawValue` may contain white space, half of a surrogate
/// pair and any number. A `RawValue`, `#[serde(flatten)]` or a hand-written map may repeat a key.
pub(crate) fn to_text<T: Serialize + ?Sized>(value: &T) -> Result<JsonText, serde_json::Error> {
    let mut written = LimitedBuffer::default();
    let outcome = serde_json::to_writer(&mut written, value);
    let text = match String::from_utf8(written.bytes) {
        Ok(text) => text,
        // The limit has cut a character.
        Err(error) => {
            let whole_len = error.utf8_error().valid_up_to();
            let mut bytes = error.into_bytes();
            bytes.truncate(whole_len);
            String::from_utf8(bytes).unwrap_or_default()
        }
    };
    if written.is_full {
        return Ok(JsonText::Truncated(text));
    }
    outcome?;
    let text = without_lone_surrogates(compact(text));
    let text = without_repeated_keys(&text).unwrap_or(text);
    Ok(match nesting_depth(text.as_bytes()) > MAX_DEPTH {
        true => JsonText::Deep(text),
        false => JsonText::Complete(text),
    })
}

/// Accepts bytes up to a limit, then fails, which stops the serializer.
#[derive(Default)]
struct LimitedBuffer {
    bytes: Vec<u8>,
    is_full: bool,
}

impl io::Write for LimitedBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let accepted = bytes.len().min(MAX_JSON_LEN - self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..accepted]);
        if accepted == bytes.len() {
            return Ok(accepted);
        }
        self.is_full = true;
        Err(io::ErrorKind::FileTooLarge.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Removes the white space between values, and quotes each number that is too large for an `f64`.
/// Readers such as serde_json refuse a whole line because of one such number.
fn compact(text: String) -> String {
    let bytes = text.as_bytes();
    let mut kept = Vec::new();
    // The text from `run_start` on is not copied yet.
    let (mut at, mut run_start) = (0, 0);
    while at < bytes.len() {
        let start = at;
        match bytes[at] {
            b'"' => at = string_end(bytes, at),
            b' ' | b'\t' | b'\n' | b'\r' => {
                kept.extend_from_slice(&bytes[run_start..at]);
                at += 1;
                run_start = at;
            }
            b'-' | b'0'..=b'9' => {
                at = number_end(bytes, at);
                let number = &bytes[start..at];
                if is_beyond_f64(number) {
                    let before = &bytes[run_start..start];
                    kept.extend([before, b"\"", number, b"\""].concat());
                    run_start = at;
                }
            }
            _ => at += 1,
        }
    }
    if run_start == 0 {
        return text;
    }
    kept.extend_from_slice(&bytes[run_start..]);
    // Only ASCII was removed and added.
    String::from_utf8(kept).unwrap_or(text)
}

/// Returns the end of the number that begins at `start`.
fn number_end(json: &[u8], start: usize) -> usize {
    let is_part =
        |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
    let len = json[start..]
        .iter()
        .take_while(|byte| is_part(byte))
        .count();
    start + len
}

/// Returns whether a number is too large for an `f64`.
fn is_beyond_f64(number: &[u8]) -> bool {
    // Without an exponent, only a number with more than 308 digits is too large.
    let may_be_beyond = number.len() > 308 || number.iter().any(|byte| matches!(byte, b'e' | b'E'));
    let parsed = || std::str::from_utf8(number).ok()?.parse::<f64>().ok();
    may_be_beyond && !parsed().is_some_and(f64::is_finite)
}

/// Replaces each lone surrogate, such as `\ud83d` without its other half, by `\ufffd`, which has
/// the same length. Some readers refuse a whole line because of a lone surrogate.
fn without_lone_surrogates(text: String) -> String {
    if !text.contains(r"\u") {
        return text;
    }
    let mut bytes = text.into_bytes();
    let mut at = 0;
    while at < bytes.len() {
        work::step(1);
        if bytes[at] != b'\\' {
            at += 1;
            continue;
        }
        let unit_at = |at: usize| escaped_unit(bytes.get(at..at + ESCAPE_LEN)?);
        at += match unit_at(at) {
            None => 2,
            Some(0xD800..0xDC00) if matches!(unit_at(at + ESCAPE_LEN), Some(0xDC00..0xE000)) => {
                2 * ESCAPE_LEN
            }
            Some(0xD800..0xE000) => {
                bytes[at..at + ESCAPE_LEN].copy_from_slice(br"\ufffd");
                ESCAPE_LEN
            }
            Some(_) => ESCAPE_LEN,
        };
    }
    // Only ASCII was replaced by ASCII.
    String::from_utf8(bytes).unwrap_or_default()
}

/// The length of an escape such as `\u0000`, in bytes.
const ESCAPE_LEN: usize = 6;

/// Returns the UTF-16 code unit of an escape such as `\ud83d`.
fn escaped_unit(escape: &[u8]) -> Option<u16> {
    let digits = std::str::from_utf8(escape.strip_prefix(br"\u")?).ok()?;
    u16::from_str_radix(digits, 16).ok()
}

/// Keeps the last of an object's members with the same key. Returns `None` if no key is repeated.
///
/// One pass suffices at any depth of nesting: it collects the ranges of the members that a later
/// member replaces. They are omitted at the end.
fn without_repeated_keys(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    // The members of each open object so far; `None` for an open array.
    let mut open: Vec<Option<ObjectKeys<'_>>> = Vec::new();
    let mut replaced: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        work::step(1);
        match bytes[at] {
            b'{' => open.push(Some(ObjectKeys::default())),
            b'[' => open.push(None),
            b'}' | b']' => drop(open.pop()),
            b'"' => {
                let end = string_end(bytes, at);
                let is_key = bytes.get(end) == Some(&b':');
                if let (true, Some(Some(members))) = (is_key, open.last_mut()) {
                    members.add(decoded(&bytes[at..end]), at, &mut replaced);
                }
                at = end;
                continue;
            }
            b',' => {
                if let Some(Some(members)) = open.last_mut() {
                    members.end_last(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
    if replaced.is_empty() {
        return None;
    }
    replaced.sort_unstable_by_key(|range| range.start);
    let mut kept = String::with_capacity(text.len());
    let mut run_start = 0;
    for range in replaced {
        // A range inside an omitted one adds nothing.
        if range.start >= run_start {
            kept.push_str(&text[run_start..range.start]);
            run_start = range.end;
        }
    }
    kept.push_str(&text[run_start..]);
    Some(kept)
}

/// The members of an open object so far.
#[derive(Default)]
struct ObjectKeys<'a> {
    /// The index in `ranges` of the last member with each key.
    by_key: HashMap<Cow<'a, [u8]>, usize>,
    /// The byte range of each member, with the comma after it.
    ranges: Vec<Range<usize>>,
}

impl<'a> ObjectKeys<'a> {
    fn add(&mut self, key: Cow<'a, [u8]>, start: usize, replaced: &mut Vec<Range<usize>>) {
        self.ranges.push(start..start);
        if let Some(earlier) = self.by_key.insert(key, self.ranges.len() - 1) {
            // This member follows the earlier one, so a comma has ended the earlier one.
            replaced.push(self.ranges[earlier].clone());
        }
    }

    fn end_last(&mut self, end: usize) {
        if let Some(last) = self.ranges.last_mut() {
            last.end = end;
        }
    }
}

/// Decodes the escapes in a key, so that two spellings of a key are equal.
fn decoded(key: &[u8]) -> Cow<'_, [u8]> {
    match key
        .contains(&b'\\')
        .then(|| serde_json::from_slice::<String>(key))
    {
        Some(Ok(text)) => Cow::Owned([b"\"", text.as_bytes(), b"\""].concat()),
        _ => Cow::Borrowed(key),
    }
}

/// Returns whether `json` is one complete value. The text between the [marks](nested_json) of
/// [`AsJson`] is not if a wrapper forwarded only a part of it.
pub(crate) fn is_valid_json(json: &[u8]) -> bool {
    serde_json::from_slice::<serde_core::de::IgnoredAny>(json).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the steps of `without_repeated_keys` per byte of `json`.
    fn steps_per_byte(json: &str) -> f64 {
        let steps = work::count(|| {
            without_repeated_keys(json);
        });
        steps as f64 / json.len() as f64
    }

    #[test]
    fn work_is_linear_in_keys_and_nesting() {
        let object = |count: usize, member: &dyn Fn(usize) -> String| {
            let members: Vec<_> = (0..count).map(member).collect();
            format!("{{{}}}", members.join(","))
        };
        let distinct = object(50_000, &|index| format!("\"k{index}\":1"));
        let one_key_twice = object(50_000, &|index| format!("\"k{}\":1", index.max(1)));
        let same_key = object(50_000, &|_| "\"k\":1".to_owned());
        let pairs = object(25_000, &|index| format!("\"k{index}\":1,\"k{index}\":2"));
        let deep = |open: &str, close: &str| open.repeat(20_000) + "1" + &close.repeat(20_000);
        let nested = deep("{\"k\":", "}");
        let repeated_inside = deep("{\"k\":1,\"k\":", "}");
        let repeated_around = format!("{{\"k\":{nested},\"k\":{repeated_inside}}}");
        for json in [
            distinct,
            one_key_twice,
            same_key,
            pairs,
            nested,
            repeated_inside,
            repeated_around,
            deep("[", "]"),
        ] {
            let steps = steps_per_byte(&json);
            assert!(steps <= 2.0, "{steps} steps a byte: {}…", &json[..40]);
        }
    }
}

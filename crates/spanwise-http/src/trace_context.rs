//! [W3C Trace Context]: `traceparent` and `tracestate`.
//!
//! [W3C Trace Context]: https://www.w3.org/TR/trace-context/

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::id;

pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The trace of a span, and the span itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TraceContext {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    /// The [`KNOWN_FLAGS`] among the received ones.
    pub(crate) flags: u8,
    /// The `tracestate` as received, from all its header lines. Empty if there is none.
    pub(crate) state: String,
}

/// The flag that the caller may have recorded trace data.
pub(crate) const SAMPLED: u8 = 0b0000_0001;

/// [`SAMPLED`], and the flag of Level 2 that the trace id is random. Other flags are sent as zero.
const KNOWN_FLAGS: u8 = SAMPLED | 0b0000_0010;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceId(pub(crate) [u8; 16]);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpanId(pub(crate) [u8; 8]);

impl TraceContext {
    /// Parses the headers of a caller. Returns `None` without exactly one valid `traceparent`;
    /// `tracestate` is ignored then.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(TRACEPARENT).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return None;
        };
        let mut context = Self::parse(line.as_bytes())?;
        context.state = parse_tracestate(headers).unwrap_or_default();
        Some(context)
    }

    /// Parses version 00 strictly, and the same part of a later version, as the specification
    /// requires.
    fn parse(text: &[u8]) -> Option<Self> {
        // HTTP/1 trims values, and other versions should.
        let text = text.trim_ascii();
        let (head, rest) = text.split_at_checked(55)?;
        let version = parse_byte(&head[0..2])?;
        let separated = [2, 35, 52].iter().all(|at| head[*at] == b'-');
        let ends = match version {
            0xFF => false,
            0 => rest.is_empty(),
            _ => matches!(rest, [] | [b'-', ..]),
        };
        if !separated || !ends {
            return None;
        }
        let (mut trace_id, mut span_id) = ([0; 16], [0; 8]);
        parse_bytes(&head[3..35], &mut trace_id)?;
        parse_bytes(&head[36..52], &mut span_id)?;
        let flags = parse_byte(&head[53..55])? & KNOWN_FLAGS;
        (trace_id != [0; 16] && span_id != [0; 8]).then(|| Self {
            trace_id: TraceId(trace_id),
            span_id: SpanId(span_id),
            flags,
            state: String::new(),
        })
    }

    /// Starts a trace.
    pub(crate) fn new_trace(trace_id: TraceId) -> Self {
        Self {
            trace_id,
            span_id: SpanId(id::new_span_id()),
            flags: SAMPLED,
            state: String::new(),
        }
    }

    /// Starts a span in this trace.
    pub(crate) fn child(&self) -> Self {
        Self {
            span_id: SpanId(id::new_span_id()),
            ..self.clone()
        }
    }

    /// Returns the header that makes this span the parent in another service.
    pub(crate) fn traceparent(&self) -> HeaderValue {
        let mut text = String::with_capacity(55);
        let (trace_id, span_id) = (self.trace_id.digits(), self.span_id.digits());
        let flags = HexDigits::<2>::from_bytes(&[self.flags]);
        text.extend([
            "00-",
            trace_id.as_str(),
            "-",
            span_id.as_str(),
            "-",
            flags.as_str(),
        ]);
        HeaderValue::try_from(text).unwrap_or_else(|_| {
            // A header value may contain hexadecimal digits and hyphens.
            unreachable!("a traceparent is a valid header value")
        })
    }

    /// Returns the header, or `None` if there is no state.
    pub(crate) fn tracestate(&self) -> Option<HeaderValue> {
        (!self.state.is_empty())
            .then(|| HeaderValue::try_from(self.state.as_str()).ok())
            .flatten()
    }
}

/// Parses `tracestate`, with all its lines joined. Returns `None` if a member is malformed, or if
/// there are more than 32.
///
/// A member with the key of an earlier one is dropped: the first one is the newest.
fn parse_tracestate(headers: &HeaderMap) -> Option<String> {
    let mut joined = String::new();
    let mut keys = Vec::new();
    let mut members = 0;
    for line in headers.get_all(TRACESTATE) {
        for member in line.to_str().ok()?.split(',') {
            let member = member.trim_matches([' ', '\t']);
            if member.is_empty() {
                continue; // allowed without a meaning
            }
            let key = member_key(member)?;
            members += 1;
            if members > 32 {
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
    let is_valid = (1..=256).contains(&value.len())
        && value.bytes().all(is_value_byte)
        && !value.ends_with(' ')
        && is_key(key);
    is_valid.then_some(key)
}

/// Returns whether `key` is valid in Level 2: `( lcalpha / DIGIT ) 0*255 keychar`.
fn is_key(key: &str) -> bool {
    let is_first = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_keychar = |byte: u8| is_first(&byte) || b"_-*/@".contains(&byte);
    key.len() <= 256 && key.as_bytes().first().is_some_and(is_first) && key.bytes().all(is_keychar)
}

impl TraceId {
    /// Parses 32 lower-case hexadecimal digits that are not all zero.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut id = [0; 16];
        (text.len() == 32).then_some(())?;
        parse_bytes(text.as_bytes(), &mut id)?;
        (id != [0; 16]).then_some(Self(id))
    }
}

/// Parses lower-case hexadecimal digits. Upper-case digits are invalid.
fn parse_bytes(digits: &[u8], into: &mut [u8]) -> Option<()> {
    for (into, digits) in into.iter_mut().zip(digits.chunks_exact(2)) {
        *into = parse_byte(digits)?;
    }
    Some(())
}

fn parse_byte(digits: &[u8]) -> Option<u8> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    match digits {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    }
}

/// The lower-case hexadecimal digits of an id. Formatting the id with `Display`, as each sink
/// would, costs more.
pub(crate) struct HexDigits<const COUNT: usize>([u8; COUNT]);

/// Returns the digits of eight bytes at once. Each half of a byte is spread to a byte of its own.
#[inline]
fn digits_of_eight(bytes: u64) -> [u8; 16] {
    const ONES: u128 = u128::MAX / 0xff;
    let mut halves = u128::from(bytes);
    for (shift, mask) in [
        (32, u128::MAX / ((1 << 32) + 1)),
        (16, u128::MAX / ((1 << 16) + 1)),
        (8, u128::MAX / ((1 << 8) + 1)),
        (4, u128::MAX / ((1 << 4) + 1)),
    ] {
        halves = (halves | halves << shift) & mask;
    }
    // 1 in each byte that is more than nine.
    let letters = (halves + ONES * 6) >> 4 & ONES;
    let to_letter = u128::from(b'a' - b'0' - 10);
    (halves + ONES * u128::from(b'0') + letters * to_letter).to_be_bytes()
}

impl<const COUNT: usize> HexDigits<COUNT> {
    #[inline]
    fn from_bytes(bytes: &[u8]) -> Self {
        let mut digits = [b'0'; COUNT];
        for (digits, bytes) in digits.chunks_mut(16).zip(bytes.chunks(8)) {
            let mut eight = [0; 8];
            eight[..bytes.len()].copy_from_slice(bytes);
            let sixteen = digits_of_eight(u64::from_be_bytes(eight));
            digits.copy_from_slice(&sixteen[..digits.len()]);
        }
        Self(digits)
    }

    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default() // they are ASCII
    }
}

impl TraceId {
    pub(crate) fn digits(self) -> HexDigits<32> {
        HexDigits::from_bytes(&self.0)
    }
}

impl SpanId {
    pub(crate) fn digits(self) -> HexDigits<16> {
        HexDigits::from_bytes(&self.0)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.digits().as_str())
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.digits().as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn child_is_another_span_of_the_trace() {
        let parent = TraceContext {
            state: "foo=1".to_owned(),
            ..TraceContext::new_trace(TraceId([1; 16]))
        };
        let (one, two) = (parent.child(), parent.child());
        for child in [&one, &two] {
            assert_eq!(child.trace_id, parent.trace_id);
            assert_eq!((child.flags, &*child.state), (1, "foo=1"));
            assert_ne!(child.span_id, parent.span_id);
            assert_ne!(child.span_id, SpanId([0; 8]));
        }
        assert_ne!(one.span_id, two.span_id);
    }

    #[test]
    fn trace_ids_are_lower_case_digits() {
        let trace = "12345678901234567890123456789012";
        assert_eq!(TraceId::parse(trace).unwrap().to_string(), trace);
        for text in [
            "",
            "00000000000000000000000000000000",
            "1234567890123456789012345678901",
            "123456789012345678901234567890123",
            "1234567890ABCDEF1234567890123456",
            "1234567890123456789012345678901é",
        ] {
            assert_eq!(TraceId::parse(text), None, "{text}");
        }
    }
}

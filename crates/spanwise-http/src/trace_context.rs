//! [W3C Trace Context]: `traceparent` and `tracestate`.
//!
//! [W3C Trace Context]: https://www.w3.org/TR/trace-context/

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use spanwise_core::{
    TraceParent,
    internal::{
        HexDigits, SpanIdentity, inherited_context::InheritedContext, new_span_id, propagators,
        span_identity::SAMPLED,
    },
};

pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The trace of a span, and the span itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TraceContext {
    pub(crate) span: TraceParent,
    /// The `tracestate`, joined from all received header lines, or updated by a sampler.
    pub(crate) state: Option<Arc<str>>,
}

impl TraceContext {
    /// Parses the headers of a caller. Returns `None` if this process does not propagate trace
    /// context.
    pub(crate) fn received(headers: &HeaderMap) -> Option<Self> {
        propagators::TRACE_CONTEXT.is_on().then_some(())?;
        Self::from_headers(headers)
    }

    /// Returns the position of the parent process.
    pub(crate) fn inherited(context: &InheritedContext) -> Self {
        Self {
            span: context.parent,
            state: context.state.clone(),
        }
    }

    /// Parses headers. Returns `None` if there is not exactly one valid `traceparent`. In that case
    /// `tracestate` is ignored.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(TRACEPARENT).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return None;
        };
        let state = || parse_tracestate(headers).filter(|state| !state.is_empty());
        Some(Self {
            span: TraceParent::parse(line.as_bytes())?,
            state: state().map(Arc::from),
        })
    }

    /// Returns the context of the span with this identity.
    pub(crate) fn from_identity(identity: &SpanIdentity) -> Option<Self> {
        Some(Self {
            span: TraceParent::from_identity(identity)?,
            state: identity.state().cloned(),
        })
    }

    /// Starts a trace. The id must not be zero.
    pub(crate) fn new_trace(trace_id: [u8; 16]) -> Self {
        let span = TraceParent::new(trace_id, new_span_id(), SAMPLED);
        Self {
            span: span.unwrap_or_else(|| unreachable!("neither id is zero")),
            state: None,
        }
    }

    /// Starts a span in a trace for which only the id is available. The id must not be zero.
    pub(crate) fn in_trace(trace_id: [u8; 16]) -> Self {
        match InheritedContext::of_trace(trace_id) {
            Some(inherited) => Self::inherited(inherited).child(),
            None => Self::new_trace(trace_id),
        }
    }

    /// Starts a span in this trace.
    pub(crate) fn child(&self) -> Self {
        Self {
            span: self.span.child(),
            state: self.state.clone(),
        }
    }

    pub(crate) fn trace_id(&self) -> HexDigits<32> {
        HexDigits::from_bytes(&self.span.trace_id())
    }

    pub(crate) fn span_id(&self) -> HexDigits<16> {
        HexDigits::from_bytes(&self.span.span_id())
    }

    /// Returns the header that makes this span the parent in another service.
    pub(crate) fn traceparent(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.span.to_bytes()).unwrap_or_else(|_| {
            // A header value may contain hexadecimal digits and hyphens.
            unreachable!("a traceparent is a valid header value")
        })
    }

    /// Returns the header, or `None` if there is no state.
    pub(crate) fn tracestate(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(&**self.state.as_ref()?).ok()
    }
}

/// Parses `tracestate`, with all its lines joined. Returns `None` if a member is malformed, or if
/// there are more than 32.
///
/// If a key is repeated, only the first member is kept, because it is the newest.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn child_is_another_span_of_the_trace() {
        let parent = TraceContext {
            state: Some("foo=1".into()),
            ..TraceContext::new_trace([1; 16])
        };
        let (one, two) = (parent.child(), parent.child());
        for child in [&one, &two] {
            assert_eq!(child.span.trace_id(), parent.span.trace_id());
            assert_eq!(
                (child.span.flags(), child.state.as_deref()),
                (1, Some("foo=1"))
            );
            assert_ne!(child.span.span_id(), parent.span.span_id());
            assert_ne!(child.span.span_id(), [0; 8]);
        }
        assert_ne!(one.span.span_id(), two.span.span_id());
    }
}

//! [W3C Trace Context]: the position in a trace that the headers `traceparent` and `tracestate`
//! carry.
//!
//! [W3C Trace Context]: https://www.w3.org/TR/trace-context/

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use spanwise_core::{
    TraceParent,
    internal::{
        HexDigits, SpanIdentity, inherited_context::InheritedContext, new_span_id,
        parse_tracestate, propagators, span_identity::SAMPLED,
    },
};

pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// A span as a position in its trace, with the state of the trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TraceContext {
    /// The ids of the trace and the span, and the flags.
    pub(crate) span: TraceParent,
    /// The `tracestate`, joined from all received header lines, or updated by a sampler.
    pub(crate) state: Option<Arc<str>>,
}

impl TraceContext {
    /// Parses the headers of a caller. Returns `None` if this process does not propagate trace
    /// context.
    pub(crate) fn from_headers_if_enabled(headers: &HeaderMap) -> Option<Self> {
        propagators::TRACE_CONTEXT.is_on().then_some(())?;
        Self::from_headers(headers)
    }

    /// Returns the context that the parent process passed to this process.
    pub(crate) fn from_inherited(context: &InheritedContext) -> Self {
        Self {
            span: context.parent,
            state: context.state.clone(),
        }
    }

    /// Parses headers. Returns `None` if `traceparent` is missing, repeated or invalid. In that
    /// case `tracestate` is ignored.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(TRACEPARENT).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return None;
        };
        let state = || {
            let lines = headers.get_all(TRACESTATE).iter();
            let lines: Result<Vec<_>, _> = lines.map(HeaderValue::to_str).collect();
            parse_tracestate(lines.ok()?).filter(|state| !state.is_empty())
        };
        Some(Self {
            span: TraceParent::parse(line.as_bytes())?,
            state: state().map(Arc::from),
        })
    }

    /// Returns the context of the span that has this identity.
    pub(crate) fn from_identity(identity: &SpanIdentity) -> Option<Self> {
        Some(Self {
            span: TraceParent::from_identity(identity)?,
            state: identity.state().cloned(),
        })
    }

    /// Returns the context of the first span of a new trace. The id must not be zero.
    pub(crate) fn new_trace(trace_id: [u8; 16]) -> Self {
        Self::with_flags(trace_id, SAMPLED)
    }

    fn with_flags(trace_id: [u8; 16], flags: u8) -> Self {
        let span = TraceParent::new(trace_id, new_span_id(), flags);
        Self {
            span: span.unwrap_or_else(|| unreachable!("neither id is zero")),
            state: None,
        }
    }

    /// Returns the context of a new span in the trace with this id. If the parent process passed
    /// this trace to this process, the new span is a child of the inherited span. If the trace was
    /// received in a message, the flags are those of the message. The id must not be zero.
    pub(crate) fn in_trace(trace_id: [u8; 16]) -> Self {
        match InheritedContext::for_trace(trace_id) {
            Some(inherited) => Self::from_inherited(inherited).child(),
            None => Self::with_flags(trace_id, TraceParent::received_flags(trace_id)),
        }
    }

    /// Returns the context of a new span in this trace, whose parent is this span.
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

    /// Returns the header `tracestate`, or `None` if there is no state.
    pub(crate) fn tracestate(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(&**self.state.as_ref()?).ok()
    }
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

//! The W3C `traceparent`: a position in a trace, as text.

use std::{
    fmt,
    str::FromStr,
    sync::atomic::{AtomicBool, Ordering},
};

use tracing::{Dispatch, Span, Subscriber as _};
use tracing_subscriber::{Registry, registry::LookupSpan};

use crate::{
    Context, ParseError,
    internal::{
        HexDigits, SpanIdentity,
        announced_span::{Announced, AnnouncedTrace, SpanKind, announce},
        inherited_context::InheritedContext,
        new_span_id, parse_hex,
        span_identity::{RANDOM, SAMPLED, record_ids},
    },
};

/// A position in a trace, as in the [W3C `traceparent`] header. Use it for queues, jobs and other
/// transports without HTTP headers.
///
/// A producer sends [`TraceParent::current`] as text with its message. The consumer parses the text
/// and opens its unit of work with [`unit`](Self::unit). So one search for the trace id finds the
/// lines of both. `spanwise-http` does the same for HTTP.
///
/// ```
/// use spanwise_core::{Context, ContextLayer, TraceParent};
/// use tracing_subscriber::prelude::*;
///
/// let _default = tracing_subscriber::registry().with(ContextLayer::default()).set_default();
///
/// let parent: TraceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse()?;
/// let consume = parent.unit(|| tracing::info_span!(parent: None, "consume", order.id = 42));
/// consume.in_scope(|| {
///     assert_eq!(Context::current().get("trace_id"), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
///     let child = TraceParent::current().unwrap();
///     assert_eq!(child.trace_id(), parent.trace_id());
///     assert_ne!(child.span_id(), parent.span_id());
/// });
/// # Ok::<(), spanwise_core::ParseError>(())
/// ```
///
/// [W3C `traceparent`]: https://www.w3.org/TR/trace-context/#traceparent-header
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceParent {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    flags: u8,
}

/// The parent of a unit of work whose trace is not exported. Stored in the extensions of the first
/// span of the unit.
struct ReceivedParent(TraceParent);

/// Whether a span of this process has ever had a [`ReceivedParent`]. Until then, a reader only pays
/// for one relaxed load.
static HAS_RECEIVED_PARENT: AtomicBool = AtomicBool::new(false);

/// The length of the header in version 00, in bytes.
const HEADER_LEN: usize = 55;

/// The flags that are forwarded. All others are sent as zero.
const KNOWN_FLAGS: u8 = SAMPLED | RANDOM;

impl TraceParent {
    /// Creates the position of a span in a trace. Returns `None` if an id is zero. Unknown flags
    /// are dropped.
    #[must_use]
    pub fn new(trace_id: [u8; 16], span_id: [u8; 8], flags: u8) -> Option<Self> {
        (trace_id != [0; 16] && span_id != [0; 8]).then_some(Self {
            trace_id,
            span_id,
            flags: flags & KNOWN_FLAGS,
        })
    }

    /// Returns the position of the span with this identity.
    #[doc(hidden)]
    #[must_use]
    pub fn from_identity(identity: &SpanIdentity) -> Option<Self> {
        Self::new(identity.trace_id(), identity.span_id(), identity.flags())
    }

    /// Returns the position of a new span in the same trace.
    #[doc(hidden)]
    #[must_use]
    pub fn child(self) -> Self {
        Self {
            span_id: new_span_id(),
            ..self
        }
    }

    /// Returns the position of the current span, or `None` outside of a trace.
    ///
    /// If traces are exported, every enabled span has a position. If they are not, the position
    /// consists of the `trace_id` and the `span_id` of the current [`Context`](crate::Context), as
    /// in a request. Its flags are those of the request, of the message ([`unit`](Self::unit)) or
    /// of the parent process that the trace comes from, or else 1 (sampled).
    #[must_use]
    pub fn current() -> Option<Self> {
        if let Some(identity) = SpanIdentity::current() {
            return Self::from_identity(&identity);
        }
        let context = Context::current();
        let trace_id = parse_hex(context.get("trace_id")?.as_bytes())?;
        let span_id = parse_hex(context.get("span_id")?.as_bytes())?;
        Self::new(trace_id, span_id, Self::received_flags(trace_id))
    }

    /// Returns the flags with which the trace of the current span was received. For a trace that
    /// begins in this process, returns the flag for a sampled trace. Call it only if traces are not
    /// exported.
    #[doc(hidden)]
    #[must_use]
    pub fn received_flags(trace_id: [u8; 16]) -> u8 {
        let flags_of_unit = || {
            tracing::dispatcher::get_default(|dispatch| {
                let registry = dispatch.downcast_ref::<Registry>()?;
                let current = registry.current_span();
                let mut spans = registry.span(current.id()?)?.scope();
                spans.find_map(|span| {
                    let extensions = span.extensions();
                    let ReceivedParent(parent) = extensions.get()?;
                    (parent.trace_id == trace_id).then_some(parent.flags)
                })
            })
        };
        let has_received_parent = HAS_RECEIVED_PARENT.load(Ordering::Relaxed);
        let flags_of_unit = has_received_parent.then(flags_of_unit).flatten();
        let flags_of_process = || InheritedContext::for_trace(trace_id).map(|it| it.parent.flags);
        flags_of_unit.or_else(flags_of_process).unwrap_or(SAMPLED)
    }

    /// Makes [`received_flags`](Self::received_flags) return the flags of this position in `span`
    /// and in the spans inside it. Call it only for a span without an identity.
    #[doc(hidden)]
    pub fn store_flags(self, span: &Span) {
        if self.flags == SAMPLED {
            return; // without stored flags, a span has these flags
        }
        span.with_subscriber(|(id, dispatch): (_, &Dispatch)| {
            let registry = dispatch.downcast_ref::<Registry>()?;
            let span = registry.span(id)?;
            HAS_RECEIVED_PARENT.store(true, Ordering::Relaxed);
            span.extensions_mut().replace(ReceivedParent(self));
            Some(())
        });
    }

    /// Returns the id of the trace.
    #[must_use]
    pub fn trace_id(self) -> [u8; 16] {
        self.trace_id
    }

    /// Returns the id of the span.
    #[must_use]
    pub fn span_id(self) -> [u8; 8] {
        self.span_id
    }

    /// Returns the flags: 1 for a sampled trace, 2 for a random trace id.
    #[must_use]
    pub fn flags(self) -> u8 {
        self.flags
    }

    /// Returns whether the sender sampled the trace.
    #[must_use]
    pub fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Opens a unit of work below this position. `open` opens its root span, for example with
    /// `spanwise::unit_span!`.
    ///
    /// If the opened span has a parent in this process, it stays in the trace of that parent.
    /// `open` must open no other span, so compute field values before the call.
    pub fn unit(self, open: impl FnOnce() -> Span) -> Span {
        let span_id = new_span_id();
        let announced = || Announced {
            span_id,
            kind: SpanKind::Internal,
            trace: Some(AnnouncedTrace {
                trace_id: self.trace_id,
                parent: Some(self.span_id),
                flags: self.flags,
                state: None,
                link: None,
            }),
        };
        let span = announce(announced, open);
        let needs_ids = span.with_subscriber(|(id, dispatch): (_, &Dispatch)| {
            let registry = dispatch.downcast_ref::<Registry>()?;
            let opened = registry.span(id)?;
            // If traces are not exported, the ids become context values of a root span.
            let needs_ids = opened.parent().is_none() && SpanIdentity::find(&opened).is_none();
            drop(opened);
            if needs_ids {
                let trace_id = HexDigits::<32>::from_bytes(&self.trace_id);
                let span_id = HexDigits::<16>::from_bytes(&span_id);
                record_ids(dispatch, id, trace_id.as_str(), span_id.as_str());
            }
            Some(needs_ids)
        });
        if needs_ids.flatten() == Some(true) {
            self.store_flags(&span);
        }
        span
    }

    /// Returns the text of the header.
    #[doc(hidden)]
    #[must_use]
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let mut text = *b"00-################################-################-##";
        let trace_id = HexDigits::<32>::from_bytes(&self.trace_id);
        let span_id = HexDigits::<16>::from_bytes(&self.span_id);
        let flags = HexDigits::<2>::from_bytes(&[self.flags]);
        text[3..35].copy_from_slice(trace_id.as_str().as_bytes());
        text[36..52].copy_from_slice(span_id.as_str().as_bytes());
        text[53..].copy_from_slice(flags.as_str().as_bytes());
        text
    }

    /// Parses a header. As the specification requires, a header of a later version than 00 may
    /// continue after 55 bytes, and the continuation is ignored.
    #[doc(hidden)]
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        // HTTP/1 parsers trim header values. This trims the values of other transports.
        let text = text.trim_ascii();
        let (known, extension) = text.split_at_checked(HEADER_LEN)?;
        let [version] = parse_hex(&known[0..2])?;
        let has_separators = [2, 35, 52].iter().all(|at| known[*at] == b'-');
        let has_valid_end = match version {
            0xFF => false,
            0 => extension.is_empty(),
            _ => matches!(extension, [] | [b'-', ..]),
        };
        if !has_separators || !has_valid_end {
            return None;
        }
        let [flags] = parse_hex(&known[53..55])?;
        Self::new(parse_hex(&known[3..35])?, parse_hex(&known[36..52])?, flags)
    }
}

impl FromStr for TraceParent {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let invalid = || {
            ParseError::new(
                "not a valid traceparent: write `00-<32 digits>-<16 digits>-<2 digits>`, in \
                 lower-case hexadecimal digits, with ids that are not zero",
            )
        };
        Self::parse(text.as_bytes()).ok_or_else(invalid)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.to_bytes()).unwrap_or_default()) // the bytes are ASCII
    }
}

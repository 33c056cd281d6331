//! The identity of a span: its ids in an OpenTelemetry trace.
//!
//! A layer that exports spans gives each span an identity. Lines, log records, error events and
//! outgoing headers use it, so that all have the same ids. Without that layer, no span has an
//! identity, and a reader only pays for one relaxed load.
//!
//! A new identity is provisional: [`SpanIdentity::replace`] may move the span to another trace. It
//! becomes *frozen* when the span is entered, when it has a first child or event, or when its
//! context is read. After that, a line or a header may contain the ids.

use std::{
    error::Error,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tracing::{Dispatch, Span, Subscriber};
use tracing_core::span::{Id, Record};
use tracing_subscriber::{
    Registry,
    registry::{LookupSpan, SpanRef},
};

use crate::{
    context_callsites::{ids_callsite, record_with},
    internal::HexDigits,
};

/// The ids of a span, and the sampling decision about its trace.
///
/// Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct SpanIdentity {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    flags: u8,
    state: Option<Arc<str>>,
}

/// The flag of `traceparent` for a sampled trace.
pub const SAMPLED: u8 = 0b0000_0001;

/// The flag of `traceparent`, Level 2, for a random trace id.
pub const RANDOM: u8 = 0b0000_0010;

/// The identity in the extensions of a span.
#[derive(Debug)]
struct StoredIdentity {
    identity: SpanIdentity,
    is_frozen: AtomicBool,
}

/// The reason why the identity of a span was not replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotReplaced {
    /// A line or a header may already contain the ids.
    Frozen,
    /// The span has no identity, or the subscriber is not built on [`Registry`].
    NoIdentity,
}

/// Whether a span of this process has ever had an identity.
static EXIST: AtomicBool = AtomicBool::new(false);

impl SpanIdentity {
    /// Creates the identity of a span. `state` is the W3C `tracestate` after the sampler has
    /// updated it.
    #[must_use]
    pub fn new(trace_id: [u8; 16], span_id: [u8; 8], flags: u8, state: Option<Arc<str>>) -> Self {
        Self {
            trace_id,
            span_id,
            flags,
            state,
        }
    }

    /// Returns the id of the trace.
    #[must_use]
    pub fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    /// Returns the id of the span.
    #[must_use]
    pub fn span_id(&self) -> [u8; 8] {
        self.span_id
    }

    /// Returns the id of the trace as 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn trace_id_digits(&self) -> HexDigits<32> {
        HexDigits::from_bytes(&self.trace_id)
    }

    /// Returns the id of the span as 16 lower-case hexadecimal digits.
    #[must_use]
    pub fn span_id_digits(&self) -> HexDigits<16> {
        HexDigits::from_bytes(&self.span_id)
    }

    /// Returns the flags of `traceparent`: [`SAMPLED`] and [`RANDOM`].
    #[must_use]
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// Returns whether the trace is sampled.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Returns the `tracestate`, if there is any.
    #[must_use]
    pub fn state(&self) -> Option<&Arc<str>> {
        self.state.as_ref()
    }

    /// Returns whether a span of this process has ever had an identity. Call this first, because it
    /// is only one relaxed load.
    #[inline]
    #[must_use]
    pub fn exist() -> bool {
        EXIST.load(Ordering::Relaxed)
    }

    /// Stores the identity in a new span. It is not frozen yet.
    pub fn attach<R: for<'s> LookupSpan<'s>>(self, span: &SpanRef<'_, R>) {
        EXIST.store(true, Ordering::Relaxed);
        let stored = StoredIdentity {
            identity: self,
            is_frozen: AtomicBool::new(false),
        };
        drop(span.extensions_mut().replace(stored));
    }

    /// Returns the identity of a span. Does not freeze it.
    #[must_use]
    pub fn find<R: for<'s> LookupSpan<'s>>(span: &SpanRef<'_, R>) -> Option<Self> {
        if !Self::exist() {
            return None;
        }
        let extensions = span.extensions();
        let stored = extensions.get::<StoredIdentity>()?;
        Some(stored.identity.clone())
    }

    /// Returns the identity of a span, and freezes it, because a line or a header will contain the
    /// ids.
    pub fn freeze<R: for<'s> LookupSpan<'s>>(span: &SpanRef<'_, R>) -> Option<Self> {
        if !Self::exist() {
            return None;
        }
        let extensions = span.extensions();
        let stored = extensions.get::<StoredIdentity>()?;
        // Do not store the flag again, which would invalidate the cache line of other threads.
        if !stored.is_frozen.load(Ordering::Relaxed) {
            stored.is_frozen.store(true, Ordering::Relaxed);
        }
        Some(stored.identity.clone())
    }

    /// Returns the identity of an open span, and freezes it. Returns `None` if the span is disabled
    /// or has no identity.
    #[must_use]
    pub fn find_and_freeze(span: &Span) -> Option<Self> {
        if !Self::exist() {
            return None;
        }
        let identity = span.with_subscriber(|(id, dispatch): (_, &Dispatch)| {
            let registry = dispatch.downcast_ref::<Registry>()?;
            Self::freeze(&registry.span(id)?)
        });
        identity.flatten()
    }

    /// Returns the identity of `span`, or else of the nearest enclosing span with an identity, and
    /// freezes it.
    pub(crate) fn freeze_nearest<'a, R>(span: &SpanRef<'a, R>) -> Option<Self>
    where
        R: for<'s> LookupSpan<'s>,
    {
        if !Self::exist() {
            return None;
        }
        // Try the span itself first: it nearly always has an identity, and `scope()` costs a
        // registry look-up per span.
        let enclosing = || span.scope().skip(1).find_map(|span| Self::freeze(&span));
        Self::freeze(span).or_else(enclosing)
    }

    /// Returns the identity of the current span, or else of the nearest enclosing span with an
    /// identity, and freezes it.
    #[must_use]
    pub fn current() -> Option<Self> {
        if !Self::exist() {
            return None;
        }
        tracing::dispatcher::get_default(|dispatch| {
            let registry = dispatch.downcast_ref::<Registry>()?;
            let current = registry.current_span();
            Self::freeze_nearest(&registry.span(current.id()?)?)
        })
    }

    /// Replaces the identity of a span, if no line or header can contain its ids yet.
    ///
    /// Also records the ids into the span, so that layers that have stored the old ids update them.
    ///
    /// # Errors
    /// [`NotReplaced::Frozen`] if the identity is frozen, and [`NotReplaced::NoIdentity`] if the
    /// span has none.
    pub fn replace(self, dispatch: &Dispatch, id: &Id) -> Result<(), NotReplaced> {
        let registry = dispatch.downcast_ref::<Registry>();
        let span = registry.and_then(|registry| registry.span(id));
        let span = span.ok_or(NotReplaced::NoIdentity)?;
        let mut extensions = span.extensions_mut();
        let stored = extensions.get_mut::<StoredIdentity>();
        let stored = stored.ok_or(NotReplaced::NoIdentity)?;
        if *stored.is_frozen.get_mut() {
            return Err(NotReplaced::Frozen);
        }
        let (trace_id, span_id) = (self.trace_id_digits(), self.span_id_digits());
        let replaced = std::mem::replace(&mut stored.identity, self);
        drop(extensions);
        drop((span, replaced));
        record_ids(dispatch, id, trace_id.as_str(), span_id.as_str());
        Ok(())
    }
}

/// Records ids into a span, which need not have fields for them. The ids are *pinned*: fields of
/// spans and events do not override them.
pub(crate) fn record_ids(dispatch: &Dispatch, id: &Id, trace_id: &str, span_id: &str) {
    let callsite = ids_callsite();
    let values = [
        Some(&trace_id as &dyn tracing::Value),
        Some(&span_id as &dyn tracing::Value),
    ];
    let values = callsite.fields().value_set_all(&values);
    record_with(callsite, || dispatch.record(id, &Record::new(&values)));
}

impl fmt::Debug for SpanIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanIdentity")
            .field("trace_id", &self.trace_id_digits().as_str())
            .field("span_id", &self.span_id_digits().as_str())
            .field("flags", &self.flags)
            .field("state", &self.state)
            .finish()
    }
}

impl fmt::Display for NotReplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Frozen => {
                "the span was entered, has a child or an event, or its context was read: a line \
                 may have its ids already"
            }
            Self::NoIdentity => "the span is disabled, or its traces are not exported",
        })
    }
}

impl Error for NotReplaced {}

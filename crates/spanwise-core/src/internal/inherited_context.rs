//! The trace and the baggage that this process inherits from the process that started it.
//!
//! A root span belongs to the inherited trace, unless it has another trace, such as that of an HTTP
//! request. An exporter makes the root span a child of the inherited span. Without an exporter,
//! [`InheritedContextLayer`] records the inherited trace id on the root span.
//!
//! *Invariant:* The inherited context applies to code in the inherited trace, and to code in no
//! trace. Only the functions of [`InheritedContext`] decide this. A request has a trace even if its
//! span is disabled, so `spanwise-http` enters a request without a span with [`SpanlessRequest`].

use std::sync::{Arc, OnceLock};

use tracing::{
    Dispatch, Subscriber,
    dispatcher::WeakDispatch,
    span::{Attributes, Id},
};
use tracing_core::{Interest, Metadata};
use tracing_subscriber::{Layer, layer::Context as LayerContext, registry::LookupSpan};

use crate::{
    Context, TraceParent,
    internal::{
        FilterInterop, HexDigits, SpanIdentity, new_span_id, parse_hex, span_identity::record_ids,
        thread_state,
    },
};

/// The context that the parent process passed, as values of the W3C headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InheritedContext {
    /// The span of the parent process.
    pub parent: TraceParent,
    /// The `tracestate`, from [`parse_tracestate`](super::parse_tracestate).
    pub state: Option<Arc<str>>,
    /// The `baggage`, which has not been validated.
    pub baggage: Option<Arc<str>>,
}

static INHERITED: OnceLock<InheritedContext> = OnceLock::new();

/// Sets the context that this process inherits. Later calls change nothing.
pub fn inherit(context: InheritedContext) {
    let _ = INHERITED.set(context);
}

impl InheritedContext {
    /// Returns the context that this process inherits, if there is one.
    #[inline]
    #[must_use]
    pub fn for_process() -> Option<&'static Self> {
        INHERITED.get()
    }

    /// Returns the context that this process inherits, if it belongs to the trace `trace_id`.
    #[must_use]
    pub fn for_trace(trace_id: [u8; 16]) -> Option<&'static Self> {
        Self::for_process().filter(|inherited| inherited.parent.trace_id() == trace_id)
    }

    /// Returns the context that this process inherits, unless the thread is in a
    /// [`SpanlessRequest`], whose trace no span shows. Callers must have checked that no current
    /// span has a trace.
    #[must_use]
    pub fn if_in_no_trace() -> Option<&'static Self> {
        Self::for_process().filter(|_| !SpanlessRequest::is_entered())
    }

    /// Returns the context that this process inherits, if it applies to code in the span context
    /// that `span_context` returns. Calls `span_context` only if this process inherits a context.
    #[must_use]
    pub fn applicable_to(span_context: impl FnOnce() -> Context) -> Option<&'static Self> {
        Self::for_process()?;
        match span_context().get("trace_id") {
            Some(trace_id) => Self::for_trace(parse_hex(trace_id.as_bytes())?),
            None => Self::if_in_no_trace(),
        }
    }
}

/// A guard that marks the thread as running a request whose trace is not stored in a span, for
/// example because the span is disabled. The inherited context does not apply to the request.
///
/// A task that the request spawns is not part of the request.
#[derive(Debug)]
pub struct SpanlessRequest {
    was_entered: bool,
}

impl SpanlessRequest {
    /// Enters the request on this thread, until the value is dropped.
    #[must_use]
    pub fn enter() -> Self {
        Self {
            was_entered: thread_state::with(|state| state.is_in_spanless_request.replace(true)),
        }
    }

    fn is_entered() -> bool {
        thread_state::with(|state| state.is_in_spanless_request.get())
    }
}

impl Drop for SpanlessRequest {
    fn drop(&mut self) {
        thread_state::with(|state| state.is_in_spanless_request.set(self.was_entered));
    }
}

/// Records the inherited trace id and a new span id on each root span without a trace, so that the
/// lines of the span have them.
///
/// Add this layer after the layers that read the ids. It records the ids while the span opens, so
/// the other layers must receive the span first.
#[derive(Debug, Default)]
pub struct InheritedContextLayer {
    dispatch: OnceLock<WeakDispatch>,
    filter_interop: FilterInterop,
}

impl InheritedContextLayer {
    fn record_inherited_trace(&self, id: &Id, inherited: &InheritedContext) -> Option<()> {
        let dispatch = self.dispatch.get()?.upgrade()?;
        let trace_id = HexDigits::<32>::from_bytes(&inherited.parent.trace_id());
        let span_id = HexDigits::<16>::from_bytes(&new_span_id());
        record_ids(&dispatch, id, trace_id.as_str(), span_id.as_str());
        Some(())
    }
}

impl<S> Layer<S> for InheritedContextLayer
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.filter_interop.detect(dispatch);
        let _ = self.dispatch.set(dispatch.downgrade());
    }

    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        self.filter_interop.always_or_sometimes()
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: LayerContext<'_, S>) {
        let begins_trace = ctx.span(id).is_some_and(|span| {
            span.parent().is_none()
                && SpanIdentity::find(&span).is_none()
                && Context::from_span(&span).get("trace_id").is_none()
        });
        // A span with `parent: None` is not part of the request in which it is opened.
        let inherited = match attrs.is_root() {
            true => InheritedContext::for_process(),
            false => InheritedContext::if_in_no_trace(),
        };
        if let Some(inherited) = inherited.filter(|_| begins_trace) {
            self.record_inherited_trace(id, inherited);
        }
    }
}

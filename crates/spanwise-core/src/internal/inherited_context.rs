//! The trace and the baggage that this process inherits from the process that started it.
//!
//! The root spans of the process belong to this trace. An exporter makes them children of the
//! inherited span. Without an exporter, [`InheritedContextLayer`] records the inherited trace id on
//! them.

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
    internal::{FilterInterop, HexDigits, SpanIdentity, new_span_id, span_identity::record_ids},
};

/// The context that the parent process passed, in the texts of the W3C headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InheritedContext {
    /// The span of the parent process.
    pub parent: TraceParent,
    /// The `tracestate`, unchecked.
    pub state: Option<Arc<str>>,
    /// The `baggage`, unchecked.
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
    pub fn of_process() -> Option<&'static Self> {
        INHERITED.get()
    }

    /// Returns the context that this process inherits, if it belongs to this trace.
    #[must_use]
    pub fn of_trace(trace_id: [u8; 16]) -> Option<&'static Self> {
        Self::of_process().filter(|inherited| inherited.parent.trace_id() == trace_id)
    }
}

/// Records ids on each root span without a trace, so that its lines have them: the inherited trace
/// id and a new span id.
///
/// Add this layer after the layers that read the ids. It records the ids while the span opens, so
/// the other layers must receive the span first.
#[derive(Debug, Default)]
pub struct InheritedContextLayer {
    dispatch: OnceLock<WeakDispatch>,
    filter_interop: FilterInterop,
}

impl InheritedContextLayer {
    fn record_parent(&self, id: &Id) -> Option<()> {
        let inherited = InheritedContext::of_process()?;
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
        self.filter_interop.interest_in_all()
    }

    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, ctx: LayerContext<'_, S>) {
        let begins_trace = ctx.span(id).is_some_and(|span| {
            span.parent().is_none()
                && SpanIdentity::find(&span).is_none()
                && Context::from_span(&span).get("trace_id").is_none()
        });
        if begins_trace {
            self.record_parent(id);
        }
    }
}

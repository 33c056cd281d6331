//! Data of a request that code inside it needs, besides the fields of its span: trace, baggage and
//! recorded fields.
//!
//! Outgoing calls, and functions such as [`record`](crate::record), find the data by walking up the
//! span tree. If the span cannot store the data, a thread-local has it while the request runs.

use std::{cell::RefCell, sync::Arc};

use http::HeaderValue;
use spanwise_core::internal::inherited_context::SpanlessRequest;
use tracing::{Dispatch, Span, Subscriber};
use tracing_subscriber::{Registry, registry::LookupSpan};

use crate::{baggage::Baggage, server::RecordedFields, trace_context::TraceContext};

/// The data of a received or sent request, stored in the extensions of its span.
#[derive(Debug)]
pub(crate) struct RequestContext {
    /// The trace, with the span id of the request.
    pub(crate) trace: TraceContext,
    /// The baggage, received or inherited from the parent process. It has no built-in context key,
    /// except for a `tenant_id` that the server has adopted.
    pub(crate) baggage: Baggage,
    /// The request id, if the span is disabled. If the span is enabled, the id is in the `Context`.
    pub(crate) request_id: Option<HeaderValue>,
    /// The tenant id, if the span is disabled. If the span is enabled, the id is in the `Context`.
    pub(crate) tenant_id: Option<String>,
    /// The values that the handler records. Present for received requests, not for calls.
    pub(crate) recorded: Option<RecordedFields>,
}

thread_local! {
    /// The context of the request that runs on this thread, if the request's span cannot store it.
    static WITHOUT_SPAN: RefCell<Option<Arc<RequestContext>>> = const { RefCell::new(None) };
}

impl RequestContext {
    /// Stores the context in `span`. Returns `false` if the span is disabled, or if the subscriber
    /// is not based on [`Registry`].
    pub(crate) fn attach(self: Arc<Self>, span: &Span) -> bool {
        let attached = span.with_subscriber(|(id, dispatch): (_, &Dispatch)| {
            let registry = dispatch.downcast_ref::<Registry>()?;
            registry.span(id)?.extensions_mut().replace(self);
            Some(())
        });
        attached.flatten().is_some()
    }

    /// Returns the context of the nearest span with a context, starting at the current span.
    pub(crate) fn current() -> Option<Arc<Self>> {
        Self::nearest(|_| true)
    }

    /// Returns the context of the nearest received request, starting at the current span.
    pub(crate) fn current_received() -> Option<Arc<Self>> {
        Self::nearest(|request_context| request_context.recorded.is_some())
    }

    /// Returns the nearest context that `is_wanted` accepts. A context without a span, which always
    /// belongs to a received request, is used if no span has such a context.
    fn nearest(is_wanted: impl Fn(&Self) -> bool) -> Option<Arc<Self>> {
        let in_span = tracing::dispatcher::get_default(|dispatch| {
            let registry = dispatch.downcast_ref::<Registry>()?;
            let current = registry.current_span();
            let span = registry.span(current.id()?)?;
            span.scope().find_map(|span| {
                let extensions = span.extensions();
                let request_context = extensions.get::<Arc<Self>>();
                request_context
                    .filter(|request_context| is_wanted(request_context))
                    .cloned()
            })
        });
        // On an exiting thread, the thread-local may have been destroyed. In that case there is no
        // context.
        let without_span =
            || WITHOUT_SPAN.try_with(|request_context| request_context.borrow().clone());
        in_span.or_else(|| without_span().ok().flatten())
    }

    /// Makes the context current on this thread until the returned value is dropped. For requests
    /// whose span cannot store the context.
    pub(crate) fn enter(self: &Arc<Self>) -> Entered {
        let request_context = Some(Arc::clone(self));
        let previous = WITHOUT_SPAN.try_with(|current| current.replace(request_context));
        Entered {
            previous: previous.ok().flatten(),
            _spanless: SpanlessRequest::enter(),
        }
    }
}

/// Restores the previous context when it is dropped.
#[derive(Debug)]
pub(crate) struct Entered {
    previous: Option<Arc<RequestContext>>,
    /// Hides the trace that the parent process passed to this process, because the request has a
    /// trace of its own.
    _spanless: SpanlessRequest,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let previous = self.previous.take();
        // The replaced context is dropped outside of `try_with`. On an exiting thread, there is
        // nothing to restore.
        let _ = WITHOUT_SPAN.try_with(|current| current.replace(previous));
    }
}

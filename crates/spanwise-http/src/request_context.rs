//! What a request's span carries beside its fields, for everything that runs inside: found by going up the span tree.

use std::{cell::RefCell, sync::Arc};

use http::HeaderValue;
use tracing::{Dispatch, Span, Subscriber};
use tracing_subscriber::{Registry, registry::LookupSpan};

use crate::{baggage::Baggage, server::RecordedFields, trace_context::TraceContext};

/// Kept in the extensions of a span that stands for a request, received or sent.
#[derive(Debug)]
pub(crate) struct RequestContext {
    /// The trace, with the span's own id in it.
    pub(crate) trace: TraceContext,
    /// As it came with the request, without the keys that the server decides; empty where it came
    /// from nobody who is trusted.
    pub(crate) baggage: Baggage,
    /// Where the span is disabled, so that no context has it.
    pub(crate) request_id: Option<HeaderValue>,
    /// The same of the tenant.
    pub(crate) tenant_id: Option<String>,
    /// What is noted of a request that is received.
    pub(crate) recorded: Option<RecordedFields>,
}

thread_local! {
    /// That of the request whose code runs, where its span is disabled and carries nothing.
    static WITHOUT_SPAN: RefCell<Option<Arc<RequestContext>>> = const { RefCell::new(None) };
}

impl RequestContext {
    /// Hangs it on `span`. `false` where the span is disabled, or the subscriber is not built on [`Registry`].
    pub(crate) fn attach(self: Arc<Self>, span: &Span) -> bool {
        let attached = span.with_subscriber(|(id, dispatch): (_, &Dispatch)| {
            let registry = dispatch.downcast_ref::<Registry>()?;
            registry.span(id)?.extensions_mut().replace(self);
            Some(())
        });
        attached.flatten().is_some()
    }

    /// That of the nearest span, from the current one up.
    pub(crate) fn current() -> Option<Arc<Self>> {
        Self::nearest(|_| true)
    }

    /// That of the nearest span of a request that is received.
    pub(crate) fn received() -> Option<Arc<Self>> {
        Self::nearest(|request_context| request_context.recorded.is_some())
    }

    fn nearest(wanted: impl Fn(&Self) -> bool) -> Option<Arc<Self>> {
        let of_a_span = tracing::dispatcher::get_default(|dispatch| {
            let registry = dispatch.downcast_ref::<Registry>()?;
            let current = registry.current_span();
            let span = registry.span(current.id()?)?;
            span.scope().find_map(|span| {
                let extensions = span.extensions();
                let request_context = extensions.get::<Arc<Self>>();
                request_context
                    .filter(|request_context| wanted(request_context))
                    .cloned()
            })
        });
        // A thread that ends, and lets go of what it kept, has none any more.
        let without_span =
            || WITHOUT_SPAN.try_with(|request_context| request_context.borrow().clone());
        of_a_span.or_else(|| without_span().ok().flatten())
    }

    /// Lets code find it that runs on this thread, until what is returned is dropped: for spans that cannot carry it.
    pub(crate) fn enter(self: &Arc<Self>) -> Entered {
        let request_context = Some(Arc::clone(self));
        Entered(
            WITHOUT_SPAN
                .try_with(|current| current.replace(request_context))
                .ok()
                .flatten(),
        )
    }
}

/// Puts back what was there before.
#[derive(Debug)]
pub(crate) struct Entered(Option<Arc<RequestContext>>);

impl Drop for Entered {
    fn drop(&mut self) {
        let before = self.0.take();
        // What was there is let go of outside; a thread that ends needs nothing back.
        let _ = WITHOUT_SPAN.try_with(|current| current.replace(before));
    }
}

//! What a request's span carries beside its fields, for everything that runs inside: found by going up the span tree.

use std::sync::Arc;

use tracing::{Dispatch, Span, Subscriber};
use tracing_subscriber::{Registry, registry::LookupSpan};

use crate::{baggage::Baggage, trace_context::TraceContext};

/// Kept in the extensions of a span that stands for a request, received or sent.
#[derive(Debug)]
pub(crate) struct Carried {
    /// The trace, with the span's own id in it.
    pub(crate) trace: TraceContext,
    /// As it came with the request; empty where it came from nobody who is trusted.
    pub(crate) baggage: Baggage,
}

impl Carried {
    /// Hangs it on `span`. Nothing where the span is disabled, or the subscriber is not built on [`Registry`].
    pub(crate) fn attach(self: Arc<Self>, span: &Span) {
        span.with_subscriber(|(id, dispatch): (_, &Dispatch)| {
            let registry = dispatch.downcast_ref::<Registry>()?;
            registry.span(id)?.extensions_mut().replace(self);
            Some(())
        });
    }

    /// That of the nearest span, from the current one up.
    pub(crate) fn current() -> Option<Arc<Self>> {
        tracing::dispatcher::get_default(|dispatch| {
            let registry = dispatch.downcast_ref::<Registry>()?;
            let current = registry.current_span();
            let span = registry.span(current.id()?)?;
            span.scope()
                .find_map(|span| span.extensions().get::<Arc<Self>>().cloned())
        })
    }
}

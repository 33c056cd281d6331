//! The public layer, [`SentryLayer`]. It contains the redaction layer, which contains the capture
//! layer.

use std::sync::Arc;

use spanwise_core::{
    LayerExt as _, Redact, Redacted,
    export::{is_delivering, is_sender_thread},
    forward, forward_downcast,
};
use tracing::{Event, Subscriber};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use crate::{
    capture_layer::CaptureLayer, capture_scope::may_be_capturing, pipeline::Pipeline,
    routing::Routings,
};

/// Sends errors to Sentry, each with the tags and breadcrumbs of its request. Built by
/// [`Sentry::builder`](crate::Sentry::builder).
///
/// The layer does not filter the events of other layers, with one exception. It hides the events of
/// the HTTP client on sender threads, because they may show the key of the DSN.
///
/// The layer itself applies the policy of [`SentryBuilder::redact`](crate::SentryBuilder::redact).
/// Further wrappers, such as a level filter, may wrap it.
#[derive(Debug)]
pub struct SentryLayer {
    inner: Redacted<CaptureLayer>,
    pipeline: Arc<Pipeline>,
    routings: Routings,
}

impl SentryLayer {
    pub(crate) fn new(pipeline: &Arc<Pipeline>, policy: Arc<dyn Redact>) -> Self {
        let capture = CaptureLayer::new(Arc::clone(pipeline));
        Self {
            inner: capture
                .redacted(policy)
                .report(pipeline.exporter.report().clone())
                .wants_every_event(),
            pipeline: Arc::clone(pipeline),
            routings: Routings::default(),
        }
    }

    /// Returns whether the event may be sent or become a breadcrumb. Only such events are redacted.
    #[inline]
    fn wants(&self, event: &Event<'_>) -> bool {
        let options = &self.pipeline.options;
        self.routings.may_use(event.metadata(), options) && !is_own_event()
    }
}

/// Returns whether this thread is the sender thread of an exporter, or runs Sentry's client. Events
/// that such a thread logs are not sent, because sending one event could cause the next.
pub(crate) fn is_own_event() -> bool {
    is_sender_thread() || may_be_capturing()
}

impl<S> Layer<S> for SentryLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    forward!(inner: on_register_dispatch, on_layer, register_callsite, enabled, max_level_hint);

    /// Hides the events of the HTTP client from other layers, too, because they show requests, and
    /// each request contains the key of the DSN.
    #[inline]
    fn event_enabled(&self, event: &Event<'_>, ctx: Context<'_, S>) -> bool {
        !is_delivering() && Layer::<S>::event_enabled(&self.inner, event, ctx)
    }

    forward!(inner: on_new_span, on_record, on_follows_from, on_enter, on_exit, on_close, on_id_change);
    forward_downcast!(this, id => Layer::<S>::downcast_raw(&this.inner, id));

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        if self.wants(event) {
            self.inner.on_event(event, ctx);
        }
    }
}

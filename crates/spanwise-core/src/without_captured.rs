//! A wrapper that hides events that are enabled only for a recorder.

use tracing::{Event, Subscriber};
use tracing_core::Metadata;
use tracing_subscriber::{Layer, layer::Context};

use crate::{
    SinkFilter, forward, forward_downcast,
    internal::{CallsitePlans, Visibility, VisibilityCache},
};

/// Hides from the inner layer the events that are enabled only for a recorder. Created by
/// [`LayerExt::without_captured`](crate::LayerExt::without_captured).
#[derive(Debug)]
pub struct WithoutCaptured<L> {
    inner: L,
    sink_filter: SinkFilter,
    plans: CallsitePlans<VisibilityCache>,
}

impl<L> WithoutCaptured<L> {
    pub(crate) fn new(inner: L, sink_filter: SinkFilter) -> Self {
        Self {
            inner,
            sink_filter,
            plans: CallsitePlans::default(),
        }
    }

    fn visibility<S: Subscriber>(&self, event: &Event<'_>, ctx: &Context<'_, S>) -> Visibility {
        let cache = self
            .plans
            .get(event.metadata(), |_| VisibilityCache::default());
        self.sink_filter.visibility(cache, event, ctx)
    }
}

impl<S, L> Layer<S> for WithoutCaptured<L>
where
    S: Subscriber,
    L: Layer<S>,
{
    forward!(inner: on_register_dispatch, on_layer, register_callsite, max_level_hint, on_new_span);
    forward!(inner: on_record, on_follows_from, on_enter, on_exit, on_close, on_id_change);
    forward_downcast!(this, id => this.inner.downcast_raw(id));

    /// For an event that is not forwarded, returns true and does not call the inner layer. An inner
    /// filter would keep its decision until it receives an event, which may be another one.
    fn enabled(&self, metadata: &Metadata<'_>, ctx: Context<'_, S>) -> bool {
        metadata.is_event() && !self.sink_filter.may_show(metadata, &ctx)
            || self.inner.enabled(metadata, ctx)
    }

    fn event_enabled(&self, event: &Event<'_>, ctx: Context<'_, S>) -> bool {
        self.visibility(event, &ctx) != Visibility::Visible || self.inner.event_enabled(event, ctx)
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        if self.visibility(event, &ctx) == Visibility::Visible {
            self.inner.on_event(event, ctx);
        }
    }
}

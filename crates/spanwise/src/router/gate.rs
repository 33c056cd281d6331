//! Hides from a layer the events that no sink of this layer gets.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use spanwise_core::{EventContext, forward, forward_downcast, internal::SinkMask};
use tracing::{Event, Subscriber};
use tracing_subscriber::{Layer, layer::Context};

/// Forwards the events that a sink behind the gate gets, events that no router handled, and all
/// spans.
#[derive(Debug)]
pub(crate) struct RouteGate<L> {
    inner: L,
    sinks: GateBits,
}

/// The router bits of the sinks behind a gate. 0 if the stack has no routes. A reload changes them.
pub(crate) type GateBits = Arc<AtomicU64>;

impl<L> RouteGate<L> {
    pub(crate) fn new(inner: L, sinks: GateBits) -> Self {
        Self { inner, sinks }
    }
}

impl<S, L> Layer<S> for RouteGate<L>
where
    S: Subscriber,
    L: Layer<S>,
{
    #[inline]
    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let sinks = self.sinks.load(Ordering::Relaxed);
        if sinks != 0 {
            let routed = SinkMask::current().bits();
            // The header of a dump has the mask of its trigger, which may have other sinks. The
            // recorder sends the header to the sinks of the buffered lines.
            let is_hidden = routed != 0 && routed & sinks == 0;
            if is_hidden && !EventContext::forces_emit(event.metadata()) {
                return;
            }
        }
        self.inner.on_event(event, ctx);
    }

    forward!(inner: on_register_dispatch, on_layer, register_callsite, enabled, max_level_hint);
    forward!(inner: event_enabled, on_new_span, on_record, on_follows_from, on_enter, on_exit);
    forward!(inner: on_close, on_id_change);
    forward_downcast!(this, id => this.inner.downcast_raw(id));
}

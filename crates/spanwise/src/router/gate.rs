//! The wrapper around a layer that hides the events that no sink of this layer gets.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use spanwise_core::{EventContext, forward, forward_downcast, internal::SinkMask};
use tracing::{Event, Subscriber};
use tracing_subscriber::{Layer, layer::Context};

/// Forwards the events that a sink behind the gate gets, events that no router has handled, and all
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
            let event_sinks = SinkMask::current().bits();
            let is_hidden = event_sinks != 0 && event_sinks & sinks == 0;
            // The header of a dump is forced, and is not hidden. Its mask is that of the trigger,
            // but the recorder sends it to the sinks of the buffered lines.

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

//! The layer that forwards events and spans to the current [`Generation`], which is the router and
//! the layers of one configuration.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use spanwise_core::{Layers, SinkFilter, forward_downcast};
use tracing::{Dispatch, Event, Metadata};
use tracing_core::{
    Interest,
    dispatcher::WeakDispatch,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, Registry, layer::Context};

use super::LiveCell;
use crate::router::{Routed, Router};

/// The layers of a [`LineGroup`](super::LineGroup), or the [fixed](LiveLayers::fixed) layers.
/// Several generations may share them.
pub(crate) type SharedLayer = Arc<Layers<Registry>>;

/// The router and the layers of one configuration.
#[derive(Debug)]
pub(crate) struct Generation {
    routed: Routed<SharedLayers>,
}

/// The layers of a generation. Each call is forwarded to all of them.
#[derive(Debug)]
struct SharedLayers(Vec<SharedLayer>);

impl Generation {
    /// Creates a generation. `shown` selects the events to show, if there is a recorder for which
    /// other events are enabled.
    pub(crate) fn new(
        layers: Vec<SharedLayer>,
        router: Arc<Router>,
        shown: Option<SinkFilter>,
    ) -> Self {
        Self {
            routed: Routed::new(SharedLayers(layers), router, shown),
        }
    }

    /// Decides now about all callsites that an earlier generation knows, so that their next events
    /// need not wait for the decision.
    pub(crate) fn plan_callsites_of(&self, earlier: &Self) {
        self.routed.plan_callsites_of(&earlier.routed);
    }
}

/// Forwards to the current generation.
pub(crate) struct LiveLayers {
    pub(crate) current: Arc<LiveCell>,
    pub(crate) shared: Arc<LiveShared>,
    /// The layers that every generation has. `downcast_raw` finds only these layers.
    pub(crate) fixed: SharedLayer,
}

/// The state of [`LiveLayers`] that a reload reads and changes.
#[derive(Debug, Default)]
pub(crate) struct LiveShared {
    /// The subscriber that contains [`LiveLayers`].
    dispatch: OnceLock<WeakDispatch>,
    /// Whether a sink has ever had a sampler, which must see each event in `event_enabled`. If not,
    /// that method is not forwarded.
    has_samplers: AtomicBool,
}

impl LiveShared {
    /// Stores whether a sink has a sampler. A `true` from an earlier call stays.
    pub(crate) fn set_has_samplers(&self, has_samplers: bool) {
        self.has_samplers.fetch_or(has_samplers, Ordering::Relaxed);
    }

    /// Returns the subscriber that contains [`LiveLayers`]. Returns `None` before the subscriber is
    /// built and after it was dropped.
    pub(crate) fn dispatch(&self) -> Option<Dispatch> {
        self.dispatch.get()?.upgrade()
    }
}

impl Layer<Registry> for LiveLayers {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        let _ = self.shared.dispatch.set(dispatch.downgrade());
        self.current.load().routed.on_register_dispatch(dispatch);
    }

    fn register_callsite(&self, callsite: &'static Metadata<'static>) -> Interest {
        self.current.load().routed.register_callsite(callsite)
    }

    fn event_enabled(&self, event: &Event<'_>, ctx: Context<'_, Registry>) -> bool {
        !self.shared.has_samplers.load(Ordering::Relaxed)
            || self.current.load().routed.event_enabled(event, ctx)
    }

    #[inline]
    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, Registry>) {
        self.current.load().routed.on_event(event, ctx);
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, Registry>) {
        self.current.load().routed.on_new_span(attrs, id, ctx);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, Registry>) {
        self.current.load().routed.on_record(id, values, ctx);
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, ctx: Context<'_, Registry>) {
        self.current.load().routed.on_follows_from(id, follows, ctx);
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, Registry>) {
        self.current.load().routed.on_enter(id, ctx);
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, Registry>) {
        self.current.load().routed.on_exit(id, ctx);
    }

    fn on_close(&self, id: Id, ctx: Context<'_, Registry>) {
        self.current.load().routed.on_close(id, ctx);
    }

    fn on_id_change(&self, old: &Id, new: &Id, ctx: Context<'_, Registry>) {
        self.current.load().routed.on_id_change(old, new, ctx);
    }

    forward_downcast!(this, id => {
        // Only the fixed layers are found. A reload may drop others while the caller has the
        // pointer.
        this.fixed.downcast_raw(id)
    });
}

impl fmt::Debug for LiveLayers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveLayers").finish_non_exhaustive()
    }
}

impl Layer<Registry> for SharedLayers {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.0
            .iter()
            .for_each(|layers| layers.on_register_dispatch(dispatch));
    }

    fn register_callsite(&self, callsite: &'static Metadata<'static>) -> Interest {
        let interests = self
            .0
            .iter()
            .map(|layers| layers.register_callsite(callsite));
        interests.fold(Interest::always(), |all, interest| {
            if all.is_always() && interest.is_always() {
                all
            } else {
                Interest::sometimes()
            }
        })
    }

    fn event_enabled(&self, event: &Event<'_>, ctx: Context<'_, Registry>) -> bool {
        self.0
            .iter()
            .all(|layers| layers.event_enabled(event, ctx.clone()))
    }

    #[inline]
    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, Registry>) {
        for layers in &self.0 {
            layers.on_event(event, ctx.clone());
        }
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, Registry>) {
        for layers in &self.0 {
            layers.on_new_span(attrs, id, ctx.clone());
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, Registry>) {
        for layers in &self.0 {
            layers.on_record(id, values, ctx.clone());
        }
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, ctx: Context<'_, Registry>) {
        for layers in &self.0 {
            layers.on_follows_from(id, follows, ctx.clone());
        }
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, Registry>) {
        for layers in &self.0 {
            layers.on_enter(id, ctx.clone());
        }
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, Registry>) {
        for layers in &self.0 {
            layers.on_exit(id, ctx.clone());
        }
    }

    fn on_close(&self, id: Id, ctx: Context<'_, Registry>) {
        for layers in &self.0 {
            layers.on_close(id.clone(), ctx.clone());
        }
    }

    fn on_id_change(&self, old: &Id, new: &Id, ctx: Context<'_, Registry>) {
        for layers in &self.0 {
            layers.on_id_change(old, new, ctx.clone());
        }
    }
}

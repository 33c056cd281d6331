//! A list of layers that is built at run time.

use std::fmt;

use tracing::{Dispatch, Event, Subscriber};
use tracing_core::{
    Interest, LevelFilter, Metadata,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context};

use crate::{
    forward_downcast,
    internal::{per_layer_filters::is_filter_marker, reentrancy::InLayers},
};

/// A list of layers. An event or a span reaches all of them, unless one of them disables it, for
/// example in [`enabled`](Layer::enabled). It then reaches none.
///
/// Use it instead of a `Vec<Box<dyn Layer>>`. In tracing-subscriber 0.3.23, an empty `Vec` disables
/// all events and spans, and the layers in a `Vec` do not receive the dispatcher. An empty `Layers`
/// has no effect.
///
/// ```
/// use spanwise_core::Layers;
/// use tracing_subscriber::{Registry, prelude::*};
///
/// let mut layers = Layers::<Registry>::default();
/// if std::env::args().any(|arg| arg == "--verbose") {
///     layers.push(tracing_subscriber::fmt::layer());
/// }
/// let _default = tracing_subscriber::registry().with(layers).set_default();
/// assert!(tracing::enabled!(tracing::Level::ERROR));
/// ```
pub struct Layers<S> {
    layers: Vec<Box<dyn Layer<S> + Send + Sync>>,
}

impl<S: Subscriber> Layers<S> {
    /// Adds a layer at the end. It receives each event after the earlier layers.
    pub fn push(&mut self, layer: impl Layer<S> + Send + Sync) {
        self.layers.push(Box::new(layer));
    }

    /// Calls `call` with each layer. During the calls, the panic hook does not log: see
    /// [`is_logging`].
    ///
    /// [`is_logging`]: crate::internal::reentrancy::is_logging
    fn for_each_layer(&self, call: impl FnMut(&Box<dyn Layer<S> + Send + Sync>)) {
        let _inside = InLayers::enter();
        self.layers.iter().for_each(call);
    }
}

impl<S: Subscriber> Layer<S> for Layers<S> {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.for_each_layer(|layer| layer.on_register_dispatch(dispatch));
    }

    fn on_layer(&mut self, subscriber: &mut S) {
        for layer in &mut self.layers {
            layer.on_layer(subscriber);
        }
    }

    /// Returns *never* if a layer returns it. If none does, returns *sometimes* if a layer returns
    /// that, or else *always*. The layers after the first *never* are not called, as in a tree of
    /// `Layered`.
    ///
    /// There is one exception: a layer whose hint is OFF may return *never* although its
    /// [`enabled`](Layer::enabled) returns true, as an empty `Vec` of layers does. So the *never*
    /// of such a layer counts as *sometimes*, and `enabled` decides.
    fn register_callsite(&self, callsite: &'static Metadata<'static>) -> Interest {
        let _inside = InLayers::enter();
        let mut combined = Interest::always();
        for layer in &self.layers {
            let interest = layer.register_callsite(callsite);
            if interest.is_never() && layer.max_level_hint() != Some(LevelFilter::OFF) {
                return interest;
            }
            if !interest.is_always() {
                combined = Interest::sometimes();
            }
        }
        combined
    }

    fn enabled(&self, metadata: &Metadata<'_>, ctx: Context<'_, S>) -> bool {
        let _inside = InLayers::enter();
        self.layers
            .iter()
            .all(|layer| layer.enabled(metadata, ctx.clone()))
    }

    /// Returns the most verbose hint of the layers. If one layer has no hint, returns none, because
    /// that layer may want every level.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        let hints: Option<Vec<LevelFilter>> = self
            .layers
            .iter()
            .map(|layer| layer.max_level_hint())
            .collect();
        hints?.into_iter().max()
    }

    fn event_enabled(&self, event: &Event<'_>, ctx: Context<'_, S>) -> bool {
        let _inside = InLayers::enter();
        self.layers
            .iter()
            .all(|layer| layer.event_enabled(event, ctx.clone()))
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        self.for_each_layer(|layer| layer.on_new_span(attrs, id, ctx.clone()));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        self.for_each_layer(|layer| layer.on_record(id, values, ctx.clone()));
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, ctx: Context<'_, S>) {
        self.for_each_layer(|layer| layer.on_follows_from(id, follows, ctx.clone()));
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        self.for_each_layer(|layer| layer.on_event(event, ctx.clone()));
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        self.for_each_layer(|layer| layer.on_enter(id, ctx.clone()));
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        self.for_each_layer(|layer| layer.on_exit(id, ctx.clone()));
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        self.for_each_layer(|layer| layer.on_close(id.clone(), ctx.clone()));
    }

    fn on_id_change(&self, old: &Id, new: &Id, ctx: Context<'_, S>) {
        self.for_each_layer(|layer| layer.on_id_change(old, new, ctx.clone()));
    }

    // Defines `downcast_raw`. If the query is not for the type `Layers`, this code searches the
    // layers.
    forward_downcast!(this, id => {
        let mut results = this.layers.iter().map(|layer| layer.downcast_raw(id));
        if is_filter_marker(id) {
            // tracing-subscriber queries this type to learn whether the layer has a per-layer
            // filter. The list has one if all of its layers have one, as in a tree of `Layered`.
            let markers: Option<Vec<*const ()>> = results.collect();
            markers.and_then(|pointers| pointers.first().copied())
        } else {
            results.find_map(|pointer| pointer)
        }
    });
}

impl<S> Default for Layers<S> {
    fn default() -> Self {
        Self { layers: Vec::new() }
    }
}

impl<S> fmt::Debug for Layers<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layers")
            .field("len", &self.layers.len())
            .finish()
    }
}

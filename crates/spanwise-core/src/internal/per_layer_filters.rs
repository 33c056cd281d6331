//! Interoperation with per-layer filters (`with_filter`).

use std::{
    any::TypeId,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use tracing::{Dispatch, Subscriber};
use tracing_core::{
    Interest, Kind, Level, LevelFilter, Metadata, callsite::DefaultCallsite, metadata,
};
use tracing_subscriber::{Layer, Registry, layer::Identity, registry::LookupSpan as _};

/// Detects layers with a per-layer filter (`with_filter`) in the stack, and chooses an interest
/// with which they work.
///
/// tracing-subscriber 0.3.23 stores their decisions in a thread-local, and `enabled!` leaves one
/// behind. The next event of a callsite that is *always* enabled then uses that decision, and may
/// be lost. So the interest is *sometimes* beside such layers: each event is decided anew. Without
/// them it is *always*, which costs nothing.
#[derive(Debug, Default)]
pub struct FilterInterop {
    has_filters: AtomicBool,
}

impl FilterInterop {
    /// Inspects the stack. Call it in `on_register_dispatch`, when the stack is complete.
    pub fn detect(&self, dispatch: &Dispatch) {
        // A stack without a `Registry` cannot be inspected: assume that it has filters.
        let filter = dispatch.downcast_ref::<Registry>().is_none_or(has_filters);
        self.has_filters.store(filter, Ordering::Relaxed);
    }

    /// Returns the interest of a layer that wants every callsite, for `register_callsite`.
    #[must_use]
    pub fn interest(&self) -> Interest {
        if self.has_filters.load(Ordering::Relaxed) {
            Interest::sometimes()
        } else {
            Interest::always()
        }
    }

    /// Returns whether `layer` has a per-layer filter. A wrapper must forward every event to such a
    /// layer: the filter's decision on an event that does not arrive would apply to the next one.
    pub fn has_filter<S: Subscriber>(layer: &impl Layer<S>) -> bool {
        let marker = *FILTER_MARKER.get_or_init(filter_marker);
        marker.is_some_and(|marker| Self::contains_type(layer, marker))
    }

    /// Returns whether `layer`, or a layer inside it, has the type `id`.
    pub fn contains_type<S: Subscriber>(layer: &impl Layer<S>, id: TypeId) -> bool {
        #[expect(
            unsafe_code,
            reason = "the method is unsafe to call; the pointer is not dereferenced"
        )]
        // SAFETY: a caller that dereferences the pointer must know its type. Here it is only
        // compared with null.
        let found = unsafe { layer.downcast_raw(id) };
        found.is_some()
    }
}

static FILTER_MARKER: OnceLock<Option<TypeId>> = OnceLock::new();

/// Returns whether `id` is the type by which tracing-subscriber asks a layer for a per-layer
/// filter. The answers of a layer with a filter do not apply to the layers beside it.
pub(crate) fn is_filter_marker(id: TypeId) -> bool {
    *FILTER_MARKER.get_or_init(filter_marker) == Some(id)
}

/// Without filters, `Registry` returns *always* for every callsite. With filters it returns what
/// they returned since the last call. So let a filter return *never*, and ask the registry.
fn has_filters(registry: &Registry) -> bool {
    static CALLSITE: DefaultCallsite = DefaultCallsite::new(&PROBE);
    static PROBE: Metadata<'static> = metadata! {
        name: "probe", target: "spanwise", level: Level::ERROR, fields: &[], callsite: &CALLSITE, kind: Kind::HINT
    };
    let filter = Identity::new().with_filter(LevelFilter::OFF);
    Layer::<Registry>::register_callsite(&filter, &PROBE);
    let answer = registry.register_callsite(&PROBE);
    // A registry without filters leaves the *never* behind: a temporary one with a filter takes it.
    let mut taker = Registry::default();
    let _ = taker.register_filter();
    taker.register_callsite(&PROBE);
    answer.is_never()
}

/// Returns the type by which tracing-subscriber asks for a per-layer filter. It is private, so let
/// it ask a layer of ours.
fn filter_marker() -> Option<TypeId> {
    let probe = TypeIdProbe::default();
    let _ = Layer::<Registry>::and_then(probe.clone(), Identity::new());
    probe.0.get().copied()
}

#[derive(Clone, Default)]
struct TypeIdProbe(std::sync::Arc<OnceLock<TypeId>>);

impl<S: Subscriber> Layer<S> for TypeIdProbe {
    #[expect(
        unsafe_code,
        reason = "the method is unsafe to call; this one returns no pointer"
    )]
    unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
        let _ = self.0.set(id);
        None
    }
}

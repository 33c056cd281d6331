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

/// Detects layers with a per-layer filter (`with_filter`) in the stack, and selects an interest
/// that works with them.
///
/// tracing-subscriber 0.3.23 stores the decisions of such filters in a thread-local, and `enabled!`
/// leaves a decision there. If a callsite is *always* enabled, its next event uses this old
/// decision, and may be lost. So if the stack has such layers, the interest is *sometimes*, and
/// each event is decided again. Without such layers, the interest is *always*, which costs nothing.
#[derive(Debug, Default)]
pub struct FilterInterop {
    has_filters: AtomicBool,
}

impl FilterInterop {
    /// Inspects the stack. Call it in `on_register_dispatch`, when the stack is complete.
    pub fn detect(&self, dispatch: &Dispatch) {
        // A stack without a `Registry` cannot be inspected, so assume that it has filters.
        let registry = dispatch.downcast_ref::<Registry>();
        let has_filters = registry.is_none_or(registry_has_filters);
        self.has_filters.store(has_filters, Ordering::Relaxed);
    }

    /// Returns the interest that a layer that wants every callsite returns from
    /// `register_callsite`.
    #[must_use]
    pub fn always_or_sometimes(&self) -> Interest {
        if self.has_filters.load(Ordering::Relaxed) {
            Interest::sometimes()
        } else {
            Interest::always()
        }
    }

    /// Returns whether `layer` has a per-layer filter. A wrapper must forward every event to such a
    /// layer, because the filter's decision about an event that was not forwarded would apply to
    /// the next event.
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
        // SAFETY: a caller that dereferences the pointer must know its type. Here the pointer is
        // only compared with null.
        let pointer = unsafe { layer.downcast_raw(id) };
        pointer.is_some()
    }
}

static FILTER_MARKER: OnceLock<Option<TypeId>> = OnceLock::new();

/// Returns whether `id` is the type that tracing-subscriber passes to `downcast_raw` to detect a
/// per-layer filter. A layer answers only for itself, so a list of layers must ask each member.
pub(crate) fn is_filter_marker(id: TypeId) -> bool {
    *FILTER_MARKER.get_or_init(filter_marker) == Some(id)
}

/// Returns whether the stack of `registry` has per-layer filters.
///
/// Without filters, `Registry` returns *always* for every callsite. With filters, it returns the
/// combined results of all filters that this thread has called since the last call of a registry.
/// So this function lets a temporary filter return *never*, and then calls the registry.
fn registry_has_filters(registry: &Registry) -> bool {
    static CALLSITE: DefaultCallsite = DefaultCallsite::new(&PROBE);
    static PROBE: Metadata<'static> = metadata! {
        name: "probe", target: "spanwise", level: Level::ERROR, fields: &[], callsite: &CALLSITE, kind: Kind::HINT
    };
    let filter = Identity::new().with_filter(LevelFilter::OFF);
    Layer::<Registry>::register_callsite(&filter, &PROBE);
    let interest = registry.register_callsite(&PROBE);
    // If `registry` has no filters, the *never* remains in the thread-local of tracing-subscriber.
    // A temporary registry with a filter removes it.
    let mut cleaner = Registry::default();
    let _ = cleaner.register_filter();
    cleaner.register_callsite(&PROBE);
    interest.is_never()
}

/// Returns the type that tracing-subscriber passes to `downcast_raw` to detect a per-layer filter.
/// The type is private, so this function lets tracing-subscriber pass it to our own layer.
fn filter_marker() -> Option<TypeId> {
    let probe = TypeIdProbe::default();
    let _ = Layer::<Registry>::and_then(probe.clone(), Identity::new());
    probe.0.get().copied()
}

/// A layer that stores the first type that `downcast_raw` is called with.
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

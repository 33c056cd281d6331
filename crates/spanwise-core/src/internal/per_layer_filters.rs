//! Living beside layers that filter for themselves.

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

/// Knows whether the stack holds layers with a filter of their own (`with_filter`), and answers `register_callsite` so that
/// they keep working.
///
/// tracing-subscriber 0.3.23 keeps their decisions in a thread-local that `enabled!` leaves behind: the next event of a
/// callsite that is *always* enabled then finds the decision of another one, and is lost. Where such layers live beside us we
/// answer *sometimes*, and the decision is made anew for each event. Where none does, we answer *always*, which costs nothing.
#[derive(Debug, Default)]
pub struct FilterInterop {
    has_filters: AtomicBool,
}

impl FilterInterop {
    /// Looks at the stack; call it in `on_register_dispatch`, when the stack is complete.
    pub fn detect(&self, dispatch: &Dispatch) {
        // A stack that is not built on `Registry` cannot be looked into: assume the worst.
        let filter = dispatch.downcast_ref::<Registry>().is_none_or(has_filters);
        self.has_filters.store(filter, Ordering::Relaxed);
    }

    /// What a layer that wants every callsite answers in `register_callsite`.
    #[must_use]
    pub fn interest(&self) -> Interest {
        if self.has_filters.load(Ordering::Relaxed) {
            Interest::sometimes()
        } else {
            Interest::always()
        }
    }

    /// Whether `layer` has a filter of its own. A wrapper around such a layer must hand it every event: the filter has decided about
    /// the event before, and what it decided holds for the next one if this one does not come.
    pub fn has_filter<S: Subscriber>(layer: &impl Layer<S>) -> bool {
        let marker = *FILTER_MARKER.get_or_init(filter_marker);
        marker.is_some_and(|marker| Self::contains_type(layer, marker))
    }

    /// Whether `layer`, or one inside it, is found by `id` in a look-up by type.
    pub fn contains_type<S: Subscriber>(layer: &impl Layer<S>, id: TypeId) -> bool {
        #[expect(
            unsafe_code,
            reason = "the method is unsafe to call; what it returns is not followed"
        )]
        // SAFETY: whoever uses the pointer has to know its type; here it is only seen whether there is one.
        let found = unsafe { layer.downcast_raw(id) };
        found.is_some()
    }
}

static FILTER_MARKER: OnceLock<Option<TypeId>> = OnceLock::new();

/// Whether a layer filters for itself, as `with_filter` makes it; then tracing-subscriber must not take what it answers for
/// the answer of the layers beside it.
pub(crate) fn is_filter_marker(id: TypeId) -> bool {
    *FILTER_MARKER.get_or_init(filter_marker) == Some(id)
}

/// `Registry` says *always* for every callsite, unless filters are registered with it: then it says what they said since it was
/// last probe. So let a filter say *never*, and ask.
fn has_filters(registry: &Registry) -> bool {
    static CALLSITE: DefaultCallsite = DefaultCallsite::new(&PROBE);
    static PROBE: Metadata<'static> = metadata! {
        name: "probe", target: "spanwise", level: Level::ERROR, fields: &[], callsite: &CALLSITE, kind: Kind::HINT
    };
    let filter = Identity::new().with_filter(LevelFilter::OFF);
    Layer::<Registry>::register_callsite(&filter, &PROBE);
    let answer = registry.register_callsite(&PROBE);
    // If nobody took what our filter said, a registry that has a filter does, and is thrown away.
    let mut taker = Registry::default();
    let _ = taker.register_filter();
    taker.register_callsite(&PROBE);
    answer.is_never()
}

/// The type by which tracing-subscriber asks a layer whether it filters for itself is private; so have it ask one of ours.
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
        reason = "the method is unsafe to call; this one hands out no pointer"
    )]
    unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
        let _ = self.0.set(id);
        None
    }
}

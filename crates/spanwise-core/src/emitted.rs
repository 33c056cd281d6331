//! A layer beside one that keeps events for later.

use tracing::{Event, Subscriber};
use tracing_subscriber::{Layer, layer::Context};

use crate::{CallsitePlans, Emission, EmissionCache, Verdict, forward::forward_all_but_events};

/// A layer that sees no event which is let through only to be kept. Made by [`LayerExt::emitted`](crate::LayerExt::emitted).
#[derive(Debug)]
pub struct Emitted<L> {
    inner: L,
    emission: Emission,
    plans: CallsitePlans<EmissionCache>,
}

impl<L> Emitted<L> {
    pub(crate) fn new(inner: L, emission: Emission) -> Self {
        Self {
            inner,
            emission,
            plans: CallsitePlans::default(),
        }
    }
}

impl<S, L> Layer<S> for Emitted<L>
where
    S: Subscriber,
    L: Layer<S>,
{
    forward_all_but_events!(inner);

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let cache = self
            .plans
            .get(event.metadata(), |_| EmissionCache::default());
        if self.emission.verdict(cache, event, &ctx) == Verdict::Emit {
            self.inner.on_event(event, ctx);
        }
    }
}

//! A registry of the sinks of one sampler.
//!
//! A sampler can outlive its sinks, for example if a test or a reload creates new layers. So the
//! registry keeps only the totals of a dropped sink.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, Ordering},
};

use spanwise_core::internal::{LimiterClock, sync::Mutex};

use crate::{
    sampled_sink::{SampledSink, SamplerStats},
    sampler::WeakSampler,
};

#[derive(Debug, Default)]
pub(crate) struct SinkRegistry {
    state: Mutex<State>,
    /// Whether there are several live sinks. Each event reads it, without the lock.
    has_several: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// The sinks that were not dropped, each with its index.
    live: Vec<(usize, Weak<SampledSink>)>,
    /// The totals of dropped sinks.
    dropped: SamplerStats,
}

impl SinkRegistry {
    /// Creates the state of a sink, with an index that no other live sink has.
    pub(crate) fn add(&self, clock: LimiterClock, sampler: WeakSampler) -> Arc<SampledSink> {
        let mut state = self.state.lock();
        let is_used = |index: &usize| state.live.iter().any(|(used, _)| used == index);
        let index = (0..).find(|index| !is_used(index)).unwrap_or_default();
        let sink = Arc::new(SampledSink::new(index, clock, sampler));
        state.live.push((index, Arc::downgrade(&sink)));
        self.update_has_several(&state);
        sink
    }

    /// Removes a sink that is being dropped.
    pub(crate) fn remove(&self, sink: &SampledSink) {
        let mut state = self.state.lock();
        state.live.retain(|(index, _)| *index != sink.index);
        state.dropped = [state.dropped, sink.stats()].into_iter().sum();
        self.update_has_several(&state);
    }

    pub(crate) fn live_sinks(&self) -> Vec<Arc<SampledSink>> {
        let state = self.state.lock();
        let live = state.live.iter();
        live.filter_map(|(_, sink)| sink.upgrade()).collect()
    }

    pub(crate) fn stats(&self) -> SamplerStats {
        let state = self.state.lock();
        let live = state.live.iter().filter_map(|(_, sink)| sink.upgrade());
        live.map(|sink| sink.stats()).chain([state.dropped]).sum()
    }

    /// Returns whether several sinks share the sampler.
    #[inline]
    pub(crate) fn has_several(&self) -> bool {
        self.has_several.load(Ordering::Relaxed)
    }

    fn update_has_several(&self, state: &State) {
        let has_several = state.live.len() > 1;
        self.has_several.store(has_several, Ordering::Relaxed);
    }
}

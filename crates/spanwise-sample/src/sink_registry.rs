//! The sinks that share a sampler.
//!
//! A sampler outlives its sinks where it is kept for its statistics, or where tests and reloads
//! make layers anew. So it does not hold what a sink has counted: of a sink that is gone only the
//! totals are left.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, Weak,
    atomic::{AtomicBool, Ordering},
};

use crate::{
    limiter_clock::LimiterClock,
    sampler::WeakSampler,
    suppression::{SamplerStats, SinkState},
};

#[derive(Debug, Default)]
pub(crate) struct SinkRegistry {
    state: Mutex<State>,
    /// Whether there is more than one.
    is_shared: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// By their numbers.
    live: Vec<(usize, Weak<SinkState>)>,
    gone: SamplerStats,
}

impl SinkRegistry {
    pub(crate) fn add(&self, time: LimiterClock, sampler: WeakSampler) -> Arc<SinkState> {
        let mut state = self.state();
        let is_taken = |number: &usize| state.live.iter().any(|(taken, _)| taken == number);
        let number = (0..).find(|number| !is_taken(number)).unwrap_or_default();
        let sink = Arc::new(SinkState::new(number, time, sampler));
        state.live.push((number, Arc::downgrade(&sink)));
        self.count(&state);
        sink
    }

    /// The sink is about to be dropped.
    pub(crate) fn remove(&self, sink: &SinkState) {
        let mut state = self.state();
        state.live.retain(|(number, _)| *number != sink.number());
        state.gone = [state.gone, sink.stats()].into_iter().sum();
        self.count(&state);
    }

    pub(crate) fn live(&self) -> Vec<Arc<SinkState>> {
        let state = self.state();
        let live = state.live.iter();
        live.filter_map(|(_, sink)| sink.upgrade()).collect()
    }

    pub(crate) fn stats(&self) -> SamplerStats {
        let state = self.state();
        let live = state.live.iter().filter_map(|(_, sink)| sink.upgrade());
        live.map(|sink| sink.stats()).chain([state.gone]).sum()
    }

    #[inline]
    pub(crate) fn is_shared(&self) -> bool {
        self.is_shared.load(Ordering::Relaxed)
    }

    fn count(&self, state: &State) {
        let is_shared = state.live.len() > 1;
        self.is_shared.store(is_shared, Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The sinks that share a sampler.
//!
//! A sampler outlives its sinks where it is kept for its statistics, or where tests and reloads
//! make layers anew. So it does not hold what a sink has counted: of a sink that is gone only the
//! totals are left.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, Ordering},
};

use spanwise_core::internal::sync::{Mutex, MutexGuard};

use crate::{
    sampler::WeakSampler,
    seat::{SamplerStats, Seat},
    time::Time,
};

#[derive(Debug, Default)]
pub(crate) struct Sinks {
    state: Mutex<State>,
    /// Whether there is more than one.
    are_several: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// By their numbers.
    live: Vec<(usize, Weak<Seat>)>,
    gone: SamplerStats,
}

impl Sinks {
    pub(crate) fn add(&self, time: Time, sampler: WeakSampler) -> Arc<Seat> {
        let mut state = self.state();
        let is_taken = |number: &usize| state.live.iter().any(|(taken, _)| taken == number);
        let number = (0..).find(|number| !is_taken(number)).unwrap_or_default();
        let seat = Arc::new(Seat::new(number, time, sampler));
        state.live.push((number, Arc::downgrade(&seat)));
        self.count(&state);
        seat
    }

    /// The sink is about to be dropped.
    pub(crate) fn remove(&self, seat: &Seat) {
        let mut state = self.state();
        state.live.retain(|(number, _)| *number != seat.number());
        state.gone = [state.gone, seat.stats()].into_iter().sum();
        self.count(&state);
    }

    pub(crate) fn live(&self) -> Vec<Arc<Seat>> {
        let state = self.state();
        let live = state.live.iter();
        live.filter_map(|(_, seat)| seat.upgrade()).collect()
    }

    pub(crate) fn stats(&self) -> SamplerStats {
        let state = self.state();
        let live = state.live.iter().filter_map(|(_, seat)| seat.upgrade());
        live.map(|seat| seat.stats()).chain([state.gone]).sum()
    }

    #[inline]
    pub(crate) fn are_several(&self) -> bool {
        self.are_several.load(Ordering::Relaxed)
    }

    fn count(&self, state: &State) {
        let are_several = state.live.len() > 1;
        self.are_several.store(are_several, Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

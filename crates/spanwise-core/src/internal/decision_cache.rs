//! The decision of a sampler about this thread's current event, for all sinks of the sampler.

use std::ptr;

use tracing_core::Metadata;

use super::thread_state;
use crate::event_context::SampleRate;

/// The decision of a sampler about one event. Times are nanoseconds of the
/// [`LimiterClock`](super::LimiterClock).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SampleDecision {
    /// Kept.
    Keep,
    /// Kept, and represents the events that this ratio drops.
    KeepWithRatio(SampleRate),
    /// Dropped. Kept events represent it through their ratio.
    SampledOut,
    /// Kept, and represents up to `suppressed` events that were suppressed before it.
    KeepRepresenting {
        /// The number of suppressed events.
        suppressed: u32,
        /// The time of the decision.
        now: u64,
    },
    /// Dropped and counted. A summary reports the event, unless a kept event represents it first.
    Suppress {
        /// The time of the decision.
        now: u64,
        /// The time at which the summary is due.
        summary_due: u64,
    },
}

impl SampleDecision {
    /// Returns the decision about this thread's current event of `callsite`, from the cache or from
    /// `decide`. `sampler` is the address of the sampler. `sink` has the bit of the sink.
    ///
    /// An event cannot be recognized by its address, because a wrapper may have rebuilt it. But
    /// `event_enabled` is called for all sinks before any sink receives the event, and that call
    /// [clears](Self::forget) the decision about the previous event. Some wrappers do not forward
    /// that call. So a second call of `cached` by the same sink also begins a new event.
    pub fn cached(
        sampler: usize,
        callsite: &'static Metadata<'static>,
        sink: u64,
        decide: impl FnOnce() -> Self,
    ) -> Self {
        let callsite = ptr::from_ref(callsite) as usize;
        let cached = with_cache(|cache| {
            let cached = cache.find(sampler, callsite)?;
            if cached.sinks & sink == 0 {
                cached.sinks |= sink;
                return Some(cached.decision);
            }
            *cached = CachedDecision::EMPTY;
            None
        });
        // The cache is not borrowed here, because `decide` may read a value that logs.
        let decision = match cached {
            Some(decision) => return decision,
            None => decide(),
        };
        with_cache(|cache| {
            let cached = CachedDecision {
                sampler,
                callsite,
                sinks: sink,
                decision,
            };
            if let Some(known) = cache.find(sampler, callsite) {
                *known = cached;
            } else {
                cache.last = (cache.last + 1) % MAX_NESTED_EVENTS;
                cache.entries[cache.last] = cached;
            }
        });
        decision
    }

    /// Clears the decision about the previous event of `callsite`, because a new event begins.
    pub fn forget(sampler: usize, callsite: &'static Metadata<'static>) {
        let callsite = ptr::from_ref(callsite) as usize;
        with_cache(|cache| {
            if let Some(cached) = cache.find(sampler, callsite) {
                *cached = CachedDecision::EMPTY;
            }
        });
    }

    /// Returns the time of the decision, if the decision carries one.
    #[inline]
    #[must_use]
    pub fn time(self) -> Option<u64> {
        match self {
            Self::KeepRepresenting { now, .. } | Self::Suppress { now, .. } => Some(now),
            Self::Keep | Self::KeepWithRatio(_) | Self::SampledOut => None,
        }
    }
}

/// The last decisions of a thread.
pub(crate) struct DecisionCache {
    entries: [CachedDecision; MAX_NESTED_EVENTS],
    /// The index of the entry that was replaced last.
    last: usize,
}

/// Events are nested if a value logs while it is formatted. If more than this many events are
/// nested, the outermost event may be decided and counted twice.
const MAX_NESTED_EVENTS: usize = 8;

#[derive(Clone, Copy)]
struct CachedDecision {
    /// The address of the sampler.
    sampler: usize,
    /// The address of the callsite.
    callsite: usize,
    /// One bit for each sink that has read the decision.
    sinks: u64,
    decision: SampleDecision,
}

impl CachedDecision {
    const EMPTY: Self = Self {
        sampler: 0,
        callsite: 0,
        sinks: 0,
        decision: SampleDecision::Keep,
    };
}

impl DecisionCache {
    pub(crate) const EMPTY: Self = Self {
        entries: [CachedDecision::EMPTY; MAX_NESTED_EVENTS],
        last: 0,
    };

    #[inline]
    fn find(&mut self, sampler: usize, callsite: usize) -> Option<&mut CachedDecision> {
        let mut entries = self.entries.iter_mut();
        entries.find(|entry| entry.callsite == callsite && entry.sampler == sampler)
    }
}

#[inline]
fn with_cache<R>(f: impl FnOnce(&mut DecisionCache) -> R) -> R {
    thread_state::with(|state| f(&mut state.decisions.borrow_mut()))
}

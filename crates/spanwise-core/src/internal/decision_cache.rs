//! A cache of a sampler's decision about this thread's current event. All sinks of the sampler
//! share the decision, so an event takes one token of a limit, not one per sink.

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
    /// Kept. The event represents, through its sample rate, the events that the ratio drops.
    KeepWithRatio(SampleRate),
    /// Dropped by a ratio. Kept events represent it through their sample rate.
    SampledOut,
    /// Kept, and represents up to `suppressed` events that were suppressed before it.
    KeepRepresenting {
        /// The number of suppressed events.
        suppressed: u32,
        /// The time of the decision.
        now: u64,
    },
    /// Dropped by a limit and counted. A summary reports the event, unless a later kept event
    /// represents it.
    Suppress {
        /// The time of the decision.
        now: u64,
        /// The time at which the summary is due.
        summary_due: u64,
    },
}

impl SampleDecision {
    /// Returns the decision about this thread's current event of `callsite`, from the cache or from
    /// `decide`. `sampler` is the address of the sampler. Only the bit of the sink is set in
    /// `sink_bit`.
    ///
    /// An event cannot be recognized by its address, because a wrapper may have rebuilt it. But
    /// `event_enabled` is called for all sinks before any sink receives the event, and that call
    /// [clears](Self::forget) the decision about the previous event. Because some wrappers do not
    /// forward that call, a second call of `cached` by the same sink also begins a new event.
    pub fn cached(
        sampler: usize,
        callsite: &'static Metadata<'static>,
        sink_bit: u64,
        decide: impl FnOnce() -> Self,
    ) -> Self {
        let callsite = ptr::from_ref(callsite) as usize;
        let cached = with_cache(|cache| {
            let cached = cache.find(sampler, callsite)?;
            if cached.sinks & sink_bit == 0 {
                cached.sinks |= sink_bit;
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
                sinks: sink_bit,
                decision,
            };
            if let Some(entry) = cache.find(sampler, callsite) {
                *entry = cached;
            } else {
                cache.last_replaced = (cache.last_replaced + 1) % MAX_NESTED_EVENTS;
                cache.entries[cache.last_replaced] = cached;
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
    /// The index in `entries` of the entry that was replaced last.
    last_replaced: usize,
}

/// The number of decisions that a thread caches. Events are nested if a value logs while it is
/// formatted. If more events are nested, the outermost event may be decided and counted twice.
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
        last_replaced: 0,
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

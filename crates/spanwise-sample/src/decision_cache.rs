//! The decision about this thread's current event, for all sinks that share a sampler.

use std::{cell::RefCell, ptr};

use tracing_core::Metadata;

use crate::{limiter::Decision, sampled_sink::SampledSink};

#[derive(Clone, Copy)]
struct CachedDecision {
    /// The address of the sampler.
    sampler: usize,
    /// The address of the callsite.
    callsite: usize,
    /// A bit for each sink that got the decision.
    sinks: u64,
    decision: Decision,
}

const EMPTY: CachedDecision = CachedDecision {
    sampler: 0,
    callsite: 0,
    sinks: 0,
    decision: Decision::Keep,
};

/// Events are nested if a value logs while it is formatted. If more are nested, the decision about
/// the outermost one may be made, and counted, again.
const MAX_NESTED_EVENTS: usize = 8;

struct Cache {
    entries: [CachedDecision; MAX_NESTED_EVENTS],
    /// The entry that was replaced last.
    last: usize,
}

thread_local! {
    static CACHE: RefCell<Cache> = const {
        RefCell::new(Cache { entries: [EMPTY; MAX_NESTED_EVENTS], last: 0 })
    };
}

/// Returns the cached decision about the current event of `callsite`, or calls `decide`.
///
/// An event has no identity: a wrapper may have rebuilt it. But `event_enabled` is called for all
/// sinks before any gets the event, and [clears](clear) the decision about the last one. If another
/// wrapper swallows that call, the second request of a sink is about another event.
pub(crate) fn get_or_decide(
    sampler: usize,
    callsite: &'static Metadata<'static>,
    sink: &SampledSink,
    decide: impl FnOnce() -> Decision,
) -> Decision {
    let callsite = ptr::from_ref(callsite) as usize;
    let cached = CACHE.with_borrow_mut(|cache| {
        let cached = cache.find(sampler, callsite)?;
        if cached.sinks & sink.bit() == 0 {
            cached.sinks |= sink.bit();
            return Some(cached.decision);
        }
        *cached = EMPTY;
        None
    });
    // The cache is not borrowed here: a value that is read to decide may log.
    let decision = match cached {
        Some(decision) => return decision,
        None => decide(),
    };
    CACHE.with_borrow_mut(|cache| {
        let cached = CachedDecision {
            sampler,
            callsite,
            sinks: sink.bit(),
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

/// Clears the decision about the last event of `callsite`: the next event begins.
pub(crate) fn clear(sampler: usize, callsite: &'static Metadata<'static>) {
    let callsite = ptr::from_ref(callsite) as usize;
    CACHE.with_borrow_mut(|cache| {
        if let Some(cached) = cache.find(sampler, callsite) {
            *cached = EMPTY;
        }
    });
}

impl Cache {
    fn find(&mut self, sampler: usize, callsite: usize) -> Option<&mut CachedDecision> {
        let mut entries = self.entries.iter_mut();
        entries.find(|entry| entry.callsite == callsite && entry.sampler == sampler)
    }
}

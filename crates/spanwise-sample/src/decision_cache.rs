//! What a sampler said of the event that this thread is at, for the other sinks that share it.

use std::{cell::RefCell, ptr};

use tracing_core::Metadata;

use crate::{limiter::Decision, suppression::SinkState};

#[derive(Clone, Copy)]
struct CachedDecision {
    sampler: usize,
    callsite: usize,
    /// A bit for each sink that was told.
    told: u64,
    verdict: Decision,
}

const NOTHING: CachedDecision = CachedDecision {
    sampler: 0,
    callsite: 0,
    told: 0,
    verdict: Decision::Keep,
};

/// Events are nested if a value logs while it is formatted. Of more than so many at once the outermost may be asked about, and counted, again.
const MAX_NESTED_EVENTS: usize = 8;

thread_local! {
    static SAID: RefCell<([CachedDecision; MAX_NESTED_EVENTS], usize)> = const { RefCell::new(([NOTHING; MAX_NESTED_EVENTS], 0)) };
}

/// What was said of the current event of `callsite`, or else what `decide` says now.
///
/// An event has no identity of its own: a wrapper may have rebuilt it. But each sink is asked by `event_enabled` before any gets the event, so that
/// what was said of the event before it is [forgotten](clear) by then. Should a foreign wrapper swallow that call, a sink that asks a second time
/// asks about another event.
pub(crate) fn get_or_decide(
    sampler: usize,
    callsite: &'static Metadata<'static>,
    sink: &SinkState,
    decide: impl FnOnce() -> Decision,
) -> Decision {
    let callsite = address(callsite);
    let known = SAID.with_borrow_mut(|(said, _)| {
        let known = said.iter_mut().find(|said| said.is(sampler, callsite))?;
        if known.told & sink.bit() == 0 {
            known.told |= sink.bit();
            return Some(known.verdict);
        }
        *known = NOTHING;
        None
    });
    // Decided without the thread's memory in hand: a value that is read for it may log.
    let verdict = match known {
        Some(verdict) => return verdict,
        None => decide(),
    };
    SAID.with_borrow_mut(|(said, next)| {
        let said_before = said.iter().position(|said| said.is(sampler, callsite));
        let place = said_before.unwrap_or_else(|| {
            *next = (*next + 1) % MAX_NESTED_EVENTS;
            *next
        });
        said[place] = CachedDecision {
            sampler,
            callsite,
            told: sink.bit(),
            verdict,
        };
    });
    verdict
}

/// Forgets what was said of an event of `callsite`: another one begins.
pub(crate) fn clear(sampler: usize, callsite: &'static Metadata<'static>) {
    let callsite = address(callsite);
    SAID.with_borrow_mut(|(said, _)| {
        if let Some(known) = said.iter_mut().find(|said| said.is(sampler, callsite)) {
            *known = NOTHING;
        }
    });
}

impl CachedDecision {
    fn is(&self, sampler: usize, callsite: usize) -> bool {
        self.callsite == callsite && self.sampler == sampler
    }
}

fn address(callsite: &'static Metadata<'static>) -> usize {
    ptr::from_ref(callsite) as usize
}

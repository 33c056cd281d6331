//! The small state of a thread, in one thread-local.
//!
//! Each part belongs to one module, which documents it. *Invariants:* The thread-local has no
//! destructor, so an access costs no check and works until the thread has ended. Values in it that
//! own memory are in `ManuallyDrop`, and the module that they belong to takes and drops them.

use std::{
    cell::{Cell, RefCell},
    mem::ManuallyDrop,
};

use super::{
    announced_span::PendingAnnouncement, decision_cache::DecisionCache, error_query::QueryState,
    reentrancy::ReentrancyState, sharded_counter, trace_cache::CachedTrace,
};
use crate::{event_context::EventState, redacted::RedactionState};

/// The parts of a thread's state that need no destructor.
pub(crate) struct ThreadState {
    pub(crate) event: EventState,
    pub(crate) reentrancy: ReentrancyState,
    pub(crate) redaction: RedactionState,
    /// The shard number of this thread, in every [`ShardedCounter`](super::ShardedCounter).
    pub(crate) counter_shard: Cell<usize>,
    pub(crate) cached_trace: Cell<CachedTrace>,
    /// The state of the random number generator of samplers. 0 means that it is not seeded yet.
    pub(crate) sample_random: Cell<u64>,
    pub(crate) decisions: RefCell<DecisionCache>,
    pub(crate) error_query: QueryState,
    /// The announcement of the span that is being opened.
    pub(crate) announced: Cell<Option<ManuallyDrop<Box<PendingAnnouncement>>>>,
    /// Whether the thread runs a request whose span does not store its trace.
    pub(crate) is_in_spanless_request: Cell<bool>,
    /// Whether the thread applies a policy to the values of a context.
    pub(crate) is_redacting_context: Cell<bool>,
}

thread_local! {
    static STATE: ThreadState = const {
        ThreadState {
            event: EventState::new(),
            reentrancy: ReentrancyState::new(),
            redaction: RedactionState::new(),
            counter_shard: Cell::new(sharded_counter::UNASSIGNED),
            cached_trace: Cell::new(CachedTrace::EMPTY),
            sample_random: Cell::new(0),
            decisions: RefCell::new(DecisionCache::EMPTY),
            error_query: QueryState::new(),
            announced: Cell::new(None),
            is_in_spanless_request: Cell::new(false),
            is_redacting_context: Cell::new(false),
        }
    };
}

#[inline(always)] // `LocalKey::with` alone is not inlined: a call costs 1 % of a buffered line.
pub(crate) fn with<R>(f: impl FnOnce(&ThreadState) -> R) -> R {
    STATE.with(f)
}

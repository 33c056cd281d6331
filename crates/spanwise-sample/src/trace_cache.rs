//! The trace or request that a thread is in.
//!
//! It is looked up once. A thread caches it until it enters or leaves a span, or until any thread
//! records into a span or closes one. Closing matters because a guard may be forgotten: then the
//! thread is in a span that another thread closes.

use std::cell::Cell;

use crate::sampled_sink::SampledSink;

#[derive(Clone, Copy)]
struct CachedTrace {
    /// The number of the sink; 0 for none.
    sink: u64,
    changes: u64,
    randomness: Option<u64>,
}

const EMPTY: CachedTrace = CachedTrace {
    sink: 0,
    changes: 0,
    randomness: None,
};

thread_local! {
    static CACHE: Cell<CachedTrace> = const { Cell::new(EMPTY) };
}

/// Returns the randomness of the trace or request of the current span, as `sink` sees it.
#[inline]
pub(crate) fn randomness(sink: &SampledSink, look_up: impl FnOnce() -> Option<u64>) -> Option<u64> {
    let (number, changes) = (sink.id().number(), sink.trace_changes());
    let cached = CACHE.get();
    if cached.sink == number && cached.changes == changes {
        return cached.randomness;
    }
    sink.set_trace_cached();
    store(number, changes, look_up())
}

#[cold]
fn store(sink: u64, changes: u64, randomness: Option<u64>) -> Option<u64> {
    CACHE.set(CachedTrace {
        sink,
        changes,
        randomness,
    });
    randomness
}

/// Clears the cache of this thread: it enters or leaves a span that `sink` sees.
#[inline]
pub(crate) fn invalidate(sink: &SampledSink) {
    if CACHE.get().sink == sink.id().number() {
        CACHE.set(EMPTY);
    }
}

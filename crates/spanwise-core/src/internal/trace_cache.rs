//! A cache of the randomness of each thread's current trace or request, which samplers need for
//! each event.
//!
//! A thread caches the randomness until it enters or leaves a span, or until any thread records
//! into a span or closes a span. A close matters because a guard may be leaked, so that the thread
//! is still in a span when another thread closes the span.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{LayerId, thread_state};

/// The randomness of the trace or request that each thread is in, for one sink.
#[derive(Debug)]
pub struct TraceCache {
    sink: LayerId,
    /// Incremented by each record and close, which may change the trace or request of an entered
    /// span. A cached value is valid while this number is the same.
    changes: AtomicU64,
    /// Whether any thread has ever cached a value.
    is_used: AtomicBool,
}

/// The cached value of a thread, for the last sink that read it.
#[derive(Clone, Copy)]
pub(crate) struct CachedTrace {
    sink: LayerId,
    changes: u64,
    randomness: Option<u64>,
}

impl CachedTrace {
    pub(crate) const EMPTY: Self = Self {
        sink: LayerId::NONE,
        changes: 0,
        randomness: None,
    };
}

impl TraceCache {
    /// Creates the cache of a sink.
    #[must_use]
    pub fn new(sink: LayerId) -> Self {
        Self {
            sink,
            changes: AtomicU64::new(0),
            is_used: AtomicBool::new(false),
        }
    }

    /// Returns the randomness of the trace or request of the current span, from the cache or from
    /// `look_up`. Returns `None` if there is neither a trace nor a request.
    #[inline]
    pub fn randomness(&self, look_up: impl FnOnce() -> Option<u64>) -> Option<u64> {
        let changes = self.changes.load(Ordering::Relaxed);
        let cached = thread_state::with(|state| state.cached_trace.get());
        if cached.sink == self.sink && cached.changes == changes {
            return cached.randomness;
        }
        // Do not store the flag again, which would invalidate the cache line of other threads.
        if !self.is_used.load(Ordering::Relaxed) {
            self.is_used.store(true, Ordering::Relaxed);
        }
        self.store(changes, look_up())
    }

    #[cold]
    fn store(&self, changes: u64, randomness: Option<u64>) -> Option<u64> {
        let cached = CachedTrace {
            sink: self.sink,
            changes,
            randomness,
        };
        thread_state::with(|state| state.cached_trace.set(cached));
        randomness
    }

    /// Clears the cache of this thread, because it enters or leaves a span of the sink.
    #[inline]
    pub fn clear_on_this_thread(&self) {
        thread_state::with(|state| {
            if state.cached_trace.get().sink == self.sink {
                state.cached_trace.set(CachedTrace::EMPTY);
            }
        });
    }

    /// Clears the cache of all threads, because a value was recorded into a span, or a span was
    /// closed.
    #[inline]
    pub fn clear_on_all_threads(&self) {
        if self.is_used.load(Ordering::Relaxed) {
            self.changes.fetch_add(1, Ordering::Relaxed);
        }
    }
}
